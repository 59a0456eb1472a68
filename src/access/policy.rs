//! From credentials to a caller, and from a caller to a rule.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::jwt::Verifier;
use super::quota::Quota;
use super::{ANONYMOUS, Action, Credentials};

/// Why a call is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "no credentials: send `authorization: Bearer TOKEN`, `x-api-key: KEY`, or a client certificate"
    )]
    Missing,
    #[error("the credentials are not valid: {why}")]
    Invalid { why: &'static str },
    #[error("{caller} may not call {action}")]
    NotAllowed { caller: String, action: String },
    #[error("{caller} has {limit} documents in flight, which is its quota")]
    InFlight { caller: String, limit: u32, retry_after: Duration },
    #[error("{caller} has begun {limit} documents within a minute, which is its quota")]
    Rate { caller: String, limit: u32, retry_after: Duration },
}

/// All that an access file says.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) jwt: Option<Verifier>,
    pub(super) keys: Vec<Key>,
    pub(super) rules: Vec<Rule>,
}

/// An API key, of which only the digest is known.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) sha256: [u8; 32],
}

#[derive(Debug)]
pub(super) struct Rule {
    /// Names, or beginnings of names before a `*`.
    pub(super) callers: Vec<String>,
    /// Method names, or `*`.
    pub(super) methods: Vec<String>,
    pub(super) quota: Quota,
}

/// A caller that may do what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) caller: String,
    pub(super) quota: Quota,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("name", &self.name).finish_non_exhaustive()
    }
}

// === impl Policy ===

impl Policy {
    pub(super) fn new(jwt: Option<Verifier>, keys: Vec<Key>, rules: Vec<Rule>) -> Self {
        Self { jwt, keys, rules }
    }

    pub(super) fn allow(
        &self,
        credentials: &Credentials<'_>,
        action: Action<'_>,
    ) -> Result<Allowed, Refusal> {
        let callers = self.callers(credentials)?;
        let named = |rule: &&Rule| callers.iter().find(|caller| rule.names(caller));
        let Some((rule, caller)) =
            self.rules.iter().find_map(|rule| named(&rule).map(|caller| (rule, caller)))
        else {
            return Err(match callers.into_iter().next() {
                Some(caller) if caller != ANONYMOUS => {
                    Refusal::NotAllowed { caller, action: action.name.to_owned() }
                }
                _ => Refusal::Missing,
            });
        };
        let allowed = rule.methods.iter().any(|method| method == "*" || method == action.name);
        if !allowed {
            // Whoever showed nothing may still show something.
            return Err(if caller == ANONYMOUS {
                Refusal::Missing
            } else {
                Refusal::NotAllowed { caller: caller.clone(), action: action.name.to_owned() }
            });
        }
        Ok(Allowed { caller: caller.clone(), quota: rule.quota })
    }

    /// Every name of the caller, the token's first. A token that does not hold is a refusal, whatever
    /// else was shown.
    fn callers(&self, credentials: &Credentials<'_>) -> Result<Vec<String>, Refusal> {
        let mut callers = Vec::new();
        if let Some(token) = credentials.token {
            callers.push(self.token(token).map_err(|why| Refusal::Invalid { why })?);
        }
        callers.extend_from_slice(credentials.certificate);
        if callers.is_empty() {
            callers.push(ANONYMOUS.to_owned());
        }
        Ok(callers)
    }

    fn token(&self, token: &str) -> Result<String, &'static str> {
        // A digest tells nothing by how long its comparison takes.
        let sha256: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(key) = self.keys.iter().find(|key| key.sha256 == sha256) {
            return Ok(format!("key:{}", key.name));
        }
        match &self.jwt {
            Some(jwt) if token.matches('.').count() == 2 => {
                jwt.subject(token).map(|subject| format!("jwt:{subject}"))
            }
            _ => Err("no such key"),
        }
    }
}

// === impl Rule ===

impl Rule {
    fn names(&self, caller: &str) -> bool {
        self.callers.iter().any(|pattern| match pattern.strip_suffix('*') {
            // Everybody who is somebody: strangers have to be named.
            Some("") => caller != ANONYMOUS,
            Some(start) => caller.starts_with(start),
            None => pattern == caller,
        })
    }
}
