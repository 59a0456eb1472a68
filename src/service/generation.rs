//! The `generate_content` span of one request, ended exactly once: with the answer, with the failure,
//! or, where the call is dropped, with what dropped it.

use std::sync::Arc;

use tonic::Status;
use tracing::Span;

use super::call::Call;
use super::{error, trace};
use crate::engine::{Done, EngineError, Job, Reject};

/// Held by the handler until `accepted`, then by the stream.
#[derive(Debug)]
pub(super) struct Generation {
    call: Arc<Call>,
    span: Span,
    ended: bool,
}

impl Generation {
    /// Opens the span below the call's and hands it to the job, whose phases go under it.
    pub(super) fn begin(call: Arc<Call>, job: &mut Job, model: &str, output_type: &str) -> Self {
        let span = trace::generate_span(&call.span, model, job, output_type);
        job.span = span.clone();
        Self { call, span, ended: false }
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    pub(super) fn done(&mut self, done: &Done) {
        self.ended = true;
        trace::end_generate_span(&self.span, done);
        self.call.note(|record| {
            record.input_tokens = Some(done.usage.input_tokens);
            record.output_tokens = Some(done.usage.output_tokens);
            record.finish_reason = Some(trace::finish_reason_name(done.finish_reason));
            record.timings = Some(done.timings);
        });
    }

    pub(super) fn rejected(&mut self, reject: &Reject) -> Status {
        self.end(error::rejected(reject))
    }

    pub(super) fn failed(&mut self, error: &EngineError) -> Status {
        if let EngineError::Panicked { message } = error {
            tracing::error!(panic = message, "the engine panicked over a request");
        }
        self.end(error::failed(error))
    }

    fn end(&mut self, status: Status) -> Status {
        self.ended = true;
        trace::fail_generate_span(&self.span, status.code());
        status
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if !self.ended {
            trace::fail_generate_span(&self.span, self.call.drop_code());
        }
    }
}
