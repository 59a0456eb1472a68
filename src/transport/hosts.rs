//! The names under which a browser may reach a port.
//!
//! A page whose own name was made to point to this machine (DNS rebinding) is of the same origin as what
//! answers there: neither CORS nor a firewall stands against it. The name that it calls by does.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Uri, header};

/// Which host a request may be for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    Any,
    /// IP addresses, which nobody can make point elsewhere, `localhost`, and these, in lower case.
    Only(Vec<String>),
}

impl Hosts {
    /// What an operator has named; `*` is every name. Unset: on loopback no further name, since who calls
    /// by one there is a page that should not be; elsewhere any, since only the operator knows which are
    /// the server's.
    pub fn of(address: SocketAddr, named: Option<&[String]>) -> Self {
        match named {
            Some(names) if names.iter().any(|name| name == "*") => Self::Any,
            Some(names) => Self::Only(names.iter().map(|name| name.to_ascii_lowercase()).collect()),
            None if address.ip().is_loopback() => Self::Only(Vec::new()),
            None => Self::Any,
        }
    }

    /// Whether a request with this target and these headers may be answered. Browsers always name a host:
    /// a request without one comes from none.
    pub fn allow(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let Self::Only(names) = self else { return true };
        let known = |host: &str| is_own(host) || names.contains(&host.to_ascii_lowercase());
        let header = headers.get(header::HOST).map(|host| host.to_str().ok().and_then(bare));
        uri.host().is_none_or(|host| known(without_brackets(host)))
            && header.is_none_or(|host| host.is_some_and(known))
    }
}

/// The host of `HOST[:PORT]`; none: it is none.
fn bare(value: &str) -> Option<&str> {
    let value = value.trim();
    if let Some(rest) = value.strip_prefix('[') {
        return rest.split_once(']').map(|(host, _)| host);
    }
    let host = value.split_once(':').map_or(value, |(host, _)| host);
    (!host.is_empty()).then_some(host)
}

fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_own(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        // Browsers take these to loopback without asking anybody.
        || host.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(hosts: &Hosts, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        hosts.allow(&Uri::from_static("/"), &headers)
    }

    #[test]
    fn loopback_answers_to_its_own_names_only() {
        let hosts = Hosts::of(([127, 0, 0, 1], 50051).into(), None);
        for host in [
            "localhost:50051",
            "LOCALHOST",
            "127.0.0.1:50051",
            "[::1]:50051",
            "10.0.0.5",
            "a.localhost:1",
        ] {
            assert!(allows(&hosts, host), "{host}");
        }
        for host in [
            "evil.example:50051",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example",
            ":1",
            "",
        ] {
            assert!(!allows(&hosts, host), "{host}");
        }
        // Without a host no browser has sent it.
        assert!(hosts.allow(&Uri::from_static("/"), &HeaderMap::new()));
    }

    #[test]
    fn the_target_counts_beside_the_header() {
        let hosts = Hosts::of(([127, 0, 0, 1], 50051).into(), None);
        let mut headers = HeaderMap::new();
        assert!(!hosts.allow(&Uri::from_static("http://evil.example:50051/"), &headers));
        assert!(hosts.allow(&Uri::from_static("http://[::1]:50051/"), &headers));
        headers.insert(header::HOST, "localhost".parse().unwrap());
        assert!(!hosts.allow(&Uri::from_static("http://evil.example/"), &headers));
    }

    #[test]
    fn names_are_the_operators() {
        let named = ["Tessera.example".to_owned()];
        let hosts = Hosts::of(([127, 0, 0, 1], 1).into(), Some(&named));
        assert!(allows(&hosts, "tessera.EXAMPLE:443") && allows(&hosts, "127.0.0.1"));
        assert!(!allows(&hosts, "evil.example"));
        let hosts = Hosts::of(([127, 0, 0, 1], 1).into(), Some(&["*".to_owned()]));
        assert!(allows(&hosts, "evil.example"));
        let hosts = Hosts::of(([0, 0, 0, 0], 1).into(), None);
        assert!(allows(&hosts, "tessera.tessera.svc.cluster.local:50051"));
    }
}
