//! Between the wire's types and the engine's, both ways. No rules here: requests come checked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::reading::Reading;
use super::validate::{Checked, Task};
use crate::engine::{Done, FinishReason, Job, PageSource, Phase, Progress, Sampling, Text};
use crate::pb::v1;

/// The job of a checked request. Its span is set later, since the span's fields come from the job.
pub(super) fn job(checked: Checked, call: &Arc<Call>) -> Job {
    let scores = checked.has_fields() || checked.logprobs;
    let question = match checked.task {
        Task::Document { kind, instructions } => kind.question(&instructions),
        Task::Prompt(prompt) => prompt,
    };
    let id = if checked.request_id.is_empty() {
        uuid::Uuid::new_v4().to_string()
    } else {
        checked.request_id
    };
    // A seed that cannot matter is left out, so that equal greedy jobs are equal.
    let Sampling { temperature, repetition_penalty, .. } = checked.sampling;
    let sampling = if temperature > 0.0 {
        checked.sampling
    } else {
        Sampling { repetition_penalty, ..Sampling::GREEDY }
    };
    Job {
        priority: checked.priority,
        id,
        files: checked.files,
        question,
        sampling,
        output_tokens_max: checked.output_tokens_max,
        stop: checked.stop,
        scores,
        tiles_max: checked.tiles_max,
        deadline: call.deadline,
        received: call.received,
        span: tracing::Span::none(),
        trace: None,
    }
}

pub(super) fn progress(progress: &Progress, received: Instant) -> v1::Progress {
    v1::Progress {
        phase: phase(progress.phase).into(),
        elapsed: Some(duration(received.elapsed())),
        queue_position: progress.queue_position.map(|position| position as u32),
        encoded_tiles: progress.encoded_tiles as u32,
        prefilled_tokens: progress.prefilled_tokens as u32,
        output_tokens: progress.output_tokens as u32,
    }
}

pub(super) fn page_source(source: &PageSource) -> v1::PageSource {
    v1::PageSource {
        file: source.file as u32,
        page: source.page as u32,
        width_px: source.width_px,
        height_px: source.height_px,
    }
}

fn phase(phase: Phase) -> v1::Phase {
    match phase {
        Phase::Queued => v1::Phase::Queued,
        Phase::Vision => v1::Phase::Vision,
        Phase::Prefill => v1::Phase::Prefill,
        Phase::Decode => v1::Phase::Decode,
    }
}

/// The phase's name in logs and error details.
pub(super) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "queue",
        Phase::Vision => "vision",
        Phase::Prefill => "prefill",
        Phase::Decode => "decode",
    }
}

pub(super) fn token_delta(text: Text, logprobs: bool) -> v1::TokenDelta {
    let logprobs =
        if logprobs { text.scores.iter().map(|score| score.logprob).collect() } else { Vec::new() };
    v1::TokenDelta { text: text.text, token_count: text.tokens as u32, logprobs }
}

/// The last message; `is_document` says whether the answer should be a JSON object.
pub(super) fn completed(done: Done, reading: Option<Reading>, is_document: bool) -> v1::Completed {
    let cut = done.finish_reason == FinishReason::Length;
    let object = reading.as_ref().filter(|_| is_document).map(|reading| reading.object(&done.text));
    let (document_json, document_error) = match object {
        None => (None, String::new()),
        Some(Ok(object)) => (Some(object.to_owned()), String::new()),
        Some(Err(error)) if cut => (None, format!("the output was cut: {error}")),
        Some(Err(error)) => (None, error.to_string()),
    };
    let (fields, checks) = reading.map(Reading::finish).unwrap_or_default();
    let timings = done.timings;
    v1::Completed {
        finish_reason: match done.finish_reason {
            FinishReason::Stop => v1::FinishReason::Stop.into(),
            FinishReason::Length => v1::FinishReason::Length.into(),
        },
        text: done.text,
        document_json,
        document_error,
        usage: Some(v1::Usage {
            input_tokens: done.usage.input_tokens as u32,
            image_tokens: done.usage.image_tokens as u32,
            output_tokens: done.usage.output_tokens as u32,
            cached_input_tokens: done.usage.cached_input_tokens as u32,
        }),
        timings: Some(v1::Timings {
            queue: Some(duration(timings.queue)),
            preprocess: Some(duration(timings.preprocess)),
            vision: Some(duration(timings.vision)),
            prefill: Some(duration(timings.prefill)),
            decode: Some(duration(timings.decode)),
            time_to_first_token: Some(duration(timings.time_to_first_token)),
            total: Some(duration(timings.total)),
        }),
        fields,
        checks,
    }
}

/// A protobuf duration. Spans of a request are far from its bounds; beyond them it saturates.
fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration)
        .unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 })
}
