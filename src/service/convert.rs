//! Between the wire's types and the engine's, both ways. No rules here: requests come checked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::Call;
use super::reading::Read;
use super::validate::{Checked, Task};
use crate::engine::{Done, FinishReason, Job, PageSource, Phase, Progress, Sampling, Text, Usage};
use crate::fields::Repair;
use crate::pb::v1;
use crate::prompt::AnswerStyle;
use crate::schema::{DocumentKind, Grammar, Schema};

/// The job of a checked request. Its span is set later, since the span's fields come from the job.
pub(super) fn job(checked: Checked, question: String, call: &Arc<Call>) -> Job {
    let scores = checked.has_fields() || checked.logprobs;
    let grammar = match &checked.task {
        Task::Document { schema, style, .. } if checked.constrain => grammar(schema, *style),
        Task::Auto { .. } => Some(Grammar::one_of(DocumentKind::ALL.map(DocumentKind::name))),
        Task::Document { .. } | Task::Prompt(_) => None,
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
        grammar,
        scores,
        tiles_max: checked.tiles_max,
        deadline: call.deadline,
        received: call.received,
        span: tracing::Span::none(),
        trace: None,
    }
}

/// What an answer with the fields of `schema` can be held to.
pub(super) fn grammar(schema: &Schema, style: AnswerStyle) -> Option<Grammar> {
    match style {
        AnswerStyle::Json => Some(schema.grammar()),
        AnswerStyle::Lines => schema.grammar_of_lines(),
    }
}

/// `input_tokens` is what `prefilled_tokens` is of.
pub(super) fn progress(
    progress: &Progress,
    input_tokens: usize,
    received: Instant,
) -> v1::Progress {
    v1::Progress {
        phase: phase(progress.phase).into(),
        elapsed: Some(duration(received.elapsed())),
        queue_position: progress.queue_position.map(|position| position as u32),
        encoded_tiles: progress.encoded_tiles as u32,
        prefilled_tokens: progress.prefilled_tokens as u32,
        output_tokens: progress.output_tokens as u32,
        input_tokens: input_tokens as u32,
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

/// The last message; `read` is what the answer's fields are, where somebody wants them.
pub(super) fn completed(done: &Done, read: Option<Read>) -> v1::Completed {
    let cut = done.finish_reason == FinishReason::Length;
    let Read { document, fields, checks, repairs, .. } = read.unwrap_or_default();
    let (document_json, document_error) = match document {
        None => (None, String::new()),
        Some(Ok(object)) => (Some(object), String::new()),
        Some(Err(error)) if cut => (None, format!("the output was cut: {error}")),
        Some(Err(error)) => (None, error.to_string()),
    };
    let timings = done.timings;
    v1::Completed {
        finish_reason: match done.finish_reason {
            FinishReason::Stop => v1::FinishReason::Stop.into(),
            FinishReason::Length => v1::FinishReason::Length.into(),
        },
        text: done.text.clone(),
        document_json,
        document_error,
        usage: Some(usage(done.usage)),
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
        repairs: repairs.into_iter().map(|repair| self::repair(repair).into()).collect(),
    }
}

pub(super) fn usage(usage: Usage) -> v1::Usage {
    v1::Usage {
        input_tokens: usage.input_tokens as u32,
        image_tokens: usage.image_tokens as u32,
        output_tokens: usage.output_tokens as u32,
        cached_input_tokens: usage.cached_input_tokens as u32,
    }
}

pub(super) fn document_type(kind: DocumentKind) -> v1::DocumentType {
    match kind {
        DocumentKind::Receipt => v1::DocumentType::Receipt,
        DocumentKind::Invoice => v1::DocumentType::Invoice,
        DocumentKind::BankStatement => v1::DocumentType::BankStatement,
    }
}

fn repair(repair: Repair) -> v1::Repair {
    match repair {
        Repair::Quotes => v1::Repair::Quotes,
        Repair::BareNames => v1::Repair::BareNames,
        Repair::TrailingComma => v1::Repair::TrailingComma,
        Repair::MissingComma => v1::Repair::MissingComma,
        Repair::Words => v1::Repair::Words,
        Repair::Characters => v1::Repair::Characters,
        Repair::Comments => v1::Repair::Comments,
        Repair::Lines => v1::Repair::Lines,
    }
}

/// A protobuf duration. Spans of a request are far from its bounds; beyond them it saturates.
fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration)
        .unwrap_or(prost_types::Duration { seconds: i64::MAX, nanos: 0 })
}
