//! Every failure as a client sees it.

use std::time::Duration;

use expect_test::{Expect, expect};
use tonic::metadata::MetadataValue;

use super::failure::VIOLATIONS_MAX;
use super::*;
use crate::device::Dtype;
use crate::prompt::PromptError;

fn check(status: &Status, expected: &Expect) {
    expected.assert_eq(&render(status));
}

fn failed(error: &EngineError) -> Status {
    super::failed(error, "prompt", &[])
}

const RETRY: Duration = Duration::from_millis(1500);

#[test]
fn queue_full() {
    let reject = Reject::QueueFull { queued: 256, retry_after: RETRY };
    check(
        &rejected(&reject),
        &expect![[r#"
        RESOURCE_EXHAUSTED: 256 requests are waiting already, the most this server queues
          ErrorInfo tessera QUEUE_FULL [("queued_requests", "256")]
          retry after Some(1.5s)
          grpc-retry-pushback-ms: 1500
    "#]],
    );
}

#[test]
fn loading() {
    let reject = Reject::Loading { message: "file 3 of 4".to_owned(), retry_after: RETRY };
    check(
        &rejected(&reject),
        &expect![[r#"
        UNAVAILABLE: the model is loading: file 3 of 4
          ErrorInfo tessera MODEL_LOADING []
          retry after Some(1.5s)
          grpc-retry-pushback-ms: 1500
    "#]],
    );
}

#[test]
fn draining() {
    check(
        &rejected(&Reject::Draining { retry_after: RETRY }),
        &expect![[r#"
        UNAVAILABLE: the server is draining
          ErrorInfo tessera DRAINING []
          retry after Some(1.5s)
          grpc-retry-pushback-ms: 1500
    "#]],
    );
}

#[test]
fn model_failed() {
    let reject = Reject::Failed { message: "no weights".to_owned() };
    check(
        &rejected(&reject),
        &expect![[r#"
        UNAVAILABLE: the model failed: no weights
          ErrorInfo tessera MODEL_FAILED []
    "#]],
    );
}

#[test]
fn model_poisoned() {
    let reject = Reject::Poisoned { message: "3 spoilt answers in a row".to_owned() };
    check(
        &rejected(&reject),
        &expect![[r#"
        UNAVAILABLE: the model takes no more requests: 3 spoilt answers in a row
          ErrorInfo tessera MODEL_POISONED []
    "#]],
    );
}

#[test]
fn a_file_that_is_no_image() {
    let source = DecodeError::NoPixels { page: 0, width_px: 0, height_px: 7 };
    check(
        &failed(&EngineError::Decode { file: 2, source }),
        &expect![[r#"
        INVALID_ARGUMENT: files[2].content: page 0 is 0x7 pixels; both sides need at least one pixel
          ErrorInfo tessera INVALID_FIELD []
          field files[2].content: page 0 is 0x7 pixels; both sides need at least one pixel
    "#]],
    );
}

#[test]
fn a_page_that_is_too_large() {
    let source = DecodeError::TooManyPixels {
        page: 0,
        width_px: 10_000,
        height_px: 10_000,
        pixels: 100_000_000,
        pixels_max: 64_000_000,
    };
    check(
        &failed(&EngineError::Decode { file: 0, source }),
        &expect![[r#"
        INVALID_ARGUMENT: files[0].content: page 0 is 10000x10000 = 100000000 pixels and the limit is 64000000; scale it down
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_page_pixels"), ("limit_value", "64000000"), ("value", "100000000")]
          field files[0].content: page 0 is 10000x10000 = 100000000 pixels and the limit is 64000000; scale it down
    "#]],
    );
}

#[test]
fn a_question_that_cannot_be_asked() {
    let error = PromptError::ImageMarks { marks: 3, pages: 2 };
    check(
        &failed(&EngineError::Prompt(error)),
        &expect![[r#"
        INVALID_ARGUMENT: prompt: the question has <image> 3 times for 2 pages: put it once for each page, or leave it out to have the pages first
          ErrorInfo tessera INVALID_FIELD []
          field prompt: the question has <image> 3 times for 2 pages: put it once for each page, or leave it out to have the pages first
    "#]],
    );
}

/// As many as headers have room for; how many there are is said.
#[test]
fn more_wrong_fields_than_are_named() {
    let violations = |count: usize| -> Vec<FieldViolation> {
        (0..count).map(|at| FieldViolation::new(format!("files[{at}].dpi"), "is 0")).collect()
    };
    let all = Failure::fields(Reason::InvalidField, violations(VIOLATIONS_MAX)).into_status();
    let details = all.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations.len(), VIOLATIONS_MAX);
    assert!(details.error_info().unwrap().metadata.is_empty(), "{}", render(&all));
    assert!(all.message().starts_with("files[0].dpi: is 0; "), "{}", all.message());

    let some = Failure::fields(Reason::InvalidField, violations(40)).into_status();
    let details = some.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations.len(), VIOLATIONS_MAX);
    assert_eq!(details.error_info().unwrap().metadata["wrong_fields"], "40");
    let expected = "40 things were found wrong, the first 12 are: files[0].dpi: is 0; ";
    assert!(some.message().starts_with(expected), "{}", some.message());
}

/// What is refused below all handlers says as much as what they refuse.
#[test]
fn failures_of_the_transport() {
    check(
        &explained(Status::out_of_range("found 70000000 bytes, the limit is 67108864")),
        &expect![[r#"
            OUT_OF_RANGE: found 70000000 bytes, the limit is 67108864
              ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_request_bytes"), ("limit_value", "67108864")]
        "#]],
    );
    check(
        &explained(Status::internal("failed to decode Protobuf message: buffer underflow")),
        &expect![[r#"
            INTERNAL: failed to decode Protobuf message: buffer underflow
              ErrorInfo tessera MALFORMED_MESSAGE []
        "#]],
    );
    let mut unknown = Status::unimplemented("no such method");
    unknown.metadata_mut().insert("grpc-accept-encoding", MetadataValue::from_static("gzip"));
    let unknown = explained(unknown);
    check(
        &unknown,
        &expect![[r#"
            UNIMPLEMENTED: no such method
              ErrorInfo tessera UNIMPLEMENTED []
        "#]],
    );
    assert_eq!(unknown.metadata().get("grpc-accept-encoding").unwrap(), "gzip");
    // Those of handlers, and of other services, stay what they are.
    for status in [panicked(), Status::not_found("unknown service")] {
        assert_eq!(render(&explained(status.clone())), render(&status));
    }
    check(
        &cancelled(),
        &expect![[r#"
            CANCELLED: cancelled by cancel_request_id
              ErrorInfo tessera CANCELLED []
        "#]],
    );
}

#[test]
fn a_prompt_that_the_server_cannot_make() {
    let error = PromptError::Encode { reason: "no merges".to_owned() };
    check(
        &failed(&EngineError::Prompt(error)),
        &expect![[r#"
        INTERNAL: cannot encode the prompt: no merges
          ErrorInfo tessera PROMPT []
    "#]],
    );
}

#[test]
fn too_many_pages() {
    check(
        &failed(&EngineError::TooManyPages { pages: 17, pages_max: 16 }),
        &expect![[r#"
        INVALID_ARGUMENT: files: the document has 17 pages, the most is 16: send fewer
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_pages"), ("limit_value", "16"), ("value", "17")]
          field files: the document has 17 pages, the most is 16: send fewer
    "#]],
    );
}

#[test]
fn too_many_tokens() {
    let error = EngineError::TooManyTokens { input_tokens: 9000, input_tokens_max: 8191 };
    check(
        &failed(&error),
        &expect![[r#"
        INVALID_ARGUMENT: files: the prompt takes 9000 tokens, the most is 8191: send fewer pages, lower max_tiles_per_page, or shorten the text
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_input_tokens"), ("limit_value", "8191"), ("value", "9000")]
          field files: the prompt takes 9000 tokens, the most is 8191: send fewer pages, lower max_tiles_per_page, or shorten the text
    "#]],
    );
}

#[test]
fn deadline_passed() {
    check(
        &failed(&EngineError::Deadline { phase: "decode" }),
        &expect![[r#"
        DEADLINE_EXCEEDED: the deadline passed in phase decode
          ErrorInfo tessera DEADLINE [("phase", "decode")]
    "#]],
    );
}

#[test]
fn slow_client() {
    check(
        &failed(&EngineError::SlowClient { waited_ms: 30_000 }),
        &expect![[r#"
        RESOURCE_EXHAUSTED: the reader took nothing for 30000 ms
          ErrorInfo tessera SLOW_CLIENT [("waited_ms", "30000")]
    "#]],
    );
}

#[test]
fn non_finite_logits() {
    check(
        &failed(&EngineError::NonFiniteLogits { step: 7, dtype: Dtype::F16, at: None }),
        &expect![[r#"
        INTERNAL: the logits of step 7 are not finite
          ErrorInfo tessera NON_FINITE_LOGITS [("dtype", "f16"), ("step", "7")]
    "#]],
    );
    let at = NonFinite {
        module: "language_model.model.layers.3".to_owned(),
        site: "mlp",
        device_id: "cuda:1".to_owned(),
        dtype: Dtype::F16,
    };
    check(
        &failed(&EngineError::NonFiniteLogits { step: 0, dtype: Dtype::F16, at: Some(at) }),
        &expect![[r#"
        INTERNAL: the logits of step 0 are not finite: language_model.model.layers.3 (mlp) on cuda:1 is the first that is not, in f16
          ErrorInfo tessera NON_FINITE_LOGITS [("device_id", "cuda:1"), ("dtype", "f16"), ("module", "language_model.model.layers.3"), ("site", "mlp"), ("step", "0")]
    "#]],
    );
}

#[test]
fn gibberish() {
    check(
        &failed(&EngineError::Gibberish { step: 70, bangs: 20, characters: 64 }),
        &expect![[r#"
        INTERNAL: the answer is gibberish at step 70: 20 of its last 64 characters are `!`
          ErrorInfo tessera GIBBERISH [("ratio", "0.31"), ("rule", "exclamation_marks"), ("step", "70")]
    "#]],
    );
}

#[test]
fn repetition() {
    check(
        &failed(&EngineError::Repetition { step: 800, period: 3, count: 256, probability: None }),
        &expect![[r#"
        INTERNAL: the answer is a loop at step 800: the same 3 tokens 256 times in a row: ask for fewer pages or fields at once; where the document does repeat so, the server needs a higher --guard-repeat
          ErrorInfo tessera REPETITION [("count", "256"), ("period", "3"), ("rule", "token_loop"), ("step", "800")]
    "#]],
    );
    let probability = Some(0.0123);
    check(
        &failed(&EngineError::Repetition { step: 90, period: 4, count: 16, probability }),
        &expect![[r#"
        INTERNAL: the answer is a loop at step 90: the same 4 tokens 16 times in a row, each of which it held for unlikely itself (0.012): ask for fewer pages or fields at once; where the document does repeat so, the server needs a lower --guard-unsure
          ErrorInfo tessera REPETITION [("count", "16"), ("period", "4"), ("probability", "0.0123"), ("rule", "unsure_loop"), ("step", "90")]
    "#]],
    );
}

#[test]
fn out_of_memory() {
    let error = RunError::OutOfMemory {
        device_id: "cuda:0".to_owned(),
        message: "2 GiB asked, 1 GiB free".to_owned(),
    };
    check(
        &failed(&EngineError::Run(error)),
        &expect![[r#"
        RESOURCE_EXHAUSTED: out of memory on cuda:0: 2 GiB asked, 1 GiB free
          ErrorInfo tessera REQUEST_TOO_LARGE_FOR_MEMORY [("device_id", "cuda:0")]
    "#]],
    );
}

#[test]
fn device_error() {
    let error = RunError::Device { site: "attention", message: "illegal address".to_owned() };
    check(
        &failed(&EngineError::Run(error)),
        &expect![[r#"
        INTERNAL: forward pass failed in attention: illegal address
          ErrorInfo tessera DEVICE_ERROR [("site", "attention")]
    "#]],
    );
}

#[test]
fn stopped() {
    check(
        &failed(&EngineError::Stopped),
        &expect![[r#"
        UNAVAILABLE: the server stopped before the answer was whole
          ErrorInfo tessera DRAIN_TIMEOUT []
          retry after Some(1s)
          grpc-retry-pushback-ms: 1000
    "#]],
    );
}

#[test]
fn a_panic_keeps_its_text_to_itself() {
    let error = EngineError::Panicked { message: "index 3 of customer Jane Doe".to_owned() };
    check(
        &failed(&error),
        &expect![[r#"
        INTERNAL: a bug in the server ended the call; its log says more
          ErrorInfo tessera BUG []
    "#]],
    );
}

#[test]
fn unknown_model() {
    check(
        &model_not_found("gpt-5", "internvl3-8b"),
        &expect![[r#"
        NOT_FOUND: no model "gpt-5" here; this server has "internvl3-8b"
          ErrorInfo tessera MODEL_NOT_FOUND [("model", "internvl3-8b")]
          resource model "gpt-5"
    "#]],
    );
}

#[test]
fn a_status_fits_into_headers() {
    let violations = (0..1000)
        .map(|index| FieldViolation::new(format!("event_kinds[{index}]"), "é".repeat(1000)));
    let deep = (0..1000)
        .map(|_| FieldViolation::new("schema.field_list.fields[7]".repeat(90), "é".repeat(1000)));
    let name = "n".repeat(100_000);
    let message = "m".repeat(100_000);
    let device = RunError::Device { site: "attention", message };
    for status in [
        Failure::fields(Reason::InvalidField, violations.collect()).into_status(),
        Failure::fields(Reason::InvalidField, deep.collect()).into_status(),
        too_much_besides_files("schema"),
        answer_too_large(usize::MAX),
        model_not_found(&name, "internvl3-8b"),
        failed(&EngineError::Run(device)),
    ] {
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let size: usize = headers.iter().map(|(k, v)| k.as_str().len() + v.len() + 32).sum();
        assert!(size < 8 << 10, "{size} bytes: {status:?}");
    }
}

#[test]
fn too_much_that_is_no_file() {
    check(
        &too_much_besides_files("schema"),
        &expect![[r#"
        INVALID_ARGUMENT: schema: with all that is no content of a file the request has more than 262144 bytes: shorten it, or ask in several requests
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_bytes_besides_files"), ("limit_value", "262144"), ("value", "over 262144")]
          field schema: with all that is no content of a file the request has more than 262144 bytes: shorten it, or ask in several requests
    "#]],
    );
}

#[test]
fn an_answer_larger_than_clients_take() {
    check(
        &answer_too_large(5_000_000),
        &expect![[r#"
        RESOURCE_EXHAUSTED: a message of the answer has 5000000 bytes, the most is 4193280: ask for fewer output tokens, or in several requests
          ErrorInfo tessera ANSWER_TOO_LARGE [("limit", "max_event_bytes"), ("limit_value", "4193280"), ("value", "5000000")]
    "#]],
    );
}

#[test]
fn files_that_could_not_be_fetched() {
    check(
        &not_fetched(1, &FetchError::Late),
        &expect![[r#"
        UNAVAILABLE: files[1].uri: the file did not come whole in time
          ErrorInfo tessera FETCH_FAILED [("why", "late")]
          field files[1].uri: the file did not come whole in time
          retry after Some(2s)
          grpc-retry-pushback-ms: 2000
    "#]],
    );
    check(
        &not_fetched(0, &FetchError::Status(http::StatusCode::FORBIDDEN)),
        &expect![[r#"
        FAILED_PRECONDITION: files[0].uri: the origin answers with HTTP status 403 Forbidden
          ErrorInfo tessera FETCH_FAILED [("http_status", "403"), ("why", "status")]
          field files[0].uri: the origin answers with HTTP status 403 Forbidden
    "#]],
    );
    check(
        &not_fetched(0, &FetchError::TooLarge { bytes_max: 50_331_648 }),
        &expect![[r#"
        INVALID_ARGUMENT: files[0].uri: the file has more than 50331648 bytes
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_file_bytes"), ("limit_value", "50331648"), ("value", "over 50331648")]
          field files[0].uri: the file has more than 50331648 bytes
    "#]],
    );
    check(
        &too_much_fetched(),
        &expect![[r#"
        INVALID_ARGUMENT: files: the files that its URIs name have more than 67108864 bytes together: ask in several requests
          ErrorInfo tessera LIMIT_EXCEEDED [("limit", "max_fetched_bytes"), ("limit_value", "67108864"), ("value", "over 67108864")]
          field files: the files that its URIs name have more than 67108864 bytes together: ask in several requests
    "#]],
    );
}

/// What metrics and documents say of reasons is what there are.
#[test]
fn reasons_are_those_that_are_counted_and_explained() {
    use crate::telemetry::metrics::names;

    let of = |kind: Kind| -> Vec<&str> {
        let all = Reason::ALL.iter().filter(|reason| reason.kind() == kind);
        all.map(|reason| reason.name()).collect()
    };
    assert_eq!(of(Kind::Refusal), names::REJECTION_REASONS);
    assert_eq!(of(Kind::Spoilt), names::SPOILT_REASONS);
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, statuses) = page.split_once("\n## Statuses").unwrap();
    let (statuses, _) = statuses.split_once("\n## ").unwrap();
    for reason in Reason::ALL {
        assert_eq!(Reason::of(reason.name()), Some(*reason));
        let explained = format!("`{}`", reason.name());
        assert!(
            statuses.contains(&explained),
            "{explained} is in no line of the table of statuses"
        );
    }
}
