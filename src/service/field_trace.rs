//! The spans of one answer's fields, from the first piece of a value to its last, and of what is done
//! once the answer is whole. Names that a built-in kind of document has are told, others are not: a
//! model may write anything as a key.

use std::time::Instant;

use opentelemetry::KeyValue;

use super::trace::is_field_name;
use crate::pb::v1::extract_response::Event as Message;
use crate::telemetry::spans::{Deferred, Level, NewSpan, RequestTrace, Spans, span_id};

/// Fields of one answer that are remembered.
const FIELDS_MAX: usize = 1024;

/// What is known so far. Dropping it sends it off.
#[derive(Debug)]
pub(super) struct FieldTrace(Option<Box<Recording>>);

#[derive(Debug)]
struct Recording {
    request: RequestTrace,
    /// The string that is being written, and since when.
    open: Option<(String, Instant)>,
    fields: Vec<Field>,
    finalised: Option<(Instant, Instant)>,
}

#[derive(Debug)]
struct Field {
    /// Where its name is a known one.
    pointer: Option<String>,
    begin: Instant,
    end: Instant,
    confidence: Option<f64>,
}

// === impl FieldTrace ===

impl FieldTrace {
    /// Of a request that is traced so far that it shows.
    pub(super) fn begin(request: Option<&RequestTrace>) -> Self {
        let request = request.filter(|request| request.has(Level::Phases));
        Self(request.map(|request| {
            let (request, fields) = (request.clone(), Vec::new());
            Box::new(Recording { request, open: None, fields, finalised: None })
        }))
    }

    /// These messages were just made.
    pub(super) fn note(&mut self, messages: &[Message]) {
        let Some(recording) = &mut self.0 else { return };
        if !recording.request.has(Level::Steps) {
            return;
        }
        let now = Instant::now();
        for message in messages {
            recording.note(message, now);
        }
    }

    /// The last message was made from `begin` to now.
    pub(super) fn finalised(&mut self, begin: Instant) {
        if let Some(recording) = &mut self.0 {
            recording.finalised = Some((begin, Instant::now()));
        }
    }
}

impl Drop for FieldTrace {
    fn drop(&mut self) {
        if let Some(recording) = self.0.take() {
            let request = recording.request.clone();
            request.later(recording);
        }
    }
}

// === impl Recording ===

impl Recording {
    fn note(&mut self, message: &Message, now: Instant) {
        match message {
            Message::FieldDelta(delta) => {
                let is_open = self.open.as_ref().is_some_and(|(open, _)| *open == delta.pointer);
                if !is_open {
                    self.open = Some((delta.pointer.clone(), now));
                }
            }
            Message::FieldCompleted(field) => {
                let open = self.open.take_if(|(open, _)| *open == field.pointer);
                if self.fields.len() < FIELDS_MAX {
                    self.fields.push(Field {
                        pointer: is_field_name(field.pointer.trim_start_matches('/'))
                            .then(|| field.pointer.clone()),
                        begin: open.map_or(now, |(_, since)| since),
                        end: now,
                        confidence: field.confidence.map(f64::from),
                    });
                }
            }
            _ => {}
        }
    }
}

impl Deferred for Recording {
    fn records(&self) -> usize {
        self.fields.len() + 1
    }

    fn build(self: Box<Self>, spans: &mut Spans<'_>) {
        let Self { request, fields, finalised, .. } = *self;
        for (number, field) in fields.into_iter().enumerate() {
            let name = field.pointer.as_deref().map_or("field", |_| "field ").to_owned();
            let name = name + field.pointer.as_deref().unwrap_or_default();
            let mut attributes = vec![KeyValue::new("tessera.field.number", number as i64)];
            let pointer = field.pointer;
            attributes.extend(pointer.map(|text| KeyValue::new("tessera.field.pointer", text)));
            let confidence = field.confidence;
            attributes.extend(confidence.map(|c| KeyValue::new("tessera.field.confidence", c)));
            let (start, end) = (request.time(field.begin), request.time(field.end));
            let span = NewSpan { name: &name, id: span_id(), start, end, attributes: &attributes };
            spans.child(&request.parent, request.decode, span);
        }
        if let Some((begin, end)) = finalised {
            let (start, end) = (request.time(begin), request.time(end));
            let span = NewSpan { name: "finalise", id: span_id(), start, end, attributes: &[] };
            spans.child(&request.parent, request.parent.span_id(), span);
        }
    }
}
