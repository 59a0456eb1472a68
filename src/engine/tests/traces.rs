//! What the records of a request become: which spans, under which parent, from when to when.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use opentelemetry::Value;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::SpanData;

use super::{Stage, answering, constrained, finished, job};
use crate::engine::inbox::Wait;
use crate::engine::{Config, Job, Usage};
use crate::model::fake::Options;
use crate::telemetry::spans::{Kept, Level, RequestTrace, StepCap, TraceOptions};

/// The span of request `number`, which the service makes.
fn parent(number: u128) -> SpanContext {
    let (trace, span) = (TraceId::from(number), SpanId::from(9));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default())
}

fn traced(kept: &Kept, number: u128, job: Job) -> Job {
    traced_at(Level::Engine, kept, number, job)
}

fn traced_at(level: Level, kept: &Kept, number: u128, job: Job) -> Job {
    let options = TraceOptions { level, steps: StepCap::All };
    Job { trace: RequestTrace::begin(&kept.tracer, parent(number), options), ..job }
}

/// The spans of one request, each with its attributes.
struct Spans(Vec<SpanData>);

impl Spans {
    fn of(all: &[SpanData], number: u128) -> Self {
        let own = all.iter().filter(|span| span.span_context.trace_id() == TraceId::from(number));
        Self(own.cloned().collect())
    }

    fn named(&self, name: &str) -> Vec<&SpanData> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    fn one(&self, name: &str) -> &SpanData {
        let found = self.named(name);
        assert_eq!(found.len(), 1, "{name}");
        found[0]
    }

    fn below(&self, parent: &SpanData, name: &str) -> Vec<&SpanData> {
        let id = parent.span_context.span_id();
        self.named(name).into_iter().filter(|span| span.parent_span_id == id).collect()
    }
}

fn attributes(span: &SpanData) -> BTreeMap<&str, &Value> {
    span.attributes.iter().map(|pair| (pair.key.as_str(), &pair.value)).collect()
}

fn integer(span: &SpanData, key: &str) -> i64 {
    let found = attributes(span);
    match found.get(key) {
        Some(Value::I64(number)) => *number,
        other => panic!("{key} of {} is {other:?}", span.name),
    }
}

fn within(inner: &SpanData, outer: &SpanData) -> bool {
    inner.start_time >= outer.start_time && inner.end_time <= outer.end_time
}

#[test]
fn each_phase_and_each_step_has_a_span() {
    let kept = Kept::new();
    let mut stage = Stage::new(answering("ab"));
    let mut events = stage.submit(traced(&kept, 1, job("what", &[2]))).unwrap();
    stage.settle();
    let usage = finished(&mut events).unwrap().usage;
    let all = kept.take();
    let spans = Spans::of(&all, 1);
    for phase in ["queue", "vision_encode", "prefill", "decode"] {
        assert_eq!(spans.one(phase).parent_span_id, SpanId::from(9), "{phase}");
    }
    let decode = spans.one("decode");
    let steps = spans.below(decode, "decode_step");
    assert_eq!(steps.len(), usage.output_tokens);
    for (index, step) in steps.iter().enumerate() {
        assert_eq!(integer(step, "tessera.step.index"), index as i64);
        assert_eq!(integer(step, "tessera.step.tokens"), 1);
        let tokens = usage.input_tokens + index;
        assert_eq!(integer(step, "tessera.step.kv_tokens"), tokens as i64);
        let blocks = tokens.div_ceil(Options::default().spec.block_tokens);
        assert_eq!(integer(step, "tessera.step.kv_blocks"), blocks as i64);
        assert!(within(step, decode));
    }
    let prefill = spans.one("prefill");
    assert_eq!(integer(prefill, "tessera.prefill.tokens"), usage.input_tokens as i64);
    assert!(spans.below(prefill, "prefill_chunk").iter().all(|chunk| within(chunk, prefill)));
    let passes = all.iter().filter(|span| span.name == "engine.step");
    assert_eq!(passes.count(), usage.output_tokens, "one request: a pass for each token");
}

#[test]
fn what_a_schema_forces_is_told_beside_the_steps() {
    let kept = Kept::new();
    let mut options = Options::default();
    options.spec.slot_tokens = 600;
    let mut stage = Stage::new(options);
    let grammar = Some(constrained::schema().grammar());
    let job = Job { grammar, output_tokens_max: 400, ..job("what", &[]) };
    let mut events = stage.submit(traced(&kept, 1, job)).unwrap();
    stage.settle();
    let tokens = finished(&mut events).unwrap().usage.output_tokens as i64;
    let spans = Spans::of(&kept.take(), 1);
    let decode = spans.one("decode");
    let steps = spans.below(decode, "decode_step");
    let forced = integer(decode, "tessera.decode.tokens_forced");
    assert!(forced > 0, "the schema has names");
    assert_eq!(steps.len() as i64 + forced, tokens);
    let told: i64 = steps.iter().map(|step| integer(step, "tessera.step.tokens")).sum();
    assert_eq!(told, tokens);
}

/// Which steps have spans, of an answer of 31 tokens with a cap of one.
fn shown(values: Option<Vec<std::ops::Range<usize>>>, is_read_first: bool) -> Vec<i64> {
    let kept = Kept::new();
    let mut stage = Stage::new(answering(&"z".repeat(30)));
    let options = TraceOptions { level: Level::Steps, steps: StepCap::First(1) };
    let mut trace = RequestTrace::begin(&kept.tracer, parent(1), options).unwrap();
    if values.is_some() {
        trace.expect_fields();
    }
    let job = Job { trace: Some(trace.clone()), output_tokens_max: 60, ..job("what", &[]) };
    let mut events = stage.submit(job).unwrap();
    if let Some(values) = values.as_ref().filter(|_| is_read_first) {
        trace.read(values.clone());
    }
    stage.settle();
    assert_eq!(finished(&mut events).unwrap().usage.output_tokens, 31);
    if let Some(values) = values.filter(|_| !is_read_first) {
        assert!(kept.take().iter().all(|span| span.name == "engine.step"), "it is not known yet");
        trace.read(values);
    }
    let spans = Spans::of(&kept.take(), 1);
    let decode = spans.one("decode");
    let steps: Vec<i64> = spans
        .below(decode, "decode_step")
        .iter()
        .map(|step| integer(step, "tessera.step.index"))
        .collect();
    assert_eq!(integer(decode, "tessera.decode.steps_in_trace"), steps.len() as i64);
    assert_eq!(integer(decode, "tessera.decode.steps_elided"), 31 - steps.len() as i64);
    steps
}

#[test]
fn a_cap_keeps_the_steps_that_open_or_close_a_field() {
    let without = shown(None, false);
    assert_eq!(without, [0, 1, 3, 7, 15, 30]);
    let values = vec![5..9, 12..13, 20..20, 29..90];
    // A range that reaches further than the answer, or is of nothing, names no step that is not there.
    for is_read_first in [false, true] {
        let with = shown(Some(values.clone()), is_read_first);
        assert_eq!(with, [0, 1, 3, 5, 7, 8, 12, 15, 29, 30], "{is_read_first}");
        assert_eq!(shown(Some(Vec::new()), is_read_first), without, "no fields, nothing lost");
    }
}

#[test]
fn the_engines_steps_show_each_device_and_the_ways_between() {
    let kept = Kept::new();
    let mut stage = Stage::new(answering("ab"));
    let mut events = stage.submit(traced(&kept, 1, job("what", &[]))).unwrap();
    stage.settle();
    finished(&mut events).unwrap();
    let all = Spans(kept.take());
    let passes = all.named("engine.step");
    assert!(!passes.is_empty());
    for pass in passes {
        let laps = all.below(pass, "device cpu");
        assert_eq!(laps.len(), 1, "the fake model has one device");
        assert_eq!(laps[0].span_context.trace_id(), pass.span_context.trace_id());
        assert_eq!(attributes(laps[0])["tessera.device"], &Value::from("cpu"));
        assert!(laps[0].start_time >= pass.start_time);
    }
}

#[test]
fn numbers_are_those_of_the_chosen_tokens() {
    let numbers = |level| {
        let kept = Kept::new();
        let mut stage = Stage::new(answering("ab"));
        let mut events = stage.submit(traced_at(level, &kept, 1, job("what", &[]))).unwrap();
        stage.settle();
        finished(&mut events).unwrap();
        let spans = Spans::of(&kept.take(), 1);
        let number = |step: &SpanData, key: &str| match attributes(step).get(key) {
            Some(Value::F64(number)) => Some(*number),
            _ => None,
        };
        let keys = ["tessera.step.logprob", "tessera.logits.chosen", "tessera.logits.log_sum_exp"];
        let steps = spans.named("decode_step");
        steps.iter().map(|step| keys.map(|key| number(step, key))).collect::<Vec<_>>()
    };
    assert!(numbers(Level::Engine).iter().flatten().all(Option::is_none));
    let told = numbers(Level::Numbers);
    assert!(!told.is_empty());
    for step in told {
        let [logprob, chosen, log_sum_exp] = step.map(Option::unwrap);
        assert!(logprob <= 0.0 && (chosen - log_sum_exp - logprob).abs() < 1e-6);
    }
}

#[test]
fn losing_kv_memory_and_taking_it_in_again_is_told() {
    let kept = Kept::new();
    let (usages, preemptions) = preempted(Level::Engine, &kept);
    let all = kept.take();
    let lost: u64 = (1..=2)
        .map(|number| {
            let spans = Spans::of(&all, number);
            check_preempted(&spans, usages[number as usize - 1].input_tokens);
            assert_eq!(
                spans.named("decode_step").len(),
                usages[number as usize - 1].output_tokens,
                "a step is told once, whatever was taken in again"
            );
            spans.named("preempted").len() as u64
        })
        .sum();
    assert_eq!(lost, preemptions);
    assert!(lost > 0, "there was memory for both");
}

/// Without steps, too, the answer begins with its first token.
#[test]
fn what_is_taken_in_again_is_no_part_of_the_prompt() {
    let taken = |level| {
        let kept = Kept::new();
        preempted(level, &kept);
        let all = kept.take();
        [1, 2].map(|number| {
            let spans = Spans::of(&all, number);
            let prefill = spans.one("prefill");
            prefill.end_time.duration_since(prefill.start_time).unwrap()
        })
    };
    assert_eq!(taken(Level::Phases), taken(Level::Steps));
}

/// Two requests with memory for one and a half; what they took, and how often one lost its memory.
fn preempted(level: Level, kept: &Kept) -> (Vec<Usage>, u64) {
    let mut options = answering(&"z".repeat(60));
    options.spec.slots = 2;
    // Both prompts fit, both answers do not.
    options.spec.block_tokens = 16;
    options.spec.kv_blocks = 7;
    let config = Config { prefill_chunk_tokens: Some(8), prefix_cache: false, ..Config::default() };
    let mut stage = Stage::with(options, config);
    let mut ends = Vec::new();
    for number in 1..=2 {
        let mut job = job(&"q".repeat(20), &[]);
        job.output_tokens_max = 60;
        ends.push(stage.submit(traced_at(level, kept, number, job)).unwrap());
    }
    while stage.turn() == Wait::Not {
        stage.clock.advance(Duration::from_millis(1));
    }
    let usages = ends.iter_mut().map(|events| finished(events).unwrap().usage).collect();
    (usages, stage.board.counters.counts().preemptions)
}

fn check_preempted(spans: &Spans, input_tokens: usize) {
    let (prefill, decode) = (spans.one("prefill"), spans.one("decode"));
    assert_eq!(integer(prefill, "tessera.prefill.tokens"), input_tokens as i64);
    assert!(spans.below(prefill, "prefill_chunk").iter().all(|chunk| within(chunk, prefill)));
    let lost = spans.below(decode, "preempted");
    assert_eq!(integer(decode, "tessera.decode.preemptions"), lost.len() as i64);
    for preempted in lost {
        assert!(within(preempted, decode));
        let chunks = spans.below(preempted, "prefill_chunk");
        let again: i64 = chunks.iter().map(|c| integer(c, "tessera.prefill.tokens")).sum();
        let tokens = integer(preempted, "tessera.preempted.tokens");
        // The newest one may be left for the step that goes on.
        assert!(again == tokens || again == tokens - 1, "{again} of {tokens}");
        assert!(chunks.iter().all(|chunk| within(chunk, preempted)));
        assert_eq!(attributes(preempted)["tessera.preempted.resumed"], &Value::Bool(true));
    }
}

#[test]
fn times_are_of_the_wall_clock() {
    let kept = Kept::new();
    let mut stage = Stage::new(answering("ab"));
    let before = SystemTime::now();
    let mut events = stage.submit(traced(&kept, 1, job("what", &[]))).unwrap();
    stage.settle();
    finished(&mut events).unwrap();
    let slack = Duration::from_mins(1);
    for span in kept.take() {
        assert!(span.start_time + slack > before && span.start_time < before + slack);
        assert!(span.end_time >= span.start_time, "{}", span.name);
    }
}
