//! One failure until it is a status: its code, reason and details, cut to what clients' headers hold.

use std::collections::HashMap;
use std::time::Duration;

use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::Reason;

/// `ErrorInfo.domain` of every failure.
const DOMAIN: &str = "tessera";

/// Trailer that tells clients, and load balancers that read it, when to try again.
pub(super) const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Fields that one status names. Statuses travel in HTTP/2 headers, of which some clients take no
/// more than 8 KiB.
pub(super) const VIOLATIONS_MAX: usize = 12;

/// Bytes of the paths and descriptions of all fields that one status names.
const VIOLATIONS_BYTES_MAX: usize = 2600;

/// Bytes of one field's path, which may lead through lists of fields inside one another.
const FIELD_BYTES_MAX: usize = 128;

/// Bytes of one field's description.
pub(super) const DESCRIPTION_BYTES_MAX: usize = 200;

/// Bytes of a status's message: drivers can be talkative.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A failure on its way to becoming a [`Status`].
#[derive(Debug)]
pub(in crate::service) struct Failure {
    code: Code,
    reason: Reason,
    message: String,
    metadata: HashMap<String, String>,
    retry_after: Option<Duration>,
    details: ErrorDetails,
}

impl Failure {
    pub(in crate::service) fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: HashMap::new(),
            retry_after: None,
            details: ErrorDetails::new(),
        }
    }

    /// The request is wrong at these fields.
    pub(in crate::service) fn fields(reason: Reason, mut violations: Vec<FieldViolation>) -> Self {
        let total = violations.len();
        violations.truncate(VIOLATIONS_MAX);
        for violation in &mut violations {
            shorten(&mut violation.field, FIELD_BYTES_MAX);
            shorten(&mut violation.description, DESCRIPTION_BYTES_MAX);
        }
        let mut bytes = 0;
        let fit = violations.iter().take_while(|violation| {
            bytes += violation.field.len() + violation.description.len();
            bytes <= VIOLATIONS_BYTES_MAX
        });
        violations.truncate(fit.count());
        let message = violations
            .iter()
            .map(|violation| format!("{}: {}", violation.field, violation.description))
            .collect::<Vec<_>>()
            .join("; ");
        let is_all = violations.len() == total;
        // In front: what is behind may be cut.
        let message = if is_all {
            message
        } else {
            let named = violations.len();
            format!("{total} things were found wrong, the first {named} are: {message}")
        };
        let mut failure = Self::new(Code::InvalidArgument, reason, message);
        failure.details.set_bad_request(violations);
        if is_all { failure } else { failure.with("wrong_fields", &total) }
    }

    /// As [`fields`](Self::fields) for one field, where the request may be right and its time or its place is not.
    pub(super) fn field(code: Code, reason: Reason, field: &str, what: &str) -> Self {
        let violation = FieldViolation::new(field, what);
        Self { code, ..Self::fields(reason, vec![violation]) }
    }

    pub(in crate::service) fn with(mut self, key: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    pub(super) fn retry(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// What was asked for by `name` is not here.
    pub(super) fn missing(mut self, kind: &str, name: String, message: String) -> Self {
        self.details.set_resource_info(kind, name, "", message);
        self
    }

    pub(in crate::service) fn into_status(self) -> Status {
        let Self { code, reason, mut message, metadata, retry_after, mut details } = self;
        shorten(&mut message, MESSAGE_BYTES_MAX);
        details.set_error_info(reason.name(), DOMAIN, metadata);
        let mut trailers = MetadataMap::new();
        if let Some(after) = retry_after {
            details.set_retry_info(Some(after));
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            trailers.insert(PUSHBACK, MetadataValue::from(after_ms));
        }
        Status::with_error_details_and_metadata(code, message, details, trailers)
    }
}

/// Cuts `text` to `bytes_max`, between characters, and shows that it did.
pub(super) fn shorten(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max.saturating_sub("…".len())));
        text.push('…');
    }
}
