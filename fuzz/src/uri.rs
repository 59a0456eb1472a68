//! Any text as a file's URI: what is taken names a listed origin.

use std::sync::LazyLock;

use tessera::fetch::{Origins, Target};

const LISTED: [&str; 5] = [
    "https://docs.example.com",
    "https://*.files.example.com",
    "http://10.1.2.3:8080",
    "https://[2001:db8::1]",
    "http://scans.example.com:81",
];

static ORIGINS: LazyLock<Origins> = LazyLock::new(|| {
    Origins::new(LISTED.map(|origin| origin.parse().expect("an origin")).to_vec())
});

/// What `text` names, if it is taken.
pub fn target(text: &str) -> Option<Target> {
    let target = Target::parse(text, &ORIGINS).ok()?;
    let (scheme, host, port) = (target.scheme(), target.host(), target.port());
    let is_listed = match (scheme, host.as_str(), port) {
        ("https", "docs.example.com" | "[2001:db8::1]", 443)
        | ("http", "10.1.2.3", 8080)
        | ("http", "scans.example.com", 81) => true,
        ("https", host, 443) => host
            .strip_suffix(".files.example.com")
            .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        _ => false,
    };
    assert!(is_listed, "{text:?} is {scheme}://{host}:{port}");
    Some(target)
}
