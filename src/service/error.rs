//! Failures as gRPC statuses: one exhaustive match from each error type to code, reason and details.
//!
//! The codes are chosen for the meshes in between: a call that another replica could serve is
//! UNAVAILABLE before its first message, which they retry; a call that would fail again anywhere
//! carries no `RetryInfo`.

mod failure;
mod reason;

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt as _};

use crate::access::Refusal;
use crate::constraint::ConstraintError;
use crate::engine::{EngineError, Reject};
use crate::fetch::FetchError;
use crate::limits;
use crate::model::{NonFinite, RunError};
use crate::preprocess::{DecodeError, PdfError};
pub(super) use failure::Failure;
use failure::{DESCRIPTION_BYTES_MAX, shorten};
pub(super) use reason::{Kind, Reason};

/// When a document of a batch may have its outcome, which makes room for another.
const RETRY_AFTER_BATCH: Duration = Duration::from_millis(500);

/// When to try again a request that the drain cut off: another replica is there by then.
const RETRY_AFTER_DRAIN: Duration = Duration::from_secs(1);

/// When to try again where an origin did not give out a file: it may be down, or at its limit.
const RETRY_FETCH: Duration = Duration::from_secs(2);

/// When to try again where memory is full: as with a full queue, nobody knows when one ends.
const RETRY_MEMORY: Duration = Duration::from_secs(2);

/// The reason of a failure that was made here; none of what others made, and of success.
pub(super) fn reason(status: &Status) -> Option<Reason> {
    Reason::of(&status.get_details_error_info()?.reason)
}

/// Why a caller was not let in.
pub(super) fn refused(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    let failure = match refusal {
        Refusal::Missing => {
            Failure::new(Code::Unauthenticated, Reason::CredentialsMissing, message)
        }
        Refusal::Invalid { .. } => {
            Failure::new(Code::Unauthenticated, Reason::CredentialsInvalid, message)
        }
        Refusal::NotAllowed { caller, action } => {
            Failure::new(Code::PermissionDenied, Reason::MethodNotAllowed, message)
                .with("caller", caller)
                .with("method", action)
        }
        Refusal::InFlight { caller, limit, retry_after } => {
            Failure::new(Code::ResourceExhausted, Reason::QuotaInFlight, message)
                .with("caller", caller)
                .with("limit", limit)
                .retry(*retry_after)
        }
        Refusal::Rate { caller, limit, retry_after } => {
            Failure::new(Code::ResourceExhausted, Reason::QuotaPerMinute, message)
                .with("caller", caller)
                .with("limit", limit)
                .retry(*retry_after)
        }
    };
    failure.into_status()
}

/// A message has waited for its reader for so long that the call ended.
pub(super) fn unread(waited: Duration) -> Status {
    let waited_ms = waited.as_millis();
    let message = format!("the reader took no message for {waited_ms} ms");
    Failure::new(Code::ResourceExhausted, Reason::SlowClient, message)
        .with("waited_ms", &waited_ms)
        .into_status()
}

/// Nothing more came of a message for so long that the call ended.
pub(super) fn silent(longest: Duration) -> Status {
    let message =
        format!("the rest of the message did not come: silence for {} ms", longest.as_millis());
    late(message, "receive_timeout_ms", longest)
}

/// A message took so long to come that the call ended.
pub(super) fn too_slow(longest: Duration) -> Status {
    let message = format!("the message was not whole after {} ms", longest.as_millis());
    late(message, "message_ms", longest)
}

fn late(message: String, limit: &str, longest: Duration) -> Status {
    Failure::new(Code::DeadlineExceeded, Reason::MessageTimeout, message)
        .with("limit", limit)
        .with("limit_value", &longest.as_millis())
        .into_status()
}

/// Requests in memory are as many bytes as may be.
pub(super) fn too_much_received(bytes_max: usize) -> Status {
    let message =
        format!("requests in memory fill the {bytes_max} bytes that they may have together");
    Failure::new(Code::ResourceExhausted, Reason::RequestMemoryFull, message)
        .with("limit", "max_request_memory_bytes")
        .with("limit_value", &bytes_max)
        .retry(RETRY_MEMORY)
        .into_status()
}

/// What the request's URIs name weighs too much together.
pub(super) fn too_much_fetched() -> Status {
    let most = limits::FETCHED_BYTES_MAX;
    let message = format!(
        "the files that its URIs name have more than {most} bytes together: ask in several requests"
    );
    let value = format!("over {most}");
    over_limit("files", message, "max_fetched_bytes", &most, &value).into_status()
}

/// A file did not come from where the request has it.
pub(super) fn not_fetched(file: usize, error: &FetchError) -> Status {
    let (field, message) = (format!("files[{file}].uri"), error.to_string());
    if let FetchError::TooLarge { bytes_max } = error {
        let value = format!("over {bytes_max}");
        return over_limit(&field, message, "max_file_bytes", bytes_max, &value).into_status();
    }
    let reason = Reason::FetchFailed;
    let failure = if error.may_pass() {
        Failure::field(Code::Unavailable, reason, &field, &message).retry(RETRY_FETCH)
    } else {
        Failure::field(Code::FailedPrecondition, reason, &field, &message)
    };
    let failure = failure.with("why", error.name());
    match error {
        FetchError::Status(status) | FetchError::Redirect(status) => {
            failure.with("http_status", status.as_str()).into_status()
        }
        _ => failure.into_status(),
    }
}

/// A request is too large although its files are not; `field` is the one that passed the bound.
pub(super) fn too_much_besides_files(field: &str) -> Status {
    let most = limits::REQUEST_BESIDES_FILES_BYTES_MAX;
    let message = format!(
        "with all that is no content of a file the request has more than {most} bytes: shorten it, or ask in \
         several requests"
    );
    let value = format!("over {most}");
    over_limit(field, message, "max_bytes_besides_files", &most, &value).into_status()
}

/// A message of the answer would be larger than clients take.
pub(super) fn answer_too_large(bytes: usize) -> Status {
    let most = limits::EVENT_BYTES_MAX;
    let message = format!(
        "a message of the answer has {bytes} bytes, the most is {most}: ask for fewer output tokens, or in several \
         requests"
    );
    Failure::new(Code::ResourceExhausted, Reason::AnswerTooLarge, message)
        .with("limit", "max_event_bytes")
        .with("limit_value", &most)
        .with("value", &bytes)
        .into_status()
}

/// Why a request was not taken.
pub(super) fn rejected(reject: &Reject) -> Status {
    let message = reject.to_string();
    let failure = match reject {
        Reject::QueueFull { queued, retry_after } => {
            Failure::new(Code::ResourceExhausted, Reason::QueueFull, message)
                .with("queued_requests", queued)
                .retry(*retry_after)
        }
        Reject::QueueTokens { queued_tokens, queued_tokens_max, retry_after } => {
            Failure::new(Code::ResourceExhausted, Reason::QueueFull, message)
                .with("queued_tokens", queued_tokens)
                .with("limit", "max_queued_tokens")
                .with("limit_value", queued_tokens_max)
                .retry(*retry_after)
        }
        Reject::Loading { retry_after, .. } => {
            Failure::new(Code::Unavailable, Reason::ModelLoading, message).retry(*retry_after)
        }
        Reject::Draining { retry_after } => {
            Failure::new(Code::Unavailable, Reason::Draining, message).retry(*retry_after)
        }
        // The process is about to exit: another replica may serve, this one will not.
        Reject::Failed { .. } => Failure::new(Code::Unavailable, Reason::ModelFailed, message),
        // As little: it answers again when it was started anew, and when that is nobody here knows.
        Reject::Poisoned { .. } => Failure::new(Code::Unavailable, Reason::ModelPoisoned, message),
    };
    failure.into_status()
}

/// Why a request that was taken failed; `question` is the field that has what was asked, `named` are the files
/// that it has by URI.
pub(super) fn failed(error: &EngineError, question: &str, named: &[usize]) -> Status {
    let message = error.to_string();
    let failure = match error {
        EngineError::Rejected(reject) => return rejected(reject),
        EngineError::Decode { file, source } => {
            let part = if named.contains(file) { "uri" } else { "content" };
            undecodable(*file, part, source)
        }
        EngineError::TooManyPages { pages, pages_max } => {
            over_limit("files", message, "max_pages", pages_max, pages)
        }
        EngineError::Prompt(prompt) if prompt.is_callers() => {
            Failure::fields(Reason::InvalidField, vec![FieldViolation::new(question, message)])
        }
        EngineError::Prompt(_) => Failure::new(Code::Internal, Reason::Prompt, message),
        EngineError::TooManyTokens { input_tokens, input_tokens_max } => {
            over_limit("files", message, "max_input_tokens", input_tokens_max, input_tokens)
        }
        EngineError::Deadline { phase } => return deadline(phase),
        EngineError::SlowClient { waited_ms } => {
            Failure::new(Code::ResourceExhausted, Reason::SlowClient, message)
                .with("waited_ms", waited_ms)
        }
        EngineError::NonFiniteLogits { step, dtype, at } => {
            let failure = Failure::new(Code::Internal, Reason::NonFiniteLogits, message)
                .with("step", step)
                .with("dtype", dtype);
            match at {
                Some(NonFinite { module, site, device_id, .. }) => {
                    failure.with("module", module).with("site", site).with("device_id", device_id)
                }
                None => failure,
            }
        }
        EngineError::Gibberish { step, bangs, characters } => {
            let ratio = f64::from(*bangs) / f64::from((*characters).max(1));
            Failure::new(Code::Internal, Reason::Gibberish, message)
                .with("rule", "exclamation_marks")
                .with("step", step)
                .with("ratio", &format!("{ratio:.2}"))
        }
        EngineError::Repetition { step, period, count, probability } => {
            let (rule, option) = match probability {
                Some(_) => ("unsure_loop", "a lower --guard-unsure"),
                None => ("token_loop", "a higher --guard-repeat"),
            };
            let message = format!(
                "{message}: ask for fewer pages or fields at once; where the document does repeat so, the server \
                 needs {option}"
            );
            let failure = Failure::new(Code::Internal, Reason::Repetition, message)
                .with("rule", rule)
                .with("step", step)
                .with("period", period)
                .with("count", count);
            match probability {
                Some(probability) => failure.with("probability", &format!("{probability:.4}")),
                None => failure,
            }
        }
        EngineError::Constraint(ConstraintError::Grammar { .. }) => {
            Failure::fields(Reason::InvalidField, vec![FieldViolation::new("schema", message)])
        }
        EngineError::Constraint(_) => Failure::new(Code::Internal, Reason::Constraint, message),
        // Again would fail again, here or elsewhere: no retry time.
        EngineError::Run(RunError::OutOfMemory { device_id, .. }) => {
            Failure::new(Code::ResourceExhausted, Reason::RequestTooLargeForMemory, message)
                .with("device_id", device_id)
        }
        EngineError::Run(RunError::Device { site, .. }) => {
            Failure::new(Code::Internal, Reason::DeviceError, message).with("site", site)
        }
        EngineError::Stopped => return drain_timeout(),
        // The panic's own text is for the log, not for strangers.
        EngineError::Panicked { .. } => return panicked(),
    };
    failure.into_status()
}

/// The answer that should name a kind of document was cut.
pub(super) fn no_kind(answer: &str) -> Status {
    let message = format!("{answer:?} is no kind of document: name one in the request");
    Failure::new(Code::Internal, Reason::Constraint, message).into_status()
}

/// The deadline passed while the request was in `phase`.
pub(super) fn deadline(phase: &str) -> Status {
    let message = format!("the deadline passed in phase {phase}");
    Failure::new(Code::DeadlineExceeded, Reason::Deadline, message)
        .with("phase", phase)
        .into_status()
}

/// The server stops before the answer is whole.
pub(super) fn drain_timeout() -> Status {
    let message = "the server stopped before the answer was whole";
    Failure::new(Code::Unavailable, Reason::DrainTimeout, message)
        .retry(RETRY_AFTER_DRAIN)
        .into_status()
}

/// A batch call has as many documents in flight as it may.
pub(super) fn batch_full(in_flight: usize, most: usize) -> Status {
    let message = format!(
        "{in_flight} documents of this call are in flight, the most is {most}: wait for an outcome"
    );
    Failure::new(Code::ResourceExhausted, Reason::BatchFull, message)
        .with("limit", "max_batch_in_flight")
        .with("limit_value", &most)
        .retry(RETRY_AFTER_BATCH)
        .into_status()
}

/// A document of a batch that its client stopped.
pub(super) fn cancelled() -> Status {
    Failure::new(Code::Cancelled, Reason::Cancelled, "cancelled by cancel_request_id").into_status()
}

/// A failure that was made below all handlers, with the `ErrorInfo` that theirs have.
pub(super) fn explained(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    let (code, message) = (status.code(), status.message());
    let failure = match code {
        Code::OutOfRange => Failure::new(code, Reason::LimitExceeded, message)
            .with("limit", "max_request_bytes")
            .with("limit_value", &limits::REQUEST_BYTES_MAX),
        Code::Internal => Failure::new(code, Reason::MalformedMessage, message),
        Code::Unimplemented => Failure::new(code, Reason::Unimplemented, message),
        _ => return status,
    };
    let mut explained = failure.into_status();
    // Such as the compressions that are known.
    explained.metadata_mut().clone_from(status.metadata());
    explained
}

/// A bug ended the call.
pub(super) fn panicked() -> Status {
    let message = "a bug in the server ended the call; its log says more";
    Failure::new(Code::Internal, Reason::Bug, message).into_status()
}

/// A model that this server does not have.
pub(super) fn model_not_found(asked: &str, own: &str) -> Status {
    let mut asked = asked.to_owned();
    shorten(&mut asked, DESCRIPTION_BYTES_MAX);
    let message = format!("no model {asked:?} here; this server has {own:?}");
    Failure::new(Code::NotFound, Reason::ModelNotFound, message.clone())
        .with("model", own)
        .missing("model", asked, message)
        .into_status()
}

/// A file that is no page: malformed, or larger than is taken.
fn undecodable(file: usize, part: &str, error: &DecodeError) -> Failure {
    let field = format!("files[{file}].{part}");
    let message = error.to_string();
    match error {
        DecodeError::NoSuchPage { .. } => {
            let field = format!("files[{file}].pages");
            Failure::fields(Reason::InvalidField, vec![FieldViolation::new(field, message)])
        }
        DecodeError::Pdf(PdfError::NotStarted { .. }) => {
            Failure::new(Code::Internal, Reason::Bug, message)
        }
        DecodeError::Pdf(pdf) if let Some((limit, value)) = pdf.limit() => {
            over_limit(&field, message, limit, &value, &format!("over {value}"))
        }
        DecodeError::TooManyBytes { bytes, bytes_max } => {
            over_limit(&field, message, "max_file_bytes", bytes_max, bytes)
        }
        DecodeError::SideTooLong { width_px, height_px, side_px_max, .. } => {
            let side_px = width_px.max(height_px);
            over_limit(&field, message, "max_page_side", side_px_max, side_px)
        }
        DecodeError::TooManyPixels { pixels, pixels_max, .. } => {
            over_limit(&field, message, "max_page_pixels", pixels_max, pixels)
        }
        DecodeError::TooManyPixelsTogether { pixels, pixels_max, .. } => {
            over_limit(&field, message, "max_file_pixels", pixels_max, pixels)
        }
        DecodeError::TooManyPages { pages_max } => {
            over_limit(&field, message, "max_pages", pages_max, &format!("over {pages_max}"))
        }
        DecodeError::TooMuchMemory { memory_bytes_max: max, .. } => {
            over_limit(&field, message, "max_decode_bytes", max, &format!("over {max}"))
        }
        DecodeError::Empty
        | DecodeError::Pdf(_)
        | DecodeError::GivenUp
        | DecodeError::OtherFormat { .. }
        | DecodeError::UnknownFormat { .. }
        | DecodeError::NoPixels { .. }
        | DecodeError::Damaged { .. }
        | DecodeError::Feature { .. } => {
            Failure::fields(Reason::InvalidField, vec![FieldViolation::new(field, message)])
        }
    }
}

fn over_limit(
    field: &str,
    message: String,
    limit: &str,
    limit_value: &(impl ToString + ?Sized),
    value: &(impl ToString + ?Sized),
) -> Failure {
    Failure::fields(Reason::LimitExceeded, vec![FieldViolation::new(field, message)])
        .with("limit", limit)
        .with("limit_value", limit_value)
        .with("value", value)
}

/// A status as text, for snapshots: everything a client can see of it.
#[cfg(test)]
pub(super) fn render(status: &Status) -> String {
    use std::fmt::Write as _;

    let mut text = format!("{}: {}\n", super::trace::code_name(status.code()), status.message());
    let details = status.get_error_details();
    if let Some(info) = details.error_info() {
        let mut metadata: Vec<_> = info.metadata.iter().collect();
        metadata.sort();
        writeln!(text, "  ErrorInfo {} {} {metadata:?}", info.domain, info.reason).unwrap();
    }
    for violation in details.bad_request().iter().flat_map(|request| &request.field_violations) {
        writeln!(text, "  field {}: {}", violation.field, violation.description).unwrap();
    }
    if let Some(resource) = details.resource_info() {
        writeln!(text, "  resource {} {:?}", resource.resource_type, resource.resource_name)
            .unwrap();
    }
    if let Some(retry) = details.retry_info() {
        writeln!(text, "  retry after {:?}", retry.retry_delay).unwrap();
    }
    if let Some(pushback) = status.metadata().get(failure::PUSHBACK) {
        writeln!(text, "  {}: {}", failure::PUSHBACK, pushback.to_str().unwrap()).unwrap();
    }
    text
}

#[cfg(test)]
mod tests;
