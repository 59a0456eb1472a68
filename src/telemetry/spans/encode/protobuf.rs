//! Spans in the binary form of OTLP: the messages of `opentelemetry/proto/trace/v1/trace.proto`, field
//! by field, as the generated types would write them.

use opentelemetry::trace::SpanId;
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_proto::tonic::trace::v1::span::{self, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::{Plain, nanos};

/// Numbers of fields.
mod field {
    pub(super) const RESOURCE_SPANS: u32 = 1; // of an export request
    pub(super) const SCOPE_SPANS: u32 = 2; // of those of a resource
    pub(super) const SPANS: u32 = 2; // of those of a scope

    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const SPAN_ID: u32 = 2;
    pub(super) const TRACE_STATE: u32 = 3;
    pub(super) const PARENT_SPAN_ID: u32 = 4;
    pub(super) const NAME: u32 = 5;
    pub(super) const KIND: u32 = 6;
    pub(super) const START: u32 = 7;
    pub(super) const END: u32 = 8;
    pub(super) const ATTRIBUTES: u32 = 9;
    pub(super) const LINKS: u32 = 13;
    pub(super) const LINKS_DROPPED: u32 = 14;
    pub(super) const STATUS: u32 = 15;
    pub(super) const FLAGS: u32 = 16;

    pub(super) const KEY: u32 = 1; // of an attribute
    pub(super) const VALUE: u32 = 2;

    pub(super) const STRING: u32 = 1; // of a value
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
}

/// What goes before the spans of a batch.
#[derive(Debug)]
pub(super) struct Envelope {
    /// `ResourceSpans` but for its `scope_spans`.
    resource: Vec<u8>,
    /// `ScopeSpans` but for its `spans`.
    scope: Vec<u8>,
}

impl Envelope {
    pub(super) fn new(resource: &Resource, scope: &InstrumentationScope) -> Self {
        let of = ResourceAttributesWithSchema::from(resource);
        let message = ResourceMessage { attributes: of.attributes.0, ..Default::default() };
        let resource = ResourceSpans {
            resource: Some(message),
            scope_spans: Vec::new(),
            schema_url: of.schema_url.unwrap_or_default(),
        };
        let scope = ScopeSpans {
            scope: Some((scope, None).into()),
            spans: Vec::new(),
            schema_url: scope.schema_url().unwrap_or_default().to_owned(),
        };
        Self { resource: resource.encode_to_vec(), scope: scope.encode_to_vec() }
    }

    /// The beginning of an `ExportTraceServiceRequest` that ends with so many bytes of spans.
    pub(super) fn before(&self, spans_len: usize) -> Vec<u8> {
        let scope_len = self.scope.len() + spans_len;
        let resource_len = self.resource.len() + 1 + delimited(scope_len);
        let mut head = Vec::with_capacity(self.resource.len() + self.scope.len() + 24);
        encode_key(field::RESOURCE_SPANS, WireType::LengthDelimited, &mut head);
        encode_varint(resource_len as u64, &mut head);
        head.extend_from_slice(&self.resource);
        encode_key(field::SCOPE_SPANS, WireType::LengthDelimited, &mut head);
        encode_varint(scope_len as u64, &mut head);
        head.extend_from_slice(&self.scope);
        head
    }
}

/// Adds a span; `body` is room for it.
pub(super) fn plain(out: &mut Vec<u8>, body: &mut Vec<u8>, plain: &Plain<'_>) {
    let Plain { context, parent, ref span, .. } = *plain;
    body.clear();
    bytes(body, field::TRACE_ID, &context.trace_id().to_bytes());
    bytes(body, field::SPAN_ID, &span.id.to_bytes());
    let state = context.trace_state().header();
    if !state.is_empty() {
        bytes(body, field::TRACE_STATE, state.as_bytes());
    }
    if parent != SpanId::INVALID {
        bytes(body, field::PARENT_SPAN_ID, &parent.to_bytes());
    }
    if !span.name.is_empty() {
        bytes(body, field::NAME, span.name.as_bytes());
    }
    number(body, field::KIND, SpanKind::Internal as u64);
    for (tag, time) in [(field::START, span.start), (field::END, span.end)] {
        let nanos = nanos(time);
        if nanos != 0 {
            encode_key(tag, WireType::SixtyFourBit, body);
            body.extend_from_slice(&nanos.to_le_bytes());
        }
    }
    for pair in span.attributes {
        attribute(body, field::ATTRIBUTES, pair);
    }
    for link in plain.links() {
        message(body, field::LINKS, &span::Link::from(link.clone()));
    }
    if plain.links_dropped() > 0 {
        number(body, field::LINKS_DROPPED, u64::from(plain.links_dropped()));
    }
    bytes(body, field::STATUS, &[]);
    encode_key(field::FLAGS, WireType::ThirtyTwoBit, body);
    body.extend_from_slice(&plain.flags().to_le_bytes());
    bytes(out, field::SPANS, body);
}

/// Adds one that is a message already.
pub(super) fn made(out: &mut Vec<u8>, span: &Span) {
    message(out, field::SPANS, span);
}

fn attribute(out: &mut Vec<u8>, tag: u32, pair: &KeyValue) {
    let key = pair.key.as_str();
    let key_len = if key.is_empty() { 0 } else { 1 + delimited(key.len()) };
    // Its own tag and what follows.
    let value_len = match &pair.value {
        Value::Bool(_) => 2,
        Value::I64(number) => 1 + encoded_len_varint(*number as u64),
        Value::F64(_) => 9,
        Value::String(text) => 1 + delimited(text.as_str().len()),
        other => AnyValue::from(other.clone()).encoded_len(),
    };
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint((key_len + 1 + delimited(value_len)) as u64, out);
    if !key.is_empty() {
        bytes(out, field::KEY, key.as_bytes());
    }
    encode_key(field::VALUE, WireType::LengthDelimited, out);
    encode_varint(value_len as u64, out);
    match &pair.value {
        Value::Bool(is) => number(out, field::BOOL, u64::from(*is)),
        Value::I64(value) => number(out, field::INT, *value as u64),
        Value::F64(value) => {
            encode_key(field::DOUBLE, WireType::SixtyFourBit, out);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::String(text) => bytes(out, field::STRING, text.as_str().as_bytes()),
        other => out.extend_from_slice(&AnyValue::from(other.clone()).encode_to_vec()),
    }
}

fn number(out: &mut Vec<u8>, tag: u32, value: u64) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(value, out);
}

fn bytes(out: &mut Vec<u8>, tag: u32, bytes: &[u8]) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn message(out: &mut Vec<u8>, tag: u32, message: &impl prost::Message) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(message.encoded_len() as u64, out);
    out.extend_from_slice(&message.encode_to_vec());
}

/// Of so many bytes and their length.
fn delimited(len: usize) -> usize {
    encoded_len_varint(len as u64) + len
}
