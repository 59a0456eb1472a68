//! The one door: decides over every call, by a policy that may change while it is open.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use super::file::{self, AccessError};
use super::policy::{Allowed, Policy, Refusal};
use super::quota::{Accounts, Meter, Permit, Quota};
use super::{Action, Counted, Credentials, lint};

/// What an operator can set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// None: everybody may call everything.
    pub file: Option<PathBuf>,
    /// Of each address, where no file says who is who.
    pub quota: Quota,
}

/// Decides over calls.
#[derive(Debug)]
pub struct Gate {
    config: Config,
    methods: Vec<String>,
    current: RwLock<Option<Current>>,
    accounts: Arc<Accounts>,
}

#[derive(Debug, Clone)]
struct Current {
    policy: Arc<Policy>,
    digest: [u8; 32],
}

/// A call that may go on.
#[derive(Debug, Default)]
pub struct Admitted {
    /// Who it is, where that is known.
    pub caller: Option<String>,
    /// To be kept until the call is over.
    pub permit: Option<Permit>,
    /// Counts the documents that come in it, by the quota of now.
    pub meter: Option<Meter>,
}

// === impl Config ===

impl Config {
    /// Whether the file can be used now.
    pub fn check(&self, methods: &[&str]) -> Result<(), AccessError> {
        self.file.as_ref().map_or(Ok(()), |path| file::load(path, methods).map(|_| ()))
    }

    /// What the file says that has no effect, where client certificates are asked for or not.
    pub fn warnings(&self, methods: &[&str], certificates: bool) -> Vec<String> {
        let Some(path) = &self.file else { return Vec::new() };
        // One that cannot be used is a mistake, which `check` tells.
        let Ok((policy, _)) = file::load(path, methods) else { return Vec::new() };
        let of_file = |warning| format!("{}: {warning}", path.display());
        lint::warnings(&policy, certificates).into_iter().map(of_file).collect()
    }
}

// === impl Gate ===

impl Gate {
    /// `methods` are the names that rules may use.
    pub fn open(config: Config, methods: &[&str]) -> Result<Self, AccessError> {
        let current = config.file.as_ref().map(|path| file::load(path, methods)).transpose()?;
        let current = current.map(|(policy, digest)| Current { policy: Arc::new(policy), digest });
        Ok(Self {
            config,
            methods: methods.iter().map(|&name| name.to_owned()).collect(),
            current: RwLock::new(current),
            accounts: Arc::default(),
        })
    }

    /// Whether there is a file that could change.
    pub fn has_file(&self) -> bool {
        self.config.file.is_some()
    }

    pub fn admit(
        &self,
        credentials: &Credentials<'_>,
        action: Action<'_>,
        now: Instant,
    ) -> Result<Admitted, Refusal> {
        let policy = self.policy();
        let (caller, named, quota) = match policy {
            Some(policy) => {
                let Allowed { caller, quota } = policy.allow(credentials, action)?;
                (caller, true, quota)
            }
            None => match credentials.address {
                Some(address) => (network(address), false, self.config.quota),
                // Nothing to count by.
                None => return Ok(Admitted::default()),
            },
        };
        let counted = if quota.is_none() { Counted::Nothing } else { action.counted };
        let meter = || Meter::new(&self.accounts, caller.clone(), quota);
        let (permit, meter) = match counted {
            Counted::Nothing => (None, None),
            Counted::Call => (Some(meter().enter(now)?), None),
            Counted::Documents => (None, Some(meter())),
        };
        Ok(Admitted { caller: named.then_some(caller), permit, meter })
    }

    /// Looks at the file again. What cannot be used is logged, and the last good one stays. Blocks.
    pub fn reload(&self) {
        let Some(path) = &self.config.file else { return };
        let methods: Vec<&str> = self.methods.iter().map(String::as_str).collect();
        match file::load(path, &methods) {
            Ok((policy, digest)) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                if current.as_ref().is_none_or(|current| current.digest != digest) {
                    *current = Some(Current { policy: Arc::new(policy), digest });
                    tracing::info!(path = %path.display(), "the changed access file is in force");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the access file cannot be used; the last one stays");
            }
        }
    }

    fn policy(&self) -> Option<Arc<Policy>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|current| Arc::clone(&current.policy))
    }
}

/// What counts as one address: of IPv6 the network that one customer gets.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}
