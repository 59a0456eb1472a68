//! Any bytes as a request message: it is decoded or refused, and what was decoded says the same again.

use prost::Message as _;
use tessera::pb::v1::ExtractRequest;

/// The request that `bytes` are, if they are one.
pub fn decoded(bytes: &[u8]) -> Option<ExtractRequest> {
    let request = ExtractRequest::decode(bytes).ok()?;
    let again = ExtractRequest::decode(request.encode_to_vec().as_slice()).expect("own bytes");
    // By their text: a NaN is not equal to itself.
    assert_eq!(format!("{request:?}"), format!("{again:?}"));
    Some(request)
}
