//! The `generate_content` span of one request, ended exactly once: with the answer, with the failure,
//! or, where the call is dropped, with what dropped it.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tracing::Span;

use super::call::Call;
use super::error::{self, Kind};
use super::field_trace::FieldTrace;
use super::trace;
use crate::engine::{Done, EngineError, Job, Reject};
use crate::telemetry::Tracing;
use crate::telemetry::metrics::{Answered, Outcome, RequestEnded};
use crate::telemetry::spans::{Content, Level, RequestTrace, TraceOptions};

/// Held by the handler until `accepted`, then by the stream.
#[derive(Debug)]
pub(super) struct Generation {
    call: Arc<Call>,
    span: Span,
    model: String,
    /// The field of the request that has what is asked.
    question: &'static str,
    /// The files that were named by URI.
    named: Vec<usize>,
    trace: Option<RequestTrace>,
    /// Of a request whose answer is not read yet.
    fields: FieldTrace,
    content: Content,
    /// Say also as vLLM's traces do what the answer took.
    vllm_names: bool,
    ended: bool,
}

impl Generation {
    /// Opens the span below the call's and hands it to the job, whose phases go under it.
    pub(super) fn begin(
        call: Arc<Call>,
        job: &mut Job,
        model: &str,
        output_type: &str,
        named: Vec<usize>,
    ) -> Self {
        let span = trace::generate_span(&call.span, model, job, output_type);
        job.span = span.clone();
        let (model, content, fields) = (model.to_owned(), Content::Off, FieldTrace::off());
        // Text is the answer to a prompt of the caller's.
        let question = if output_type == "text" { "prompt" } else { "schema" };
        let (trace, vllm_names, ended) = (None, false, false);
        Self { call, span, model, question, named, trace, fields, content, vllm_names, ended }
    }

    /// Has the request traced, as far as `options` say.
    pub(super) fn trace(&mut self, job: &mut Job, tracing: &Tracing, options: TraceOptions) {
        self.trace = trace::request_trace(&self.span, tracing, options);
        self.fields = FieldTrace::begin(self.trace.as_mut());
        job.trace.clone_from(&self.trace);
        if self.trace.is_some() {
            (self.content, self.vllm_names) = (tracing.content, tracing.vllm_names);
            trace::show_question(&self.span, self.content, &job.question);
        }
        if options.level == Level::Off {
            job.span = Span::none();
        }
    }

    /// For whoever reads the answer.
    pub(super) fn take_fields(&mut self) -> FieldTrace {
        std::mem::replace(&mut self.fields, FieldTrace::off())
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    pub(super) fn done(&mut self, done: &Done) {
        self.ended = true;
        trace::end_generate_span(&self.span, done);
        trace::show_answer(&self.span, self.content, done);
        if self.vllm_names {
            trace::show_as_vllm(&self.span, done);
        }
        self.measure(done);
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

    /// A request that follows from the first one's answer was not taken.
    pub(super) fn refused(&mut self, status: Status) -> Status {
        self.end(status)
    }

    pub(super) fn failed(&mut self, error: &EngineError) -> Status {
        if let EngineError::Panicked { message } = error {
            tracing::error!(panic = message, "the engine panicked over a request");
        }
        let status = self.end(error::failed(error, self.question, &self.named));
        if let Some(reason) = error::reason(&status).filter(|reason| reason.kind() == Kind::Spoilt)
        {
            self.call.metrics.spoilt(reason.name());
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
        let (model, span) = (&self.model, self.trace.as_ref().map(|trace| &trace.parent));
        self.call.metrics.request_ended(&RequestEnded { model, duration, outcome, span });
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        drop(self.take_fields());
        if self.trace.as_ref().is_some_and(RequestTrace::is_dropped) {
            trace::mark_dropped(&self.span);
        }
        if !self.ended {
            let status = self.call.drop_status();
            trace::fail_generate_span(&self.span, status.code());
            self.failed_as(&reason(&status));
            if status.code() == Code::Cancelled {
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
