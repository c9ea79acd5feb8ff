//! Quotas that are asked one by one, as in a cluster, where each is on a shard of its own; and the
//! values with which all scripts get them.

use futures_util::future::{join_all, try_join_all};
use sms_domain::conversion_test::{CusumTest, GuardAction};
use sms_domain::quota::{BudgetRule, Quota, QuotaRule};
use sms_domain::refusal::Refusal;

use super::RedisStore;
use super::call::Call;
use super::reply::{ScriptReply, unexpected};
use crate::constants::{CHALLENGE, OBSERVE, REFUSE, SLOT};
use crate::{StoreError, limit_key, micros, rounded};

/// Outcome of counting one SMS or one code against quotas.
pub(super) enum QuotaOutcome {
    /// One was counted against each quota.
    Counted {
        /// A quota that only observes is exceeded or suspicious.
        observed: bool,
        /// A budget reached its alarm threshold.
        alarm: bool,
        /// The refusal for a number that was not verified before.
        reserved: Option<Refusal>,
    },
    /// Nothing was counted: a quota has no room.
    Refused(Refusal),
    /// Nothing was counted: a challenge must be solved first.
    Challenged,
}

/// Counts one against each of these quotas, all at the same time, or against none of them.
pub(super) async fn consume(
    store: &RedisStore,
    quotas: &[Quota],
) -> Result<QuotaOutcome, StoreError> {
    let answers = join_all(quotas.iter().map(|quota| quota_call(store, "consume", quota))).await;
    let (mut refusal, mut reopens) = (Refusal::default(), Refusal::default());
    let (mut counted, mut challenged, mut failed) = (Vec::new(), false, None);
    let (mut any_observed, mut any_alarm) = (false, false);
    for (quota, answer) in quotas.iter().zip(answers) {
        if let Ok(answer) = &answer
            && answer.tag()? == "done"
            && let now @ 1.. = answer.number(4)?
        {
            store.count_later([quota], slot(now));
        }
        match answer.and_then(|answer| quota_outcome(quota, &answer)) {
            Ok(QuotaOutcome::Counted { observed, alarm, reserved }) => {
                counted.push(quota);
                (any_observed, any_alarm) = (any_observed | observed, any_alarm | alarm);
                reserved.iter().for_each(|one| reopens.add_all(one));
            }
            Ok(QuotaOutcome::Refused(full)) => refusal.add_all(&full),
            Ok(QuotaOutcome::Challenged) => challenged = true,
            Err(error) => failed = Some(error),
        }
    }
    if failed.is_none() && refusal.is_empty() && !challenged {
        let reserved = (!reopens.is_empty()).then_some(reopens);
        return Ok(QuotaOutcome::Counted { observed: any_observed, alarm: any_alarm, reserved });
    }
    refund(store, counted).await?;
    match failed {
        Some(error) => Err(error),
        None if refusal.is_empty() => Ok(QuotaOutcome::Challenged),
        None => Ok(QuotaOutcome::Refused(refusal)),
    }
}

fn quota_outcome(quota: &Quota, answer: &ScriptReply) -> Result<QuotaOutcome, StoreError> {
    match answer.tag()? {
        "done" => {
            let reopens = answer.wait(2)?;
            let reserved = (!reopens.is_zero()).then(|| {
                let mut refusal = Refusal::default();
                refusal.add(quota.into(), reopens);
                refusal
            });
            Ok(QuotaOutcome::Counted {
                observed: answer.flag(1)?,
                alarm: answer.flag(3)?,
                reserved,
            })
        }
        "refused" => answer.refusal(std::slice::from_ref(quota)).map(QuotaOutcome::Refused),
        "challenge" => Ok(QuotaOutcome::Challenged),
        _ => Err(unexpected()),
    }
}

pub(super) async fn refund(
    store: &RedisStore,
    quotas: impl IntoIterator<Item = &Quota>,
) -> Result<(), StoreError> {
    let is_counted = |quota: &&Quota| {
        store.guard_counts.as_ref().and_then(|counts| counts.take_back(quota)).is_none()
    };
    let calls = quotas.into_iter().filter(is_counted).map(|one| quota_call(store, "refund", one));
    try_join_all(calls).await.map(drop)
}

async fn quota_call(
    store: &RedisStore,
    operation: &str,
    quota: &Quota,
) -> Result<ScriptReply, StoreError> {
    let quotas = std::slice::from_ref(quota);
    let script = store.scripts().consume.of(&store.shape(&[], quotas));
    let call = script.call([limit_key(quota)]).arg(operation);
    store.answer(with_values(call, quotas)).await
}

/// Adds the values of each limit to a call: as many as [`scripts`](super::scripts) expects.
pub(super) fn with_values(mut call: Call, quotas: &[Quota]) -> Call {
    for Quota { rule, .. } in quotas {
        call = match rule {
            QuotaRule::Rate(_) | QuotaRule::Number(_) => call,
            QuotaRule::Budget(BudgetRule { price, soft_cap, hard_cap, period }) => {
                call.arg(price).arg(soft_cap).arg(hard_cap).arg(micros(*period))
            }
            QuotaRule::Conversion(test) | QuotaRule::Country(test) => with_test(call, test),
        };
    }
    call
}

fn with_test(call: Call, test: &CusumTest) -> Call {
    let CusumTest { action, threshold, miss_weight, hit_weight } = rounded(*test);
    let action = match action {
        GuardAction::Observe => OBSERVE,
        GuardAction::Refuse => REFUSE,
        GuardAction::Challenge => CHALLENGE,
    };
    call.arg(action).arg(threshold).arg(miss_weight).arg(hit_weight)
}

/// The time slot of the conversion guard of a time (ms).
pub(super) fn slot(now: i64) -> i64 {
    now / 1_000 / SLOT
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sms_domain::quota::{NumberWindows, Scope, Window};

    use super::*;
    use crate::redis::scripts::{REAL, Rule};

    #[test]
    fn each_limit_has_as_many_values_as_the_scripts_expect() {
        let minute = Duration::from_secs(60);
        let rules = [
            QuotaRule::Rate(Window { max: 1, period: minute }),
            QuotaRule::Budget(BudgetRule { price: 1, soft_cap: 1, hard_cap: 1, period: minute }),
            QuotaRule::Conversion(CusumTest::default()),
            QuotaRule::Country(CusumTest::default()),
            QuotaRule::Number(NumberWindows::default()),
        ];
        for rule in rules {
            let quota = Quota { scope: Scope::Total, subject: String::new(), rule };
            let call = |quotas: &[Quota]| with_values(REAL.find.call([String::new()]), quotas);
            let values = Rule::of(&quota).values();
            assert_eq!(call(&[quota]).len(), call(&[]).len() + values, "{rule:?}");
        }
    }
}
