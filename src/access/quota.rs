//! How much one caller may have at once and per minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::policy::Refusal;

/// Callers that are remembered.
const ACCOUNTS_MAX: usize = 10_000;

/// When to try again while other documents of the same caller run: nobody knows when one ends.
const RETRY_IN_FLIGHT: Duration = Duration::from_secs(1);

const MINUTE: Duration = Duration::from_mins(1);

/// None: as much as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    pub in_flight: Option<u32>,
    pub per_minute: Option<u32>,
}

/// The use that callers make of their quotas.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    open: Mutex<HashMap<String, Account>>,
}

#[derive(Debug)]
struct Account {
    in_flight: u32,
    /// Documents that may begin now; grows back with time to a minute's worth.
    left: f64,
    seen: Instant,
}

/// Counts what one caller does.
#[derive(Debug)]
pub struct Meter {
    accounts: Arc<Accounts>,
    caller: String,
    quota: Quota,
}

/// One document that counts; dropped when it is over.
#[derive(Debug)]
pub struct Permit {
    accounts: Arc<Accounts>,
    caller: String,
}

// === impl Quota ===

impl Quota {
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

// === impl Accounts ===

impl Accounts {
    /// Counts one more document of `caller`, or says why not.
    fn enter(
        self: &Arc<Self>,
        caller: &str,
        quota: Quota,
        now: Instant,
    ) -> Result<Permit, Refusal> {
        let mut open = self.lock();
        if open.len() >= ACCOUNTS_MAX && !open.contains_key(caller) {
            forget(&mut open, now);
        }
        let minute = quota.per_minute.map_or(f64::INFINITY, f64::from);
        let account = open.entry(caller.to_owned()).or_insert(Account {
            in_flight: 0,
            left: minute,
            seen: now,
        });
        if quota.per_minute.is_some() {
            let passed = now.saturating_duration_since(account.seen).as_secs_f64();
            let grown = account.left + passed * minute / MINUTE.as_secs_f64();
            account.left = grown.min(minute);
        }
        account.seen = now;
        if let Some(limit) = quota.in_flight.filter(|limit| account.in_flight >= *limit) {
            let caller = caller.to_owned();
            return Err(Refusal::InFlight { caller, limit, retry_after: RETRY_IN_FLIGHT });
        }
        if let Some(limit) = quota.per_minute {
            if account.left < 1.0 {
                let wait = (1.0 - account.left) * MINUTE.as_secs_f64() / minute;
                let retry_after = Duration::from_secs_f64(wait);
                return Err(Refusal::Rate { caller: caller.to_owned(), limit, retry_after });
            }
            account.left -= 1.0;
        }
        account.in_flight += 1;
        Ok(Permit { accounts: Arc::clone(self), caller: caller.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        // Counts are whole between two statements: a panic elsewhere leaves them usable.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room: callers that have nothing open and were not seen for a minute owe nothing any more. Where
/// all were seen, those with nothing open go: a flood of names must not fill the memory.
fn forget(open: &mut HashMap<String, Account>, now: Instant) {
    open.retain(|_, account| {
        account.in_flight > 0 || now.saturating_duration_since(account.seen) < MINUTE
    });
    if open.len() >= ACCOUNTS_MAX {
        open.retain(|_, account| account.in_flight > 0);
    }
}

// === impl Meter ===

impl Meter {
    pub(super) fn new(accounts: &Arc<Accounts>, caller: String, quota: Quota) -> Self {
        Self { accounts: Arc::clone(accounts), caller, quota }
    }

    /// Counts one more document, or says why not.
    pub fn enter(&self, now: Instant) -> Result<Permit, Refusal> {
        self.accounts.enter(&self.caller, self.quota, now)
    }
}

// === impl Permit ===

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(account) = self.accounts.lock().get_mut(&self.caller) {
            account.in_flight = account.in_flight.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(in_flight: Option<u32>, per_minute: Option<u32>) -> Quota {
        Quota { in_flight, per_minute }
    }

    #[test]
    fn calls_in_flight_are_counted_until_they_are_over() {
        let accounts = Arc::new(Accounts::default());
        let now = Instant::now();
        let two = quota(Some(2), None);
        let first = accounts.enter("a", two, now).unwrap();
        let _second = accounts.enter("a", two, now).unwrap();
        assert!(matches!(accounts.enter("a", two, now), Err(Refusal::InFlight { limit: 2, .. })));
        let _other = accounts.enter("b", two, now).unwrap();
        drop(first);
        accounts.enter("a", two, now).unwrap();
    }

    #[test]
    fn calls_per_minute_grow_back() {
        let accounts = Arc::new(Accounts::default());
        let start = Instant::now();
        let six = quota(None, Some(6));
        for _ in 0..6 {
            accounts.enter("a", six, start).unwrap();
        }
        let Err(Refusal::Rate { limit: 6, retry_after, .. }) = accounts.enter("a", six, start)
        else {
            panic!("the seventh call within a minute is refused")
        };
        assert_eq!(retry_after, Duration::from_secs(10));
        accounts.enter("a", six, start + retry_after).unwrap();
        assert!(accounts.enter("a", six, start + retry_after).is_err());
        // Never more than a minute's worth, however long nobody called.
        let later = start + Duration::from_hours(1);
        let taken = (0..20).filter(|_| accounts.enter("a", six, later).is_ok()).count();
        assert_eq!(taken, 6);
    }

    #[test]
    fn a_flood_of_names_is_forgotten_but_not_who_is_there() {
        let accounts = Arc::new(Accounts::default());
        let now = Instant::now();
        let one = quota(Some(1), Some(10));
        let _here = accounts.enter("here", one, now).unwrap();
        for name in 0..3 * ACCOUNTS_MAX {
            accounts.enter(&name.to_string(), one, now).unwrap();
        }
        assert!(accounts.lock().len() <= ACCOUNTS_MAX);
        assert!(accounts.enter("here", one, now).is_err());
    }
}
