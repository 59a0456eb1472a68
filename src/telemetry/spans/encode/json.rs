//! Spans in the JSON form of OTLP, letter for letter as the generated types write it.

use opentelemetry::trace::SpanId;
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_proto::tonic::trace::v1::span::{self, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use serde::Serialize;

use super::{Open, Plain, nanos};

/// What is around the spans of a batch.
#[derive(Debug)]
pub(super) struct Envelope {
    before: Vec<u8>,
    /// With the end of the line.
    pub(super) after: Vec<u8>,
}

impl Envelope {
    pub(super) fn new(resource: &Resource, scope: &InstrumentationScope) -> Self {
        let of = ResourceAttributesWithSchema::from(resource);
        let scope_spans = ScopeSpans {
            scope: Some((scope, None).into()),
            spans: Vec::new(),
            schema_url: scope.schema_url().unwrap_or_default().to_owned(),
        };
        let message = ResourceMessage { attributes: of.attributes.0, ..Default::default() };
        let resource_spans = vec![ResourceSpans {
            resource: Some(message),
            scope_spans: vec![scope_spans],
            schema_url: of.schema_url.unwrap_or_default(),
        }];
        let mut whole = Vec::new();
        value(&mut whole, &ExportTraceServiceRequest { resource_spans });
        // No value of an attribute has it: a quote in a string has a backslash before it.
        let gap = b"\"spans\":[";
        let at = whole.windows(gap.len()).position(|part| part == gap);
        let mut after = whole.split_off(at.map_or(whole.len(), |at| at + gap.len()));
        after.push(b'\n');
        Self { before: whole, after }
    }

    /// Where the next span of a batch goes.
    pub(super) fn next<'a>(&self, open: &'a mut Open) -> &'a mut Vec<u8> {
        match open.spans {
            0 => open.json.extend_from_slice(&self.before),
            _ => open.json.push(b','),
        }
        &mut open.json
    }
}

pub(super) fn plain(out: &mut Vec<u8>, plain: &Plain<'_>) {
    let Plain { context, parent, ref span, .. } = *plain;
    out.extend_from_slice(b"{\"traceId\":\"");
    hex(out, &context.trace_id().to_bytes());
    out.extend_from_slice(b"\",\"spanId\":\"");
    hex(out, &span.id.to_bytes());
    out.extend_from_slice(b"\",\"traceState\":");
    value(out, &context.trace_state().header());
    out.extend_from_slice(b",\"parentSpanId\":\"");
    if parent != SpanId::INVALID {
        hex(out, &parent.to_bytes());
    }
    out.extend_from_slice(b"\",\"flags\":");
    value(out, &plain.flags());
    out.extend_from_slice(b",\"name\":");
    value(out, &span.name);
    out.extend_from_slice(b",\"kind\":");
    value(out, &(SpanKind::Internal as i32));
    out.extend_from_slice(b",\"startTimeUnixNano\":\"");
    value(out, &nanos(span.start));
    out.extend_from_slice(b"\",\"endTimeUnixNano\":\"");
    value(out, &nanos(span.end));
    out.extend_from_slice(b"\",\"attributes\":[");
    for (index, pair) in span.attributes.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        attribute(out, pair);
    }
    out.extend_from_slice(
        b"],\"droppedAttributesCount\":0,\"events\":[],\"droppedEventsCount\":0,\"links\":[",
    );
    for (index, link) in plain.links().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        value(out, &span::Link::from(link.clone()));
    }
    out.extend_from_slice(b"],\"droppedLinksCount\":");
    value(out, &plain.links_dropped());
    out.extend_from_slice(b",\"status\":{\"message\":\"\",\"code\":0}}");
}

/// Adds one that is a message already.
pub(super) fn made(out: &mut Vec<u8>, span: &Span) {
    value(out, span);
}

fn attribute(out: &mut Vec<u8>, pair: &KeyValue) {
    out.extend_from_slice(b"{\"key\":");
    value(out, pair.key.as_str());
    out.extend_from_slice(b",\"value\":");
    match &pair.value {
        Value::I64(number) => {
            out.extend_from_slice(b"{\"intValue\":\"");
            value(out, number);
            out.extend_from_slice(b"\"}");
        }
        Value::F64(number) => {
            out.extend_from_slice(b"{\"doubleValue\":");
            value(out, number);
            out.push(b'}');
        }
        other => value(out, &AnyValue::from(other.clone())),
    }
    out.push(b'}');
}

fn value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Memory takes everything, and none of these types has a key that is no string.
    let _ = serde_json::to_writer(out, value);
}

fn hex<const N: usize>(out: &mut Vec<u8>, bytes: &[u8; N]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.map(|byte| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    out.extend_from_slice(digits.as_flattened());
}
