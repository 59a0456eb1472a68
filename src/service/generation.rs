//! The `generate_content` span of one request, ended exactly once: with the answer, with the failure,
//! or, where the call is dropped, with what dropped it.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::Span;

use super::call::Call;
use super::{error, trace};
use crate::engine::{Done, EngineError, Job, Reject};
use crate::telemetry::metrics::{Answered, Outcome, RequestEnded};

/// Held by the handler until `accepted`, then by the stream.
#[derive(Debug)]
pub(super) struct Generation {
    call: Arc<Call>,
    span: Span,
    model: String,
    ended: bool,
}

impl Generation {
    /// Opens the span below the call's and hands it to the job, whose phases go under it.
    pub(super) fn begin(call: Arc<Call>, job: &mut Job, model: &str, output_type: &str) -> Self {
        let span = trace::generate_span(&call.span, model, job, output_type);
        job.span = span.clone();
        Self { call, span, model: model.to_owned(), ended: false }
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    pub(super) fn done(&mut self, done: &Done) {
        self.ended = true;
        trace::end_generate_span(&self.span, done);
        self.measure(done);
        self.call.note(|record| {
            record.input_tokens = Some(done.usage.input_tokens);
            record.output_tokens = Some(done.usage.output_tokens);
            record.finish_reason = Some(trace::finish_reason_name(done.finish_reason));
            record.timings = Some(done.timings);
        });
    }

    pub(super) fn rejected(&mut self, reject: &Reject) -> Status {
        let status = self.end(error::rejected(reject));
        self.call.metrics.rejected(&reason(&status));
        status
    }

    pub(super) fn failed(&mut self, error: &EngineError) -> Status {
        if let EngineError::Panicked { message } = error {
            tracing::error!(panic = message, "the engine panicked over a request");
        }
        let status = self.end(error::failed(error));
        if is_spoilt(error) {
            self.call.metrics.spoilt(&reason(&status));
        }
        status
    }

    fn end(&mut self, status: Status) -> Status {
        self.ended = true;
        trace::fail_generate_span(&self.span, status.code());
        self.failed_as(&reason(&status));
        status
    }

    fn measure(&self, done: &Done) {
        let timings = &done.timings;
        self.request_ended(
            timings.total,
            Outcome::Answered(Answered {
                finish_reason: trace::finish_reason_name(done.finish_reason),
                input_tokens: done.usage.input_tokens,
                image_tokens: done.usage.image_tokens,
                output_tokens: done.usage.output_tokens,
                time_to_first_token: timings.time_to_first_token,
                phases: &[
                    ("queue", timings.queue),
                    ("preprocess", timings.preprocess),
                    ("vision", timings.vision),
                    ("prefill", timings.prefill),
                    ("decode", timings.decode),
                ],
            }),
        );
    }

    fn failed_as(&self, error: &str) {
        self.request_ended(self.call.received.elapsed(), Outcome::Failed(error));
    }

    fn request_ended(&self, duration: Duration, outcome: Outcome<'_>) {
        let model = &self.model;
        self.call.metrics.request_ended(&RequestEnded { model, duration, outcome });
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if !self.ended {
            let code = self.call.drop_code();
            trace::fail_generate_span(&self.span, code);
            self.failed_as(trace::code_name(code));
            if code == Code::Cancelled {
                self.call.metrics.cancelled();
            }
        }
    }
}

/// The reason as clients get it; the code where there is none.
fn reason(status: &Status) -> String {
    let code = || trace::code_name(status.code()).to_owned();
    status.get_details_error_info().map_or_else(code, |info| info.reason)
}

/// Whether the answer was none.
fn is_spoilt(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::NonFiniteLogits { .. }
            | EngineError::Gibberish { .. }
            | EngineError::Repetition { .. }
    )
}
