//! Scripts that limits decide on: a variant for each policy and sequence of limits that was needed
//! so far.
//!
//! In a variant the blocks of `limits/` stand in place of the calls `EVALUATE_LIMITS()`,
//! `COMMIT_LIMITS()` and `REFUND_LIMITS()`, one for each limit, and those of the number's windows
//! in place of `EVALUATE_WINDOWS()`. So nothing is done for a rule that is not there; what an
//! operator sets is a constant and no argument of each call; and each key stands literally as
//! `KEYS[n]`, as proxies of clusters require it.

use std::sync::{Arc, Mutex};

use sms_domain::quota::{NumberWindows, Quota, QuotaRule, Window};
use sms_domain::sync::lock;
use sms_domain::verification::Policy;

use crate::redis::call::Script;
use crate::{micros, millis};

/// All that a variant depends on.
#[derive(Debug, Clone, Copy)]
pub(in crate::redis) struct Shape<'a> {
    pub(in crate::redis) policy: &'a Policy,
    /// The number's windows.
    pub(in crate::redis) windows: &'a [Window],
    pub(in crate::redis) quotas: &'a [Quota],
    /// The second key is the end of the number's time as verified before.
    pub(in crate::redis) verified: bool,
    /// The caller counts the SMS of prefixes and countries where nothing is suspicious.
    pub(in crate::redis) defers: bool,
}

/// The rule of a limit, as far as a script depends on it. Times are in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) enum Rule {
    Rate { interval: i64, burst: i64 },
    Budget,
    Conversion,
    Country,
    Number(NumberWindows),
}

impl Rule {
    pub(in crate::redis) fn of(quota: &Quota) -> Self {
        match quota.rule {
            QuotaRule::Rate(window) => {
                let interval = micros(window.interval());
                Self::Rate { interval, burst: interval.saturating_mul(i64::from(window.max)) }
            }
            QuotaRule::Budget(_) => Self::Budget,
            QuotaRule::Conversion(_) => Self::Conversion,
            QuotaRule::Country(_) => Self::Country,
            QuotaRule::Number(windows) => Self::Number(windows),
        }
    }

    fn is_guard(self) -> bool {
        matches!(self, Self::Conversion | Self::Country)
    }

    /// Number of its values in a script's arguments.
    pub(in crate::redis) fn values(self) -> usize {
        if let Self::Rate { .. } | Self::Number(_) = self { 0 } else { 4 }
    }
}

/// The variants of a script.
pub(in crate::redis) struct Variants {
    /// The text, in which the calls that stand for limits and windows are not replaced yet.
    source: String,
    /// Number of the keys and of the arguments before those of the limits.
    keys: usize,
    args: usize,
    made: Mutex<Vec<Variant>>,
}

struct Variant {
    policy: Policy,
    windows: Vec<Window>,
    rules: Vec<Rule>,
    verified: bool,
    defers: bool,
    script: Arc<Script>,
}

impl Variant {
    fn is_of(&self, shape: &Shape<'_>) -> bool {
        self.policy == *shape.policy
            && self.windows == shape.windows
            && self.verified == shape.verified
            && self.defers == shape.defers
            && self.rules.iter().copied().eq(shape.quotas.iter().map(Rule::of))
    }
}

impl Variants {
    pub(super) fn new(source: String, keys: usize, args: usize) -> Self {
        Self { source, keys, args, made: Mutex::default() }
    }

    pub(in crate::redis) fn of(&self, shape: &Shape<'_>) -> Arc<Script> {
        let mut made = lock(&self.made);
        if let Some(variant) = made.iter().find(|variant| variant.is_of(shape)) {
            return Arc::clone(&variant.script);
        }
        let rules: Vec<Rule> = shape.quotas.iter().map(Rule::of).collect();
        let script = Arc::new(self.make(shape, &rules));
        made.push(Variant {
            policy: *shape.policy,
            windows: shape.windows.to_vec(),
            rules,
            verified: shape.verified,
            defers: shape.defers,
            script: Arc::clone(&script),
        });
        script
    }

    fn make(&self, shape: &Shape<'_>, rules: &[Rule]) -> Script {
        let first_key = 1 + self.keys + usize::from(shape.verified);
        let keys = first_key - 1 + rules.len();
        let names: Vec<String> = (1..=keys).map(|key| format!("KEYS[{key}]")).collect();
        let blocks = Blocks { rules, first_key, first_arg: self.args + 1 };
        let source = self
            .source
            .replace("EVALUATE_LIMITS()", &blocks.evaluate())
            .replace("COMMIT_LIMITS()", &blocks.commit())
            .replace("REFUND_LIMITS()", &blocks.refund())
            .replace("EVALUATE_WINDOWS()", &windows(shape.windows.iter().copied()))
            .replace("ALL_KEYS", &names.join(", "));
        Script::new(constants(shape) + &source, keys)
    }
}

/// Constants of a policy, as Lua; times in ms.
fn constants(shape: &Shape<'_>) -> String {
    let Shape { policy, windows, verified, defers, .. } = shape;
    let (most, longest) = remembered(windows.iter().copied());
    format!(
        "local VERIFIED, DEFERS, TTL, RESEND_INTERVAL, MAX_LIFE, MAX_ATTEMPTS, REMEMBER, MOST, \
         LONGEST = {verified}, {defers}, {}, {}, {}, {}, {}, {most}, {longest}\n",
        millis(policy.ttl),
        millis(policy.resend_interval),
        millis(policy.max_life),
        policy.max_attempts,
        millis(policy.remember),
    )
}

/// The number of SMS that windows remember, and the time (ms).
fn remembered(windows: impl Iterator<Item = Window> + Clone) -> (u32, i64) {
    let most = windows.clone().map(|window| window.max).max().unwrap_or(0);
    (most, windows.map(|window| millis(window.period)).max().unwrap_or(0))
}

/// The blocks of a number's windows.
fn windows(windows: impl IntoIterator<Item = Window>) -> String {
    let block = |window: Window| {
        lua!("limits", window)
            .replace("__max", &window.max.to_string())
            .replace("__period", &millis(window.period).to_string())
    };
    windows.into_iter().map(block).collect()
}

/// The blocks of a sequence of limits.
struct Blocks<'a> {
    rules: &'a [Rule],
    first_key: usize,
    first_arg: usize,
}

impl Blocks<'_> {
    /// Text of the blocks that `block` returns for each rule.
    fn text(&self, block: impl Fn(Rule) -> &'static str) -> String {
        let (mut arg, mut text) = (self.first_arg, String::new());
        for (limit, rule) in self.rules.iter().enumerate() {
            let (interval, burst) = if let Rule::Rate { interval, burst } = rule {
                (*interval, *burst)
            } else {
                (0, 0)
            };
            let of_number = |text: &str| match rule {
                Rule::Number(rule) => {
                    let all: Vec<Window> = rule.all().collect();
                    let (most, longest) = remembered(all.iter().copied());
                    text.replace("__all_windows()", &windows(all))
                        .replace("__windows()", &windows(rule.for_this()))
                        .replace("__shared", if rule.is_own() { "false" } else { "true" })
                        .replace("__most", &most.to_string())
                        .replace("__longest", &longest.to_string())
                }
                _ => text.to_owned(),
            };
            text += &of_number(block(*rule))
                .replace("__limit", &limit.to_string())
                .replace("__key", &(self.first_key + limit).to_string())
                .replace("__arg", &arg.to_string())
                .replace("__interval", &interval.to_string())
                .replace("__burst", &burst.to_string())
                .replace("__country", if *rule == Rule::Country { "true" } else { "false" });
            arg += rule.values();
        }
        text
    }

    fn evaluate(&self) -> String {
        let limits = self.text(|rule| match rule {
            Rule::Rate { .. } => lua!("limits", rate_evaluate),
            Rule::Budget => lua!("limits", budget_evaluate),
            Rule::Conversion | Rule::Country => lua!("limits", guard_calm),
            Rule::Number(_) => lua!("limits", number_evaluate),
        });
        if !self.rules.iter().any(|rule| rule.is_guard()) {
            return self.with_budgets(&limits);
        }
        // The functions of the guard are made only where they are needed.
        let guards =
            self.text(|rule| if rule.is_guard() { lua!("limits", guard_evaluate) } else { "" });
        let guards = ["if not calm then\n", lua!("includes", guard), &guards, "end\n"].concat();
        self.with_budgets(&(limits + &guards))
    }

    fn commit(&self) -> String {
        self.text(|rule| match rule {
            Rule::Rate { .. } => lua!("limits", rate_commit),
            Rule::Budget => lua!("limits", budget_commit),
            Rule::Conversion | Rule::Country => lua!("limits", guard_commit),
            Rule::Number(_) => lua!("limits", number_commit),
        })
    }

    fn refund(&self) -> String {
        let limits = self.text(|rule| match rule {
            Rule::Rate { .. } => lua!("limits", rate_refund),
            Rule::Budget => lua!("limits", budget_refund),
            Rule::Conversion | Rule::Country => lua!("limits", guard_refund),
            Rule::Number(_) => lua!("limits", number_refund),
        });
        let has_guard = self.rules.iter().any(|rule| rule.is_guard());
        let guard = if has_guard { lua!("includes", guard) } else { "" };
        self.with_budgets(&[guard, &limits].concat())
    }

    fn with_budgets(&self, blocks: &str) -> String {
        let functions =
            if self.rules.contains(&Rule::Budget) { lua!("includes", budget) } else { "" };
        [functions, blocks].concat()
    }
}
