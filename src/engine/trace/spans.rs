//! From the records of one request to its spans. Runs on the thread that exports them.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Link, SpanContext, SpanId};
use opentelemetry::{Key, KeyValue};

use super::{Chunk, ModelFacts, Pass, Preemption, Recording, Score, Step};
use crate::model::{Lap, PassTimes, StageTimes};
use crate::telemetry::spans::{Deferred, Level, NewSpan, RequestTrace, Spans, Stepwise, span_id};

/// A pass and a request in it, whose clock it is told by.
pub(super) struct EnginePass {
    pub(super) pass: Pass,
    pub(super) request: RequestTrace,
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn integer(key: &'static str, value: usize) -> KeyValue {
    KeyValue::new(key, value as i64)
}

/// The names of the attributes that tell the time on each device, made once for many spans.
#[derive(Debug, Default)]
struct DeviceKeys(Vec<(String, Key)>);

impl DeviceKeys {
    fn get(&mut self, device: &str) -> Key {
        if let Some((_, key)) = self.0.iter().find(|(known, _)| known == device) {
            return key.clone();
        }
        let name: Arc<str> = format!("tessera.device.{}.ms", device.replace(':', "_")).into();
        let key = Key::from(name);
        self.0.push((device.to_owned(), key.clone()));
        key
    }

    /// Time on each device, where the runner can tell.
    fn tell(&mut self, stages: Option<&PassTimes>, attributes: &mut Vec<KeyValue>) {
        let Some(stages) = stages.map(PassTimes::get) else { return };
        for (device, time) in &stages.devices {
            attributes.push(KeyValue::new(self.get(device), ms(*time)));
        }
        attributes.push(KeyValue::new("tessera.hop.ms", ms(stages.hops)));
    }
}

impl Deferred for EnginePass {
    fn records(&self) -> usize {
        1 + self.pass.stages.as_ref().map_or(0, PassTimes::laps)
    }

    fn build(self: Box<Self>, spans: &mut Spans<'_>) {
        let Self { pass, request } = *self;
        let mut attributes = vec![
            integer("tessera.engine.step", pass.number as usize),
            integer("tessera.step.batch_size", pass.batch_size),
            integer("tessera.step.prefill_tokens", pass.prefill_tokens),
        ];
        DeviceKeys::default().tell(pass.stages.as_ref(), &mut attributes);
        let (start, end) = (request.time(pass.begin), request.time(pass.end));
        let name = "engine.step";
        let span = NewSpan { name, id: span_id(), start, end, attributes: &attributes };
        let links: Vec<Link> = pass
            .links
            .into_iter()
            .map(|(of, step)| Link::new(of, vec![integer("tessera.step.index", step)], 0))
            .collect();
        let step = spans.root(span, &links);
        if let Some(stages) = &pass.stages {
            laps(stages.get(), (start, end), &step, spans);
        }
    }
}

/// What a pass did on each device and between them, one after the other. Devices tell how long each took, not since when:
/// the last ends with the pass, unless the first would begin before it.
fn laps(
    stages: &StageTimes,
    (start, end): (SystemTime, SystemTime),
    step: &SpanContext,
    spans: &mut Spans<'_>,
) {
    let whole: Duration = stages.laps.iter().map(|(_, took)| *took).sum();
    let mut at = end.checked_sub(whole).map_or(start, |first| first.max(start));
    for (lap, took) in &stages.laps {
        let (name, device) = match lap {
            Lap::Device(id) => (format!("device {id}"), Some(id)),
            Lap::Hop => ("hop".to_owned(), None),
        };
        let attributes: Vec<KeyValue> =
            device.map(|id| KeyValue::new("tessera.device", id.clone())).into_iter().collect();
        let (start, end) = (at, at + *took);
        let span = NewSpan { name: &name, id: span_id(), start, end, attributes: &attributes };
        spans.child(step, step.span_id(), span);
        at = end;
    }
}

impl Deferred for Recording {
    fn records(&self) -> usize {
        self.steps.len() + self.chunks.len() + self.preemptions.len() + 4
    }

    fn build(self: Box<Self>, spans: &mut Spans<'_>) {
        let ended = self.ended.unwrap_or_else(Instant::now);
        let first_token = self.steps.first().map(|step| step.forward_end);
        let first_token = first_token.or_else(|| {
            // What a preemption had taken in again came later.
            let own = self.chunks.iter().rfind(|chunk| !chunk.answering);
            own.filter(|_| self.choices > 0).map(|chunk| chunk.end)
        });
        self.queue(self.started.unwrap_or(ended), spans);
        if let Some(first) = self.encodes.first() {
            self.vision(first.begin, spans);
        }
        let prefilled = first_token.unwrap_or(ended);
        let prefill = self.encoded.map(|begin| self.prefill(begin, prefilled, spans));
        if let Some(first_token) = first_token {
            self.decode(first_token, ended, spans);
        }
        for (index, preemption) in self.preemptions.iter().enumerate() {
            let parent = prefill.filter(|_| !preemption.answering).unwrap_or(self.request.decode);
            self.preempted(parent, (index + 1, preemption), ended, spans);
        }
    }
}

impl Recording {
    fn child(
        &self,
        parent: SpanId,
        (name, id): (&'static str, SpanId),
        (begin, end): (Instant, Instant),
        attributes: &[KeyValue],
        spans: &mut Spans<'_>,
    ) {
        let (start, end) = (self.request.time(begin), self.request.time(end));
        let span = NewSpan { name, id, start, end, attributes };
        spans.child(&self.request.parent, parent, span);
    }

    fn parent(&self) -> SpanId {
        self.context().span_id()
    }

    fn context(&self) -> &SpanContext {
        &self.request.parent
    }

    fn queue(&self, started: Instant, spans: &mut Spans<'_>) {
        let waited = self.preparing.saturating_duration_since(self.submitted);
        let mut attributes = vec![KeyValue::new("tessera.queue.intake_ms", ms(waited))];
        let position = self.position.map(|at| integer("tessera.queue.position_at_enqueue", at));
        attributes.extend(position);
        let times = (self.prepared, started);
        self.child(self.parent(), ("queue", span_id()), times, &attributes, spans);
    }

    fn vision(&self, begin: Instant, spans: &mut Spans<'_>) {
        let end = self.encodes.last().map_or(begin, |encoded| encoded.end);
        let busy: Duration =
            self.encodes.iter().map(|e| e.end.saturating_duration_since(e.begin)).sum();
        let attributes = vec![
            integer("tessera.vision.tiles", self.encodes.iter().map(|e| e.tiles).sum()),
            integer("tessera.vision.chunks", self.encodes.len()),
            KeyValue::new("tessera.vision.encode_ms", ms(busy)),
            KeyValue::new("tessera.device", self.model.vision_device.clone()),
            KeyValue::new("tessera.dtype", self.model.vision_dtype.clone()),
        ];
        self.child(self.parent(), ("vision_encode", span_id()), (begin, end), &attributes, spans);
    }

    /// Of the prompt until its first token; what a preemption had taken in again is told there.
    fn prefill(&self, begin: Instant, end: Instant, spans: &mut Spans<'_>) -> SpanId {
        let own = || self.chunks.iter().filter(|chunk| !chunk.answering);
        let first = own().map(|chunk| chunk.start).min().unwrap_or_default();
        let last = own().map(|chunk| chunk.start + chunk.tokens).max().unwrap_or_default();
        let tokens = (last - first) as usize;
        let kv_bytes = tokens * self.model.kv_bytes_per_token as usize;
        let attributes = vec![
            integer("tessera.prefill.tokens", tokens),
            integer("tessera.prefill.cached_tokens", first as usize),
            integer("tessera.prefill.chunks", own().count()),
            integer("tessera.prefill.kv_bytes", kv_bytes),
        ];
        let id = span_id();
        self.child(self.parent(), ("prefill", id), (begin, end), &attributes, spans);
        self.chunks(id, 0, spans);
        id
    }

    /// Those that were taken in after so many preemptions.
    fn chunks(&self, parent: SpanId, preemptions: usize, spans: &mut Spans<'_>) {
        if !self.request.has(Level::Steps) {
            return;
        }
        let of = |chunk: &&Chunk| chunk.preemptions as usize == preemptions;
        let mut devices = DeviceKeys::default();
        for chunk in self.chunks.iter().filter(of) {
            let times = (chunk.begin, chunk.end);
            let attributes = chunk.attributes(&mut devices);
            self.child(parent, ("prefill_chunk", span_id()), times, &attributes, spans);
        }
    }

    /// From losing its KV memory to having taken its tokens in again.
    fn preempted(
        &self,
        parent: SpanId,
        (number, preemption): (usize, &Preemption),
        ended: Instant,
        spans: &mut Spans<'_>,
    ) {
        let next = self.preemptions.get(number).map(|next| next.at);
        let end = preemption.resumed.or(next).unwrap_or(ended);
        let attributes = vec![
            integer("tessera.preempted.tokens", preemption.tokens as usize),
            KeyValue::new("tessera.preempted.resumed", preemption.resumed.is_some()),
        ];
        let id = span_id();
        self.child(parent, ("preempted", id), (preemption.at, end), &attributes, spans);
        self.chunks(id, number, spans);
    }

    /// The steps that brought the first and the last token of a field's value, as far as they are recorded.
    fn steps_at_edges(&self) -> Vec<usize> {
        let ends = self.steps.iter().scan(0, |tokens, step| {
            *tokens += step.tokens as usize;
            Some(*tokens)
        });
        let ends: Vec<usize> = ends.collect();
        let step_of = |token: usize| ends.partition_point(|end| *end <= token);
        let edges = self.values.iter().filter(|value| !value.is_empty());
        let steps = edges.flat_map(|value| [value.start, value.end - 1]).map(step_of);
        steps.filter(|step| *step < ends.len()).collect()
    }

    fn decode(&self, first_token: Instant, ended: Instant, spans: &mut Spans<'_>) {
        let durations: Vec<Duration> =
            self.steps.iter().map(|step| step.end.saturating_duration_since(step.begin)).collect();
        let mut chosen = self.request.options.steps.chosen(&durations);
        for step in self.steps_at_edges() {
            chosen[step] = true;
        }
        let shown = chosen.iter().filter(|chosen| **chosen).count();
        let elided = self.choices - shown;
        if self.request.has(Level::Steps) {
            spans.elided(elided);
        }
        let mut attributes = vec![
            integer("tessera.decode.steps", self.choices),
            integer("tessera.decode.steps_in_trace", shown),
            integer("tessera.decode.steps_elided", elided),
            integer("tessera.decode.steps_unrecorded", self.unrecorded),
            integer("tessera.decode.tokens_forced", self.forced),
            integer("tessera.decode.preemptions", self.preemptions.len()),
        ];
        let reason = self.finish_reason;
        attributes.extend(reason.map(|reason| KeyValue::new("tessera.finish_reason", reason)));
        attributes.extend(percentiles(durations));
        let id = self.request.decode;
        self.child(self.parent(), ("decode", id), (first_token, ended), &attributes, spans);
        let (mut attributes, mut devices) = (Vec::new(), DeviceKeys::default());
        let steps = self.steps.iter().enumerate().zip(chosen);
        for ((index, step), _) in steps.filter(|(_, chosen)| *chosen) {
            // The pass of the first token is the prompt's last one, which has a span of its own.
            let begin = if step.took_in { step.forward_end } else { step.begin };
            let times = (begin, step.end);
            step.attributes(index, &self.model, &mut attributes);
            devices.tell(step.stages.as_ref(), &mut attributes);
            self.child(id, ("decode_step", span_id()), times, &attributes, spans);
        }
    }
}

impl Stepwise for Recording {
    fn keep(&mut self, values: &[Range<usize>]) {
        self.values.extend_from_slice(values);
    }
}

fn percentiles(mut durations: Vec<Duration>) -> Vec<KeyValue> {
    durations.sort_unstable();
    let at = |share: usize| {
        let index = (durations.len() * share / 100).min(durations.len().saturating_sub(1));
        durations.get(index).copied().map(ms)
    };
    let named = [
        ("tessera.decode.step_ms.p50", at(50)),
        ("tessera.decode.step_ms.p99", at(99)),
        ("tessera.decode.step_ms.max", at(100)),
    ];
    named.into_iter().filter_map(|(key, value)| Some(KeyValue::new(key, value?))).collect()
}

impl Chunk {
    fn attributes(&self, devices: &mut DeviceKeys) -> Vec<KeyValue> {
        let mut attributes = vec![
            integer("tessera.engine.step", self.pass as usize),
            integer("tessera.prefill.start", self.start as usize),
            integer("tessera.prefill.tokens", self.tokens as usize),
            integer("tessera.step.batch_size", self.batch_size as usize),
        ];
        devices.tell(self.stages.as_ref(), &mut attributes);
        attributes
    }
}

impl Step {
    /// Puts them in the place of those of another step.
    fn attributes(&self, index: usize, model: &ModelFacts, attributes: &mut Vec<KeyValue>) {
        let forward = self.forward_end.saturating_duration_since(self.begin);
        let sample = Duration::from_nanos(u64::from(self.sample_nanos));
        let grammar = Duration::from_nanos(u64::from(self.grammar_nanos));
        let kv_blocks = (self.kv_tokens as usize).div_ceil(model.block_tokens.max(1));
        attributes.clear();
        attributes.extend([
            integer("tessera.step.index", index),
            integer("tessera.step.tokens", self.tokens as usize),
            integer("tessera.engine.step", self.pass as usize),
            integer("tessera.step.batch_size", self.batch_size as usize),
            integer("tessera.step.kv_tokens", self.kv_tokens as usize),
            integer("tessera.step.kv_blocks", kv_blocks),
            KeyValue::new("tessera.step.ms", ms(forward)),
            KeyValue::new("tessera.step.sample_ms", ms(sample)),
            KeyValue::new("tessera.step.grammar_ms", ms(grammar)),
        ]);
        if let Some(Score { logit, logprob }) = self.score {
            let (logit, logprob) = (f64::from(logit), f64::from(logprob));
            attributes.extend([
                KeyValue::new("tessera.step.logprob", logprob),
                KeyValue::new("tessera.logits.chosen", logit),
                KeyValue::new("tessera.logits.log_sum_exp", logit - logprob),
            ]);
        }
    }
}
