//! A tracer without a thread, for tests: they take its spans out by hand, as a collector would read them.

use std::sync::mpsc::Receiver;
use std::time::{Duration, UNIX_EPOCH};

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{self, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use prost::Message as _;

use super::encode::{Batches, Formats};
use super::{Item, Metrics, OWN_TARGET, QUEUE_ITEMS_MAX, Spans, Tracer};

pub(crate) struct Kept {
    pub(crate) tracer: Tracer,
    receiver: Receiver<Item>,
}

impl Kept {
    pub(crate) fn new() -> Self {
        let (tracer, receiver) = Tracer::with_queue(QUEUE_ITEMS_MAX, Metrics::default());
        Self { tracer, receiver }
    }

    /// What became spans since the last time.
    pub(crate) fn take(&self) -> Vec<SpanData> {
        let metrics = &self.tracer.shared.metrics;
        made(|batches| {
            for item in self.receiver.try_iter() {
                match item {
                    Item::Span(span) => batches.push_made(*span),
                    Item::Later(later) => later.build(&mut Spans { batches, metrics }),
                    Item::Flush(_) => {}
                }
            }
        })
    }
}

/// What `make` adds.
pub(super) fn made(make: impl FnOnce(&mut Batches)) -> Vec<SpanData> {
    let formats = Formats { protobuf: true, json: false };
    let mut batches = Batches::new(formats, &Resource::builder_empty().build());
    make(&mut batches);
    let mut spans = Vec::new();
    for batch in batches.take() {
        let whole = batch.protobuf.concat();
        let request = ExportTraceServiceRequest::decode(&whole[..]).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        spans.extend(scopes.flat_map(|scope| scope.spans).map(data));
    }
    spans
}

fn data(span: Span) -> SpanData {
    let time = |nanos| UNIX_EPOCH + Duration::from_nanos(nanos);
    let mut links = SpanLinks::default();
    links.dropped_count = span.dropped_links_count;
    for link in span.links {
        let context = context(&link.trace_id, &link.span_id, link.flags);
        links.links.push(Link::new(context, attributes(link.attributes), 0));
    }
    SpanData {
        span_context: context(&span.trace_id, &span.span_id, span.flags),
        parent_span_id: id(&span.parent_span_id),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: span.name.into(),
        start_time: time(span.start_time_unix_nano),
        end_time: time(span.end_time_unix_nano),
        attributes: attributes(span.attributes),
        dropped_attributes_count: span.dropped_attributes_count,
        events: SpanEvents::default(),
        links,
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder(OWN_TARGET).build(),
    }
}

fn context(trace: &[u8], span: &[u8], flags: u32) -> SpanContext {
    let trace = TraceId::from_bytes(trace.try_into().unwrap());
    let flags = TraceFlags::new(flags as u8);
    SpanContext::new(trace, id(span), flags, false, TraceState::default())
}

fn id(bytes: &[u8]) -> SpanId {
    bytes.try_into().map_or(SpanId::INVALID, SpanId::from_bytes)
}

fn attributes(pairs: Vec<v1::KeyValue>) -> Vec<KeyValue> {
    let value = |value: Option<v1::AnyValue>| match value.and_then(|any| any.value) {
        Some(any_value::Value::BoolValue(is)) => Value::Bool(is),
        Some(any_value::Value::IntValue(number)) => Value::I64(number),
        Some(any_value::Value::DoubleValue(number)) => Value::F64(number),
        Some(any_value::Value::StringValue(text)) => Value::String(text.into()),
        other => panic!("{other:?} is no value of ours"),
    };
    pairs.into_iter().map(|pair| KeyValue::new(pair.key, value(pair.value))).collect()
}
