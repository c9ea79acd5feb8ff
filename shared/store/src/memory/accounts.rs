//! Accounts at gateways: their circuits and rate slots. The same steps as `permit.lua` and
//! `report.lua`.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use sms_domain::sync::lock;

use crate::constants::HALF_OPEN_WAIT;
use crate::{Breaker, Circuit, Health, Permit, PermitRequest, millis, until};

#[derive(Debug, Clone, Default)]
pub(super) struct Accounts(Arc<Mutex<HashMap<String, Account>>>);

/// An account's record. Times are milliseconds since 1970; that of the slot is in microseconds.
#[derive(Debug, Default)]
struct Account {
    failures: u32,
    open_until: i64,
    trial_until: i64,
    next_slot: i64,
}

impl Accounts {
    pub(super) fn permit(
        &self,
        account: &str,
        request: PermitRequest,
        breaker: Breaker,
        now: i64,
    ) -> Permit {
        self.with(account, |account| {
            if now < account.open_until {
                return Permit::Open { retry_in: until(now, account.open_until) };
            }
            if now < account.trial_until {
                return Permit::Open {
                    retry_in: until(now, account.trial_until.min(now + HALF_OPEN_WAIT)),
                };
            }
            if let Some(rate) = request.rate {
                let slot = match request.slot {
                    Some(slot) => slot,
                    None => match account.reserve_slot(rate, now, millis(request.max_wait)) {
                        Some(slot) => slot,
                        None => return Permit::Full,
                    },
                };
                if slot > now {
                    return Permit::Wait { wait: until(now, slot), slot };
                }
            }
            if account.open_until > 0 {
                account.trial_until = now + millis(breaker.trial);
            }
            Permit::Granted { report_success: account.failures > 0 }
        })
    }

    pub(super) fn circuit(&self, account: &str, now: i64) -> Circuit {
        self.with(account, |account| Circuit {
            failures: account.failures,
            open_for: until(now, account.open_until),
        })
    }

    pub(super) fn report(&self, account: &str, health: Health, breaker: Breaker, now: i64) {
        self.with(account, |account| {
            account.trial_until = 0;
            match health {
                Health::Unknown => {}
                Health::Up => (account.failures, account.open_until) = (0, 0),
                Health::Down => {
                    account.failures = account.failures.saturating_add(1);
                    if account.failures >= breaker.failures {
                        account.open_until = now + millis(breaker.open);
                    }
                }
            }
        });
    }

    /// Runs a change under the lock. An account stays consistent if a thread panicked: every change
    /// to it is a plain assignment.
    fn with<T>(&self, account: &str, act: impl FnOnce(&mut Account) -> T) -> T {
        act(lock(&self.0).entry(account.to_owned()).or_default())
    }
}

impl Account {
    fn reserve_slot(&mut self, rate: NonZeroU32, now: i64, max_wait: i64) -> Option<i64> {
        let slot = self.next_slot.max(now * 1000);
        if slot - now * 1000 >= max_wait * 1000 {
            return None;
        }
        // To the nearest microsecond.
        let rate = i64::from(rate.get());
        self.next_slot = slot + (1_000_000 + rate / 2) / rate;
        Some((slot + 999) / 1000)
    }
}
