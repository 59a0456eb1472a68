//! The spans of one answer's fields, each from the step that wrote the first character of the value to the
//! one that wrote its last, and of what is done once the answer is whole. Names that a built-in kind of
//! document has are told, others are not: a model may write anything as a key.

use std::ops::Range;
use std::time::Instant;

use opentelemetry::KeyValue;

use super::reading::Brought;
use super::trace::is_field_name;
use crate::pb::v1;
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
    pieces: Vec<Piece>,
    fields: Vec<Field>,
    finalised: Option<(Instant, Instant)>,
}

/// How much of the answer was there, and since when.
#[derive(Debug, Clone, Copy)]
struct Piece {
    bytes: usize,
    tokens: usize,
    since: Instant,
}

#[derive(Debug)]
struct Field {
    /// Where its name is a known one.
    pointer: Option<String>,
    begin: Instant,
    end: Instant,
    /// Output tokens that wrote its value.
    tokens: Range<usize>,
    confidence: Option<f64>,
}

// === impl FieldTrace ===

impl FieldTrace {
    /// Of a request that is not traced.
    pub(super) const fn off() -> Self {
        Self(None)
    }

    /// Of a request that is traced so far that it shows. The steps of the request wait for it.
    pub(super) fn begin(request: Option<&mut RequestTrace>) -> Self {
        let request = request.filter(|request| request.has(Level::Phases));
        Self(request.map(|request| {
            request.expect_fields();
            let (request, pieces, fields) = (request.clone(), Vec::new(), Vec::new());
            Box::new(Recording { request, pieces, fields, finalised: None })
        }))
    }

    /// More of the answer is there: so many bytes, which so many tokens wrote.
    pub(super) fn answered(&mut self, bytes: usize, tokens: usize) {
        if let Some(recording) = self.with_fields() {
            let before =
                recording.pieces.last().map_or((0, 0), |piece| (piece.bytes, piece.tokens));
            let (bytes, tokens) = (before.0 + bytes, before.1 + tokens);
            recording.pieces.push(Piece { bytes, tokens, since: Instant::now() });
        }
    }

    /// The answer so far brought this.
    pub(super) fn note(&mut self, brought: &[Brought]) {
        let Some(recording) = self.with_fields() else { return };
        for Brought { message, said } in brought {
            if let (Message::FieldCompleted(field), Some(said)) = (message, said) {
                recording.note(field, said);
            }
        }
    }

    fn with_fields(&mut self) -> Option<&mut Recording> {
        self.0.as_deref_mut().filter(|recording| recording.request.has(Level::Steps))
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
            request.read(recording.fields.iter().map(|field| field.tokens.clone()).collect());
            // Of a request that was not taken there is nothing to say.
            if recording.finalised.is_some() || !recording.fields.is_empty() {
                request.later(recording);
            }
        }
    }
}

// === impl Recording ===

impl Recording {
    fn note(&mut self, field: &v1::ExtractedField, said: &Range<usize>) {
        if self.fields.len() >= FIELDS_MAX {
            return;
        }
        // The piece with the first byte was on its way since the piece before it was there.
        let first = self.piece_of(said.start);
        let last = self.piece_of(said.end.saturating_sub(1).max(said.start));
        let last = last.min(self.pieces.len().saturating_sub(1));
        let at = |piece: usize| self.pieces.get(piece).copied();
        let (Some(before), Some(end)) = (at(first.saturating_sub(1)), at(last)) else { return };
        let tokens_before = if first > 0 { before.tokens } else { 0 };
        self.fields.push(Field {
            pointer: is_field_name(field.pointer.trim_start_matches('/'))
                .then(|| field.pointer.clone()),
            begin: before.since,
            end: end.since,
            tokens: tokens_before..end.tokens,
            confidence: field.confidence.map(f64::from),
        });
    }

    /// Which piece brought this byte of the answer.
    fn piece_of(&self, byte: usize) -> usize {
        self.pieces.partition_point(|piece| piece.bytes <= byte)
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    use super::*;
    use crate::telemetry::spans::{Kept, StepCap, Stepwise, TraceOptions};

    /// Steps that tell which tokens they are to be kept for.
    struct Steps(Sender<Vec<Range<usize>>>);

    impl Deferred for Steps {
        fn records(&self) -> usize {
            1
        }

        fn build(self: Box<Self>, _: &mut Spans<'_>) {}
    }

    impl Stepwise for Steps {
        fn keep(&mut self, values: &[Range<usize>]) {
            self.0.send(values.to_vec()).unwrap();
        }
    }

    fn completed(said: Range<usize>) -> Brought {
        let field =
            v1::ExtractedField { pointer: "/TOTAL_AMOUNT".to_owned(), ..Default::default() };
        Brought { message: Message::FieldCompleted(field), said: Some(said) }
    }

    #[test]
    fn values_are_told_by_the_tokens_that_wrote_them() {
        let kept = Kept::new();
        let state = TraceState::default();
        let parent =
            SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, false, state);
        let options = TraceOptions { level: Level::Steps, steps: StepCap::First(1) };
        let mut request = RequestTrace::begin(&kept.tracer, parent, options).unwrap();
        let mut fields = FieldTrace::begin(Some(&mut request));
        let (told, keeps) = channel();
        request.stepped(Box::new(Steps(told)));
        // `{"A": ` by three tokens, `12` by one, `.5` by one, ` }` by two; then a value that is read late.
        for (bytes, tokens) in [(6, 3), (2, 1), (2, 1), (2, 2)] {
            fields.answered(bytes, tokens);
        }
        fields.note(&[completed(6..10), completed(0..3), completed(11..40)]);
        assert!(keeps.try_recv().is_err(), "more may come");
        drop(fields);
        assert_eq!(keeps.try_recv().unwrap(), [3..5, 0..3, 5..7]);
        assert_eq!(kept.take().len(), 3, "a span for each");
    }
}
