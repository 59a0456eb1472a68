//! Any text as a file's URI: what is taken names a listed origin, to whoever else reads it too.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tessera::fetch::{Origins, Target};
use url::{Host, ParseError, Url};

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

fuzz_target!(|text: &str| {
    let Ok(target) = Target::parse(text, &ORIGINS) else { return };
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

    // What a browser's parser reads in it: a filter and a client that disagree are how filters are passed.
    let url = match Url::parse(text) {
        // `xn--` that is no Punycode: a browser reads nothing in it, and the server asks for the name as it stands,
        // which is a listed one.
        Err(ParseError::IdnaError) if host.split('.').any(|label| label.starts_with("xn--")) => {
            return;
        }
        read => read.expect("a URI that others can read"),
    };
    assert_eq!((url.scheme(), url.port_or_known_default()), (scheme, Some(port)));
    let read = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => format!("[{address}]"),
        None => String::new(),
    };
    assert_eq!(read, host);
    assert!(url.username().is_empty() && url.password().is_none());
});
