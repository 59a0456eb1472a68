//! The playground: a page on which people drop a document and watch its form fill. Its files are in the
//! binary; what it shows comes from the API, as for any other client.
//!
//! `app.js` is made from `clients/web/playground`; the other files are written here.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Body as FileBody;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tonic::body::Body;

/// Only the page's own files and the API of the same server; no markup from scripts. `blob:` is for
/// thumbnails and downloads of what the person brought.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'";

/// What every file of the page is sent with.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // A new server may have a new page; the tag below makes asking cheap.
    (header::CACHE_CONTROL, "no-cache"),
];

/// A file of the page.
struct File {
    path: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/samples/", $name))
    };
}

const FILES: [File; 7] = [
    File::new("/", "text/html; charset=utf-8", include_bytes!("playground/index.html")),
    File::new("/app.css", "text/css; charset=utf-8", include_bytes!("playground/app.css")),
    File::new("/app.js", "text/javascript; charset=utf-8", include_bytes!("playground/app.js")),
    File::new("/icon.svg", "image/svg+xml", include_bytes!("playground/icon.svg")),
    File::new("/samples/receipt.png", "image/png", sample!("receipt-01.png")),
    File::new("/samples/invoice.png", "image/png", sample!("invoice-01.png")),
    File::new("/samples/bank-statement.png", "image/png", sample!("bank-statement-01.png")),
];

/// Entity tags of `FILES`, in their order.
static TAGS: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| FILES.iter().map(File::tag).collect());

impl File {
    const fn new(path: &'static str, media_type: &'static str, content: &'static [u8]) -> Self {
        Self { path, media_type, content }
    }

    fn tag(&self) -> HeaderValue {
        let digest = Sha256::digest(self.content);
        let mut tag = String::from('"');
        for byte in &digest[..12] {
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""))
    }
}

/// The answer to GET or HEAD of `path`; none: the page has no such file.
pub(super) fn answer(path: &str, asked: &HeaderMap) -> Option<Response<Body>> {
    let index = FILES.iter().position(|file| file.path == path)?;
    let (file, tag) = (&FILES[index], &TAGS[index]);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, tag.clone());
    if asked.get(header::IF_NONE_MATCH) == Some(tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
        *response.body_mut() = Body::new(FileBody::from(file.content));
    }
    Some(response)
}
