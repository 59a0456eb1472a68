//! The instruments that calls, requests and steps are recorded into.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, HistogramBuilder, Meter};

use super::exemplars::Seen;
use super::names::{self, Spec};
use super::{Answered, RequestEnded};

/// The instruments that are recorded into; the others are read from a [`Snapshot`](super::Snapshot).
pub(super) struct Instruments {
    pub(super) request_duration: Histogram<f64>,
    pub(super) time_to_first_token: Histogram<f64>,
    pub(super) time_per_output_token: Histogram<f64>,
    pub(super) token_usage: Histogram<u64>,
    pub(super) call_duration: Histogram<f64>,
    pub(super) tokens: Counter<u64>,
    pub(super) answers: Counter<u64>,
    pub(super) rejections: Counter<u64>,
    pub(super) phase_duration: Histogram<f64>,
    pub(super) fetches: Counter<u64>,
    pub(super) fetched_bytes: Counter<u64>,
    pub(super) fetch_duration: Histogram<f64>,
    pub(super) pages: Counter<u64>,
    pub(super) tiles: Counter<u64>,
    pub(super) preprocess_duration: Histogram<f64>,
    pub(super) steps: Counter<u64>,
    pub(super) step_duration: Histogram<f64>,
    pub(super) batch_size: Histogram<u64>,
    pub(super) step_tokens: Counter<u64>,
    pub(super) prefill: [KeyValue; 1],
    pub(super) decode: [KeyValue; 1],
    pub(super) cancellations: Counter<u64>,
    pub(super) cancel_to_free: Histogram<f64>,
    pub(super) preemptions: Counter<u64>,
    pub(super) prefix_queries: Counter<u64>,
    pub(super) prefix_hits: Counter<u64>,
    pub(super) encoder_queries: Counter<u64>,
    pub(super) encoder_hits: Counter<u64>,
    pub(super) spoilt_answers: Counter<u64>,
    pub(super) spans_processed: Counter<u64>,
    pub(super) spans_exported: Counter<u64>,
    pub(super) steps_elided: Counter<u64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |spec: &Spec| histogram_of(meter, spec).build();
        let counter = |spec: &Spec| {
            let builder = meter.u64_counter(spec.name);
            builder.with_unit(spec.unit).with_description(spec.description).build()
        };
        let counts = |spec: &Spec| {
            let builder = meter.u64_histogram(spec.name).with_unit(spec.unit);
            builder
                .with_description(spec.description)
                .with_boundaries(spec.buckets.to_vec())
                .build()
        };
        Self {
            request_duration: seconds(&names::REQUEST_DURATION),
            time_to_first_token: seconds(&names::TIME_TO_FIRST_TOKEN),
            time_per_output_token: seconds(&names::TIME_PER_OUTPUT_TOKEN),
            token_usage: counts(&names::TOKEN_USAGE),
            call_duration: seconds(&names::CALL_DURATION),
            tokens: counter(&names::TOKENS_PROCESSED),
            answers: counter(&names::ANSWERS),
            rejections: counter(&names::REJECTIONS),
            phase_duration: seconds(&names::PHASE_DURATION),
            fetches: counter(&names::FETCHES),
            fetched_bytes: counter(&names::FETCHED_BYTES),
            fetch_duration: seconds(&names::FETCH_DURATION),
            pages: counter(&names::PAGES),
            tiles: counter(&names::TILES),
            preprocess_duration: seconds(&names::DOCUMENT_PREPROCESSING),
            steps: counter(&names::STEPS),
            step_duration: seconds(&names::STEP_DURATION),
            batch_size: counts(&names::BATCH_SIZE),
            step_tokens: counter(&names::STEP_TOKENS),
            prefill: [KeyValue::new("tessera.phase", "prefill")],
            decode: [KeyValue::new("tessera.phase", "decode")],
            cancellations: counter(&names::CANCELLATIONS),
            cancel_to_free: seconds(&names::CANCEL_TO_FREE),
            preemptions: counter(&names::PREEMPTIONS),
            prefix_queries: counter(&names::PREFIX_QUERIES),
            prefix_hits: counter(&names::PREFIX_HITS),
            encoder_queries: counter(&names::ENCODER_QUERIES),
            encoder_hits: counter(&names::ENCODER_HITS),
            spoilt_answers: counter(&names::SPOILT_ANSWERS),
            spans_processed: counter(&names::SPANS_PROCESSED),
            spans_exported: counter(&names::SPANS_EXPORTED),
            steps_elided: counter(&names::STEPS_ELIDED),
        }
    }

    /// A counter that appears with its first event has not grown in the eyes of `rate` and `increase`, so an
    /// alert would miss that one. What may be counted and has labels from a closed list begins at zero.
    pub(super) fn begin_at_zero(&self) {
        let plain = [
            &self.fetches,
            &self.fetched_bytes,
            &self.cancellations,
            &self.preemptions,
            &self.prefix_queries,
            &self.prefix_hits,
            &self.encoder_queries,
            &self.encoder_hits,
            &self.steps,
            &self.steps_elided,
        ];
        for counter in plain {
            counter.add(0, &[]);
        }
        let typed = |counter: &Counter<u64>, reasons: &[&'static str]| {
            for reason in reasons {
                counter.add(0, &[KeyValue::new("error.type", *reason)]);
            }
        };
        typed(&self.spoilt_answers, &names::SPOILT_REASONS);
        typed(&self.rejections, &names::REJECTION_REASONS);
        typed(&self.fetches, &names::FETCH_ERRORS);
        typed(&self.spans_processed, &["queue_full"]);
        typed(&self.spans_exported, &["io", "rejected", "timeout", "unreachable"]);
    }

    pub(super) fn answered(
        &self,
        answer: &Answered<'_>,
        request: &RequestEnded<'_>,
        labels: &[KeyValue],
        seen: Seen<'_>,
    ) {
        let first = answer.time_to_first_token;
        self.time_to_first_token.record(first.as_secs_f64(), labels);
        seen.note(&names::TIME_TO_FIRST_TOKEN, labels, first.as_secs_f64());
        if let Some(gaps) = answer.output_tokens.checked_sub(1).filter(|gaps| *gaps > 0) {
            let rest = request.duration.saturating_sub(first).as_secs_f64();
            let mean = rest / gaps as f64;
            self.time_per_output_token.record(mean, labels);
            seen.note(&names::TIME_PER_OUTPUT_TOKEN, labels, mean);
        }
        let typed = |kind| [labels, &[KeyValue::new("gen_ai.token.type", kind)]].concat();
        let (input, output) = (answer.input_tokens as u64, answer.output_tokens as u64);
        for (kind, tokens) in [("input", input), ("output", output)] {
            let labels = typed(kind);
            self.token_usage.record(tokens, &labels);
            seen.note(&names::TOKEN_USAGE, &labels, tokens as f64);
            self.tokens.add(tokens, &labels);
        }
        self.tokens.add(answer.image_tokens as u64, &typed("image"));
        let reason = answer.finish_reason.to_owned();
        self.answers.add(1, &[KeyValue::new("gen_ai.response.finish_reason", reason)]);
        for (phase, duration) in answer.phases {
            let labels = [KeyValue::new("tessera.phase", *phase)];
            self.phase_duration.record(duration.as_secs_f64(), &labels);
            seen.note(&names::PHASE_DURATION, &labels, duration.as_secs_f64());
        }
    }
}

fn histogram_of<'a>(meter: &'a Meter, spec: &Spec) -> HistogramBuilder<'a, Histogram<f64>> {
    meter
        .f64_histogram(spec.name)
        .with_unit(spec.unit)
        .with_description(spec.description)
        .with_boundaries(spec.buckets.to_vec())
}
