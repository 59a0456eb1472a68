//! URIs as they may come from strangers: one form, and nothing that two readers could read in two ways.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::uri::PathAndQuery;

use super::origin::Origins;
use crate::limits;

/// Bytes of a host's name, and of one label of it, as DNS has them.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) tls: bool,
    pub(super) host: Host,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// In lower case.
    Name(String),
    Address(IpAddr),
}

/// A file of an origin that may be asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub(super) origin: Origin,
    pub(super) path: PathAndQuery,
}

/// Why a text names no file that may be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    #[error("has {bytes} bytes, the most is {bytes_max}", bytes_max = limits::URI_BYTES_MAX)]
    TooLong { bytes: usize },
    #[error("has a character that is not visible ASCII, or that no URI has: percent-encode it")]
    Character,
    #[error("has a % that begins no two hexadecimal digits: write %25 for the sign itself")]
    Escape,
    #[error("does not begin with https:// or http://")]
    Scheme,
    #[error("has a user name or a password: leave them out")]
    User,
    #[error("has a fragment (#), which no server is sent: leave it out")]
    Fragment,
    #[error("names no host as it should: give HOST or HOST:PORT, without a dot at the end")]
    Host,
    #[error("names a port that is none: give 1 to 65535")]
    Port,
    #[error(
        "is of {origin}, which this server does not fetch from: capabilities of ModelInfo has the origins"
    )]
    NotListed { origin: String },
}

// === impl Target ===

impl Target {
    /// The file that `text` names, where its origin is one of `origins`.
    pub fn parse(text: &str, origins: &Origins) -> Result<Self, UriError> {
        if text.len() > limits::URI_BYTES_MAX {
            return Err(UriError::TooLong { bytes: text.len() });
        }
        check_characters(text)?;
        if text.contains('#') {
            return Err(UriError::Fragment);
        }
        let (origin, rest) = Origin::split(text)?;
        if !origins.allow(&origin) {
            return Err(UriError::NotListed { origin: origin.to_string() });
        }
        let rest = match rest.as_bytes().first() {
            Some(b'/') => rest.to_owned(),
            _ => format!("/{rest}"),
        };
        let path = PathAndQuery::try_from(rest).map_err(|_| UriError::Character)?;
        Ok(Self { origin, path })
    }

    /// The name or address that is asked; for logs and traces.
    pub fn host(&self) -> String {
        self.origin.host.to_string()
    }

    pub fn port(&self) -> u16 {
        self.origin.port
    }

    pub fn scheme(&self) -> &'static str {
        self.origin.scheme()
    }
}

impl fmt::Debug for Target {
    /// Never what stands behind `?`: whoever has a signed URI has the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path.path())?;
        f.write_str(if self.path.query().is_some() { "?…" } else { "" })
    }
}

// === impl Origin ===

impl Origin {
    /// The origin at the beginning of `text`, and what follows it.
    pub(super) fn split(text: &str) -> Result<(Self, &str), UriError> {
        let (tls, host, port, rest) = split(text)?;
        Ok((Self { tls, host: Host::parse(host)?, port }, rest))
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// What `Host` has: the port only where it is not the scheme's own.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if *port == default_port(self.tls) { host.to_string() } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())
    }
}

/// Whether it is TLS, the host as written, the port, and what follows.
pub(super) fn split(text: &str) -> Result<(bool, &str, u16, &str), UriError> {
    let (scheme, rest) = text.split_once("://").ok_or(UriError::Scheme)?;
    let tls = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => true,
        _ if scheme.eq_ignore_ascii_case("http") => false,
        _ => return Err(UriError::Scheme),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.contains('@') {
        return Err(UriError::User);
    }
    // Colons are in addresses of IPv6 too.
    let behind_address = authority.find(']').map_or(0, |at| at + 1);
    let colon = authority[behind_address..].find(':').map(|at| at + behind_address);
    let (host, port) = match colon {
        None => (authority, default_port(tls)),
        Some(at) => (&authority[..at], port(&authority[at + 1..])?),
    };
    Ok((tls, host, port, rest))
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn port(text: &str) -> Result<u16, UriError> {
    let plain = !text.starts_with('0') && text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|_| plain).ok_or(UriError::Port)
}

/// Visible ASCII that a URI may have, and escapes that are whole.
fn check_characters(text: &str) -> Result<(), UriError> {
    let bytes = text.as_bytes();
    if !bytes.iter().all(|c| c.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(c)) {
        return Err(UriError::Character);
    }
    let mut escapes = text.split('%').skip(1);
    let is_whole = |escape: &str| {
        escape.len() >= 2 && escape.bytes().take(2).all(|digit| digit.is_ascii_hexdigit())
    };
    if escapes.all(is_whole) { Ok(()) } else { Err(UriError::Escape) }
}

// === impl Host ===

impl Host {
    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        if let Some(inside) = text.strip_prefix('[') {
            let inside = inside.strip_suffix(']').ok_or(UriError::Host)?;
            let address: Ipv6Addr = inside.parse().map_err(|_| UriError::Host)?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        // What ends in a number is an address to many programs, in forms of which there are too many.
        let labels = || text.split('.');
        let last = labels().next_back().unwrap_or_default();
        let is_number = last.starts_with(|c: char| c.is_ascii_digit())
            && (last.bytes().all(|c| c.is_ascii_digit()) || last[1..].starts_with(['x', 'X']));
        if is_number || text.len() > NAME_BYTES_MAX || !labels().all(is_label) {
            return Err(UriError::Host);
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

/// Letters, digits and hyphens, which are neither its first nor its last.
pub(super) fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origins(list: &[&str]) -> Origins {
        Origins::new(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn parse(text: &str) -> Result<Target, UriError> {
        let listed = ["https://docs.example.com", "http://10.0.0.7:9000", "https://[2a00::1]"];
        Target::parse(text, &origins(&listed))
    }

    #[test]
    fn one_form_is_taken() {
        for (text, authority, path) in [
            ("https://docs.example.com/a.png", "docs.example.com", "/a.png"),
            ("HTTPS://Docs.Example.COM:443/A?b=%2F&c", "docs.example.com", "/A?b=%2F&c"),
            ("https://docs.example.com", "docs.example.com", "/"),
            ("https://docs.example.com?x=1", "docs.example.com", "/?x=1"),
            ("http://10.0.0.7:9000/a/../b", "10.0.0.7:9000", "/a/../b"),
            ("https://[2A00:0::1]/a", "[2a00::1]", "/a"),
        ] {
            let target = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (target.origin.authority().as_str(), target.path.as_str()),
                (authority, path)
            );
        }
    }

    #[test]
    fn whatever_could_be_read_in_two_ways_is_refused() {
        use UriError::{Character, Escape, Fragment, Host, Port, Scheme, User};
        for (text, error) in [
            ("", Scheme),
            ("docs.example.com/a", Scheme),
            ("//docs.example.com/a", Scheme),
            ("ftp://docs.example.com/a", Scheme),
            ("file:///etc/passwd", Scheme),
            ("gopher://docs.example.com/", Scheme),
            ("https:docs.example.com", Scheme),
            ("https:///a", Host),
            ("https://", Host),
            ("https://user@docs.example.com/a", User),
            ("https://docs.example.com:443@evil.example/a", User),
            ("https://docs.example.com@evil.example/a", User),
            ("https://evil.example#@docs.example.com/a", Fragment),
            ("https://docs.example.com/a#b", Fragment),
            ("https://docs.example.com\\@evil.example/a", Character),
            ("https://docs.example.com/a b", Character),
            ("https://docs.example.com/a\r\nHost: b", Character),
            ("https://docs.example.com/ä", Character),
            ("https://döcs.example.com/a", Character),
            ("https://docs.example.com/\u{0}", Character),
            ("https://docs.example.com/%", Escape),
            ("https://docs.example.com/%2", Escape),
            ("https://docs.example.com/%zz", Escape),
            ("https://docs%2eexample.com/a", Host),
            ("https://docs.example.com./a", Host),
            ("https://.docs.example.com/a", Host),
            ("https://docs..example.com/a", Host),
            ("https://-docs.example.com/a", Host),
            ("https://docs_.example.com/a", Host),
            ("https://*.example.com/a", Host),
            ("https://[::1/a", Port),
            ("https://[::1]x/a", Host),
            ("https://[fe80::1%25eth0]/a", Host),
            // Loopback, as some programs read it.
            ("https://127.1/a", Host),
            ("https://2130706433/a", Host),
            ("https://0x7f.0.0.1/a", Host),
            ("https://0x7f000001/a", Host),
            ("https://0177.0.0.1/a", Host),
            ("https://127.0.0.0x1/a", Host),
            ("https://docs.example.com:/a", Port),
            ("https://docs.example.com:0/a", Port),
            ("https://docs.example.com:0443/a", Port),
            ("https://docs.example.com:+443/a", Port),
            ("https://docs.example.com:65536/a", Port),
            ("https://docs.example.com:443:443/a", Port),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        let long = format!("https://docs.example.com/{}", "a".repeat(limits::URI_BYTES_MAX));
        assert_eq!(parse(&long), Err(UriError::TooLong { bytes: long.len() }));
    }

    #[test]
    fn other_origins_are_named_without_their_path() {
        for (text, origin) in [
            ("http://docs.example.com/a", "http://docs.example.com"),
            ("https://docs.example.com:8443/a", "https://docs.example.com:8443"),
            ("https://evil.example/docs.example.com?secret=1", "https://evil.example"),
            ("https://docs.example.com.evil.example/", "https://docs.example.com.evil.example"),
            ("https://xdocs.example.com/", "https://xdocs.example.com"),
            ("https://127.0.0.1/", "https://127.0.0.1"),
            ("http://10.0.0.7/", "http://10.0.0.7"),
            ("http://[::ffff:10.0.0.7]:9000/", "http://[::ffff:10.0.0.7]:9000"),
        ] {
            assert_eq!(
                parse(text),
                Err(UriError::NotListed { origin: origin.to_owned() }),
                "{text}"
            );
        }
    }

    #[test]
    fn signatures_are_not_shown() {
        let target = parse("https://docs.example.com/a.png?X-Signature=secret").unwrap();
        assert_eq!(format!("{target:?}"), "https://docs.example.com/a.png?…");
    }

    proptest! {
        /// Whatever is taken is of a listed origin in the eyes of another reader too.
        #[test]
        fn others_read_the_same_host(
            text in "(https?://)?[a-z.@:/#?%\\\\\\[\\]0-9]{0,12}(docs\\.example\\.com)?[a-z.@:/#?%\\\\0-9]{0,12}",
        ) {
            if let Ok(target) = parse(&text) {
                let other: http::Uri = text.parse().unwrap();
                prop_assert_eq!(other.host().unwrap().to_lowercase(), target.host());
                prop_assert_eq!(other.port_u16().unwrap_or(default_port(target.origin.tls)), target.port());
            }
        }
    }
}
