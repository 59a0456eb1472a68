//! What a server's refusal says, for people and for programs: code, reason, field and remedy out of
//! the `google.rpc` details.

use std::time::Duration;

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::failure::{Exit, Failure};
use crate::service::code_name;

/// A refusal, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Refusal {
    /// `INVALID_ARGUMENT`
    pub code: &'static str,
    /// `ErrorInfo.reason`; empty where the server gave none.
    pub reason: String,
    pub message: String,
    pub fields: Vec<Field>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// One wrong field of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Field {
    pub field: String,
    pub description: String,
}

impl Refusal {
    pub(super) fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let reason = info.map(|info| info.reason.clone()).unwrap_or_default();
        let limit = info.and_then(|info| info.metadata.get("limit")).map_or("", String::as_str);
        let retry = details.retry_info().and_then(|retry| retry.retry_delay);
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice());
        let fields = violations.unwrap_or_default().iter().map(|violation| Field {
            field: violation.field.clone(),
            description: violation.description.clone(),
        });
        Self {
            code: code_name(status.code()),
            message: status.message().to_owned(),
            fields: fields.collect(),
            retry_after_ms: retry.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            remedy: remedy(status.code(), &reason, limit, retry),
            reason,
        }
    }

    fn exit(&self) -> Exit {
        // An origin that gives out no file is not the server.
        let is_server = self.code == "UNAVAILABLE" && self.reason != "FETCH_FAILED";
        if is_server { Exit::Unreachable } else { Exit::Failed }
    }
}

/// `status` as the failure of reading `what`.
pub(super) fn failure(what: &str, status: &Status) -> Failure {
    let refusal = Refusal::of(status);
    let mut failure = Failure::new(refusal.exit(), format!("{what}: {}", refusal.message));
    let code = match refusal.reason.as_str() {
        "" => refusal.code.to_owned(),
        reason => format!("{} {reason}", refusal.code),
    };
    failure = failure.fact("code", code);
    for Field { field, description } in &refusal.fields {
        // With one field the message has said it all but the name.
        let only_the_name = refusal.message.contains(description.as_str());
        failure = if only_the_name {
            failure.fact("field", field.clone())
        } else {
            failure.fact("field", format!("{field}: {description}"))
        };
    }
    failure.remedy = refusal.remedy;
    failure
}

fn remedy(code: Code, reason: &str, limit: &str, retry: Option<Duration>) -> Option<String> {
    let text = match (reason, code) {
        ("QUEUE_FULL", _) => {
            "again later, or start the server with more --slots, --queue or --queue-tokens"
        }
        ("MODEL_LOADING", _) => "again when the model is loaded; --timeout says how long to wait",
        ("DRAINING" | "DRAIN_TIMEOUT", _) => "again: the server is being stopped or replaced",
        ("MODEL_FAILED", _) => "the server's log: it says why the model failed",
        ("MODEL_POISONED", _) => "another server, or this one after a restart; its log says why",
        ("CREDENTIALS_MISSING", _) => {
            "TESSERA_TOKEN, or TESSERA_API_KEY, or --client-cert: the server wants to know who calls"
        }
        ("CREDENTIALS_INVALID", _) => {
            "a token or key that this server knows, and that has not expired"
        }
        ("METHOD_NOT_ALLOWED", _) => {
            "another caller, or a rule for this one in the server's --access-file"
        }
        ("QUOTA_IN_FLIGHT" | "QUOTA_PER_MINUTE", _) => "again later: this caller has its share",
        ("MODEL_NOT_FOUND", _) => "the model that the server has",
        ("LIMIT_EXCEEDED", _) => over(limit),
        ("INVALID_FIELD", _) => "the request again with the field put right",
        ("FETCH_FAILED", Code::Unavailable) => "again later, or send the file itself",
        ("FETCH_FAILED", _) => "a URI under which the file is given out, or the file itself",
        ("MESSAGE_TIMEOUT", _) => "a faster way to the server, or fewer and smaller files at once",
        ("DEADLINE", _) | (_, Code::DeadlineExceeded) => {
            "a longer --timeout, or fewer tiles with --max-tiles"
        }
        ("REQUEST_TOO_LARGE_FOR_MEMORY", _) => {
            "fewer pages or tiles, or a server with fewer --slots or less --slot-tokens"
        }
        ("ANSWER_TOO_LARGE", _) => "fewer fields, or fewer pages, at once",
        ("NON_FINITE_LOGITS", _) => "a server with --dtype f32 or bf16",
        ("GIBBERISH", _) => {
            "a server with --dtype f32 or bf16; if the document is full of `!`, one with --guard off"
        }
        ("REPETITION", _) => {
            "fewer pages at once; if the document does repeat so, a server with more --guard-repeat"
        }
        ("DEVICE_ERROR" | "BUG", _) => "the server's log: it says more",
        (_, Code::OutOfRange) => "smaller or fewer files",
        (_, Code::Unimplemented) => "another --server: this one does not speak tessera.v1",
        (_, Code::Unavailable) => "again; `tessera serve` starts a server",
        _ => return None,
    };
    Some(match retry {
        Some(after) => format!("{text} (in {:.1} s)", after.as_secs_f64()),
        None => text.to_owned(),
    })
}

/// What helps where a request is beyond `limit`.
fn over(limit: &str) -> &'static str {
    match limit {
        "max_file_bytes" | "max_request_bytes" | "max_fetched_bytes" => "smaller or fewer files",
        "max_uri_bytes" => "a shorter URI, or the file itself",
        "max_page_side" | "max_page_pixels" | "max_file_pixels" => "a scan of fewer pixels",
        "max_prompt_bytes" | "max_schema_bytes" => "a shorter --prompt or --schema",
        "max_output_tokens" | "max_tiles_per_page" => "fewer, or a server that allows more",
        _ => "fewer pages, or fewer tiles with --max-tiles",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use tonic_types::ErrorDetails;

    use super::*;

    fn check(code: Code, message: &str, details: &ErrorDetails, expected: &Expect) {
        let status = Status::with_error_details(code, message, details.clone());
        let failure = failure("receipt.png", &status);
        expected.assert_eq(&format!("{failure}\n  exit {}", failure.exit as u8));
    }

    #[test]
    fn a_wrong_file_is_named() {
        let mut details = ErrorDetails::with_error_info("INVALID_FIELD", "tessera", []);
        details.add_bad_request_violation("files[0].content", "not an image");
        check(
            Code::InvalidArgument,
            "files[0].content: not an image",
            &details,
            &expect![[r"
                receipt.png: files[0].content: not an image
                  code: INVALID_ARGUMENT INVALID_FIELD
                  field: files[0].content
                  try: the request again with the field put right
                  exit 1"]],
        );
    }

    #[test]
    fn a_page_beyond_a_limit_is_told_what_helps_there() {
        let metadata = [("limit".to_owned(), "max_page_side".to_owned())];
        let mut details = ErrorDetails::with_error_info("LIMIT_EXCEEDED", "tessera", metadata);
        details.add_bad_request_violation("files[0].content", "40000 pixels are too many");
        check(
            Code::InvalidArgument,
            "files[0].content: 40000 pixels are too many",
            &details,
            &expect![[r"
                receipt.png: files[0].content: 40000 pixels are too many
                  code: INVALID_ARGUMENT LIMIT_EXCEEDED
                  field: files[0].content
                  try: a scan of fewer pixels
                  exit 1"]],
        );
    }

    #[test]
    fn a_full_queue_says_when_to_come_back() {
        let mut details = ErrorDetails::with_error_info("QUEUE_FULL", "tessera", []);
        details.set_retry_info(Some(Duration::from_millis(1500)));
        check(
            Code::ResourceExhausted,
            "64 requests are waiting already",
            &details,
            &expect![[r"
                receipt.png: 64 requests are waiting already
                  code: RESOURCE_EXHAUSTED QUEUE_FULL
                  try: again later, or start the server with more --slots, --queue or --queue-tokens (in 1.5 s)
                  exit 1"]],
        );
    }

    #[test]
    fn an_answer_that_is_none_says_what_to_try() {
        for (code, reason, remedy) in [
            (Code::Internal, "NON_FINITE_LOGITS", "a server with --dtype f32 or bf16"),
            (Code::Internal, "GIBBERISH", "a server with --dtype f32 or bf16; if the document"),
            (Code::Internal, "REPETITION", "fewer pages at once; if the document"),
            (Code::FailedPrecondition, "FETCH_FAILED", "a URI under which the file is given out"),
            (Code::Unavailable, "FETCH_FAILED", "again later, or send the file itself"),
            (Code::Unavailable, "MODEL_POISONED", "another server, or this one after a restart"),
        ] {
            let details = ErrorDetails::with_error_info(reason, "tessera", []);
            let refusal = Refusal::of(&Status::with_error_details(code, "", details));
            let found = refusal.remedy.unwrap();
            assert!(found.starts_with(remedy), "{reason}: {found}");
        }
    }

    #[test]
    fn a_server_of_another_kind_is_recognized() {
        check(
            Code::Unimplemented,
            "unknown service",
            &ErrorDetails::new(),
            &expect![[r"
                receipt.png: unknown service
                  code: UNIMPLEMENTED
                  try: another --server: this one does not speak tessera.v1
                  exit 1"]],
        );
    }
}
