//! Any bytes as a request message: it is decoded or refused, and what was decoded says the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use tessera::pb::v1::ExtractRequest;

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = ExtractRequest::decode(bytes) else { return };
    let again = ExtractRequest::decode(request.encode_to_vec().as_slice()).expect("own bytes");
    // By their text: a NaN is not equal to itself.
    assert_eq!(format!("{request:?}"), format!("{again:?}"));
});
