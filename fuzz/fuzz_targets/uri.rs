//! Any text as a file's URI: what is taken names a listed origin, to whoever else reads it too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera_fuzz::uri;
use url::{Host, ParseError, Url};

fuzz_target!(|text: &str| {
    let Some(target) = uri::target(text) else { return };
    let (scheme, host, port) = (target.scheme(), target.host(), target.port());

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
