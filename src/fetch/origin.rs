//! The origins that an operator lists.

use std::fmt;
use std::str::FromStr;

use super::uri::{self, Host, Origin, UriError};

/// Labels that must stand behind `*.`: of one alone, everybody can have names below it.
const PARENT_LABELS_MIN: usize = 2;

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// As it was written, in lower case.
    text: String,
    tls: bool,
    host: Pattern,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    One(Host),
    /// Names of one label more than this one has.
    Below(String),
}

/// Why a text is no entry of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("{0}")]
    Uri(#[from] UriError),
    #[error("has more than scheme, host and port")]
    Path,
    #[error("has a * that is not the whole first label, or has too little behind it")]
    Wildcard,
}

/// The whole list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<Allowed>);

// === impl Allowed ===

impl Allowed {
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// With a wildcard, the name that stands behind it.
    pub fn parent(&self) -> Option<&str> {
        match &self.host {
            Pattern::Below(parent) => Some(parent),
            Pattern::One(_) => None,
        }
    }

    /// The address, where no name is listed but that.
    pub fn address(&self) -> Option<std::net::IpAddr> {
        match &self.host {
            Pattern::One(Host::Address(address)) => Some(*address),
            _ => None,
        }
    }

    fn allows(&self, origin: &Origin) -> bool {
        let host = match (&self.host, &origin.host) {
            (Pattern::One(own), other) => own == other,
            (Pattern::Below(parent), Host::Name(name)) => {
                name.split_once('.').is_some_and(|(_, rest)| rest == parent)
            }
            (Pattern::Below(_), Host::Address(_)) => false,
        };
        host && (self.tls, self.port) == (origin.tls, origin.port)
    }
}

impl FromStr for Allowed {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (tls, host, port, rest) = uri::split(text)?;
        if !rest.is_empty() {
            return Err(OriginError::Path);
        }
        let host = match host.strip_prefix("*.") {
            None if host.contains('*') => return Err(OriginError::Wildcard),
            None => Pattern::One(Host::parse(host)?),
            Some(parent) => match Host::parse(parent) {
                Ok(Host::Name(name)) if name.split('.').count() >= PARENT_LABELS_MIN => {
                    Pattern::Below(name)
                }
                _ => return Err(OriginError::Wildcard),
            },
        };
        Ok(Self { text: text.to_ascii_lowercase(), tls, host, port })
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl Origins ===

impl Origins {
    pub fn new(listed: Vec<Allowed>) -> Self {
        Self(listed)
    }

    /// As an operator wrote them.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }

    pub(super) fn allow(&self, origin: &Origin) -> bool {
        self.0.iter().any(|allowed| allowed.allows(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Target;

    fn allows(listed: &str, uri: &str) -> bool {
        let origins = Origins::new(vec![listed.parse().unwrap()]);
        match Target::parse(uri, &origins) {
            Ok(_) => true,
            Err(UriError::NotListed { .. }) => false,
            Err(error) => panic!("{uri}: {error}"),
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (listed, well, not) in [
            ("https://a.example", "https://A.example:443/x", "https://a.example:444/x"),
            ("https://A.Example:8443", "https://a.example:8443/x", "https://a.example/x"),
            ("http://a.example", "http://a.example/x", "https://a.example/x"),
            ("https://a.example", "https://a.example/", "http://a.example:443/"),
            ("http://10.0.0.7:9000", "http://10.0.0.7:9000/", "http://10.0.0.8:9000/"),
            ("https://[FD00::1]", "https://[fd00:0::1]/", "https://[fd00::2]/"),
            ("https://*.s3.example", "https://bucket.s3.example/x", "https://s3.example/x"),
            ("https://*.s3.example", "https://b.S3.example/", "https://b.c.s3.example/x"),
            ("https://*.s3.example", "https://b.s3.example/", "https://bs3.example/"),
            ("https://*.s3.example", "https://b.s3.example/", "https://b.s3.example.evil.example/"),
        ] {
            assert!(allows(listed, well), "{listed} {well}");
            assert!(!allows(listed, not), "{listed} {not}");
        }
    }

    #[test]
    fn entries_that_are_none() {
        for text in [
            "",
            "*",
            "a.example",
            "https://",
            "https://*",
            "https://*.com",
            "https://*.",
            "https://a.*.example.com",
            "https://a*.example.com",
            "https://**.example.com",
            "https://*.10.0.0.1",
            "https://a.example/",
            "https://a.example/path",
            "https://a.example?x",
            "https://user@a.example",
            "https://a.example:0",
            "https://a.example:*",
            "ftp://a.example",
        ] {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
    }
}
