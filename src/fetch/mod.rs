//! Files that a request names by URI: which may be asked for, and how they are got. Knows no gRPC method.
//!
//! Whoever may name a place to fetch from makes the server call out in its own name (SSRF), to where a caller
//! cannot reach. So an operator lists origins, of which there are none by default; each name is looked up once,
//! every address that it has must be public or of a network that the operator listed, and the connection goes to
//! the very address that was looked at. Nothing is followed, unpacked or sent along.

mod get;
mod network;
mod origin;
mod resolve;
mod tls;
mod uri;

use std::path::PathBuf;
use std::time::Duration;

pub use get::{FetchError, Fetcher, Unreachable};
pub use network::{Network, Networks};
pub use origin::{Allowed, Origins};
pub use resolve::{Resolve, Resolving};
pub use tls::RootsError;
pub use uri::{Target, UriError};

use crate::limits;

/// What an operator can set about files by URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// At least one.
    pub origins: Vec<Allowed>,
    /// Addresses that are not public and may be called all the same.
    pub networks: Vec<Network>,
    /// What the files of one request may take together.
    pub timeout: Duration,
    /// Files that are fetched at once.
    pub at_once: usize,
    /// Certificates of authorities that count beside the machine's own, in PEM.
    pub authorities: Option<PathBuf>,
}

impl Config {
    /// The defaults for these origins.
    pub fn new(origins: Vec<Allowed>) -> Self {
        Self {
            origins,
            networks: Vec::new(),
            timeout: Duration::from_millis(limits::FETCH_MS_DEFAULT),
            at_once: limits::FETCHES_DEFAULT,
            authorities: None,
        }
    }

    /// What is right and may not be what was meant.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for origin in &self.origins {
            if let Some(parent) = origin.parent() {
                warnings.push(format!(
                    "{origin} lets in every name below {parent}: whoever can have one there decides what the \
                     server fetches; name the hosts"
                ));
            }
            if !origin.is_tls() {
                warnings.push(format!(
                    "{origin} is not encrypted: files, and signatures in their URIs, can be read and changed on \
                     the way; serve it over https"
                ));
            }
        }
        warnings.extend(self.networks.iter().filter_map(Network::risk));
        warnings
    }
}

#[cfg(test)]
mod tests;
