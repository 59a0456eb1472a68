//! From spans to the bytes that leave: each is written as it is made, in the forms that the outputs
//! want, and no structure of spans is kept, copied or converted in between. A step of a small model
//! takes less time than such structures would.

mod json;
mod protobuf;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{Link, SpanContext, SpanId};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use super::{LINKS_MAX, NewSpan, OWN_TARGET};

/// Spans of one export.
const BATCH_SPANS_MAX: usize = 2_048;

/// In the flags of a span: whether its parent is remote is known.
const IS_REMOTE_KNOWN: u32 = 0x100;

/// What the outputs want to have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Formats {
    pub(super) protobuf: bool,
    pub(super) json: bool,
}

/// A span that is no part of the SDK: inside this process, without events, and neither well nor ill.
pub(super) struct Plain<'a> {
    /// Of the same trace.
    pub(super) context: &'a SpanContext,
    pub(super) parent: SpanId,
    pub(super) span: NewSpan<'a>,
    pub(super) links: &'a [Link],
}

/// Spans of one export, whole.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) spans: usize,
    /// An `ExportTraceServiceRequest`: what all spans have in common, and the spans.
    pub(super) protobuf: [Bytes; 2],
    /// The same as a line of JSON.
    pub(super) json: Vec<u8>,
}

/// Spans that wait to be sent.
#[derive(Debug)]
pub(super) struct Batches {
    formats: Formats,
    protobuf: protobuf::Envelope,
    json: json::Envelope,
    full: Vec<Batch>,
    open: Open,
    /// In all of them.
    spans: usize,
    /// One span's own bytes: their length goes before them.
    body: Vec<u8>,
}

/// The batch that is being filled.
#[derive(Debug, Default)]
struct Open {
    spans: usize,
    protobuf: Vec<u8>,
    json: Vec<u8>,
}

// === impl Plain ===

impl Plain<'_> {
    fn flags(&self) -> u32 {
        u32::from(self.context.trace_flags().to_u8()) | IS_REMOTE_KNOWN
    }

    /// At most [`LINKS_MAX`].
    fn links(&self) -> &[Link] {
        &self.links[..self.links.len().min(LINKS_MAX)]
    }

    fn links_dropped(&self) -> u32 {
        self.links.len().saturating_sub(LINKS_MAX) as u32
    }
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos() as u64
}

// === impl Batches ===

impl Batches {
    /// Of spans that have `resource` in common.
    pub(super) fn new(formats: Formats, resource: &Resource) -> Self {
        let scope = scope();
        Self {
            formats,
            protobuf: protobuf::Envelope::new(resource, &scope),
            json: json::Envelope::new(resource, &scope),
            full: Vec::new(),
            open: Open::default(),
            spans: 0,
            body: Vec::new(),
        }
    }

    pub(super) fn spans(&self) -> usize {
        self.spans
    }

    pub(super) fn has_full(&self) -> bool {
        !self.full.is_empty()
    }

    pub(super) fn push(&mut self, plain: &Plain<'_>) {
        if self.formats.protobuf {
            protobuf::plain(&mut self.open.protobuf, &mut self.body, plain);
        }
        if self.formats.json {
            json::plain(self.json.next(&mut self.open), plain);
        }
        self.pushed();
    }

    /// Adds a span of the SDK, of which there are few.
    pub(super) fn push_made(&mut self, span: SpanData) {
        let span = Span::from(span);
        if self.formats.protobuf {
            protobuf::made(&mut self.open.protobuf, &span);
        }
        if self.formats.json {
            json::made(self.json.next(&mut self.open), &span);
        }
        self.pushed();
    }

    fn pushed(&mut self) {
        self.open.spans += 1;
        self.spans += 1;
        if self.open.spans >= BATCH_SPANS_MAX {
            self.close();
        }
    }

    /// Takes all of them, in the order in which they came.
    pub(super) fn take(&mut self) -> Vec<Batch> {
        if self.open.spans > 0 {
            self.close();
        }
        self.spans = 0;
        std::mem::take(&mut self.full)
    }

    fn close(&mut self) {
        let Open { spans, protobuf, mut json } = std::mem::take(&mut self.open);
        // The next one is going to be about as long.
        self.open.protobuf.reserve(protobuf.len());
        self.open.json.reserve(json.len());
        if self.formats.json {
            json.extend_from_slice(&self.json.after);
        }
        let head = self.protobuf.before(protobuf.len());
        self.full.push(Batch { spans, protobuf: [head.into(), protobuf.into()], json });
    }
}

/// The SDK's spans have the same: they come from the layer, whose tracer is called so.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(OWN_TARGET).build()
}

#[cfg(test)]
mod tests;
