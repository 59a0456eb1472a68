//! What is written by hand is what the libraries write for the same spans.

use opentelemetry::trace::{SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

const ALL: Formats = Formats { protobuf: true, json: true };

/// A span to be encoded by either.
#[derive(Debug, Clone)]
struct Sample {
    context: SpanContext,
    id: SpanId,
    parent: SpanId,
    name: String,
    start: SystemTime,
    end: SystemTime,
    attributes: Vec<KeyValue>,
    links: Vec<Link>,
}

impl Sample {
    fn plain(&self) -> Plain<'_> {
        let Self { context, parent, links, .. } = self;
        let (name, id, attributes) = (self.name.as_str(), self.id, self.attributes.as_slice());
        let span = NewSpan { name, id, start: self.start, end: self.end, attributes };
        Plain { context, parent: *parent, span, links }
    }

    /// As the SDK has it.
    fn data(&self) -> SpanData {
        let of = &self.context;
        let (flags, state) = (of.trace_flags(), of.trace_state().clone());
        let mut links = SpanLinks::default();
        links.links = self.links.iter().take(LINKS_MAX).cloned().collect();
        links.dropped_count = self.links.len().saturating_sub(LINKS_MAX) as u32;
        SpanData {
            span_context: SpanContext::new(of.trace_id(), self.id, flags, false, state),
            parent_span_id: self.parent,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: self.name.clone().into(),
            start_time: self.start,
            end_time: self.end,
            attributes: self.attributes.clone(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: Status::Unset,
            instrumentation_scope: scope(),
        }
    }
}

fn contexts() -> impl Strategy<Value = SpanContext> {
    let states = prop_oneof![
        3 => Just(TraceState::default()),
        1 => Just(TraceState::from_key_value([("vendor", "a\tb"), ("other", "1")]).unwrap_or_default()),
    ];
    (any::<u128>(), any::<u64>(), any::<u8>(), any::<bool>(), states).prop_map(
        |(trace, span, flags, is_remote, state)| {
            let (trace, span) = (TraceId::from(trace), SpanId::from(span));
            SpanContext::new(trace, span, TraceFlags::new(flags), is_remote, state)
        },
    )
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let values = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_i64..300).prop_map(Value::from),
        // Not a number compares equal to nothing.
        any::<f64>().prop_filter("a number", |number| !number.is_nan()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from("x".repeat(300))),
        vec(any::<i64>(), 0..3).prop_map(|of| Value::Array(Array::I64(of))),
    ];
    vec((any::<String>(), values).prop_map(|(key, value)| KeyValue::new(key, value)), 0..12)
}

fn times() -> impl Strategy<Value = SystemTime> {
    (0..4_000_000_000_u64, 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| UNIX_EPOCH + Duration::new(seconds, nanos))
}

fn link() -> impl Strategy<Value = Link> {
    (contexts(), attributes()).prop_map(|(of, with)| Link::new(of, with, 0))
}

fn samples() -> impl Strategy<Value = Sample> {
    let many = link().prop_map(|link| vec![link; LINKS_MAX + 2]);
    let links = prop_oneof![9 => vec(link(), 0..3), 1 => many];
    let ids = (contexts(), any::<u64>(), prop_oneof![Just(0), any::<u64>()], any::<String>());
    (ids, times(), times(), attributes(), links).prop_map(|(ids, start, end, attributes, links)| {
        let (context, id, parent, name) = ids;
        let (id, parent) = (SpanId::from(id), SpanId::from(parent));
        Sample { context, id, parent, name, start, end, attributes, links }
    })
}

fn resource() -> Resource {
    Resource::builder_empty()
        .with_service_name("tessera \"spans\":[]")
        .with_attribute(KeyValue::new("process.pid", 7))
        .build()
}

/// What the libraries make of them.
fn request(spans: &[SpanData], resource: &Resource) -> ExportTraceServiceRequest {
    let resource = ResourceAttributesWithSchema::from(resource);
    let resource_spans = group_spans_by_resource_and_scope(spans.to_vec(), &resource);
    ExportTraceServiceRequest { resource_spans }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn they_are_the_libraries(samples in vec(samples(), 1..6), made in any::<usize>()) {
        // One resource: each has an order of attributes of its own.
        let resource = resource();
        let mut batches = Batches::new(ALL, &resource);
        for (index, sample) in samples.iter().enumerate() {
            if index == made % 8 {
                batches.push_made(sample.data());
            } else {
                batches.push(&sample.plain());
            }
        }
        let spans: Vec<SpanData> = samples.iter().map(Sample::data).collect();
        let expected = request(&spans, &resource);
        let taken = batches.take();
        prop_assert_eq!(taken.len(), 1);
        prop_assert_eq!(taken[0].spans, samples.len());
        let whole = taken[0].protobuf.concat();
        prop_assert_eq!(ExportTraceServiceRequest::decode(&whole[..]).unwrap(), expected.clone());
        prop_assert_eq!(whole, expected.encode_to_vec(), "byte for byte");
        let line = String::from_utf8(taken[0].json.clone()).unwrap();
        prop_assert_eq!(line, serde_json::to_string(&expected).unwrap() + "\n");
    }
}

#[test]
fn batches_are_bounded_and_keep_the_order() {
    let mut batches = Batches::new(ALL, &resource());
    let context = SpanContext::empty_context();
    let count = 2 * BATCH_SPANS_MAX + 3;
    for number in 0..count {
        let attributes = &[KeyValue::new("number", number as i64)];
        let (name, id) = ("record", SpanId::from(number as u64 + 1));
        let span = NewSpan { name, id, start: UNIX_EPOCH, end: UNIX_EPOCH, attributes };
        batches.push(&Plain { context: &context, parent: SpanId::INVALID, span, links: &[] });
    }
    assert!(batches.has_full());
    assert_eq!(batches.spans(), count);
    let mut ids = Vec::new();
    let taken = batches.take();
    assert_eq!(taken.iter().map(|batch| batch.spans).max(), Some(BATCH_SPANS_MAX));
    for batch in &taken {
        let request = ExportTraceServiceRequest::decode(&batch.protobuf.concat()[..]).unwrap();
        let line: ExportTraceServiceRequest = serde_json::from_slice(&batch.json).unwrap();
        assert_eq!(request, line);
        let spans = request.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        ids.extend(spans.flat_map(|of| of.spans).map(|span| span.span_id));
    }
    let expected: Vec<_> = (1..=count as u64).map(|id| id.to_be_bytes().to_vec()).collect();
    assert_eq!(ids, expected);
    assert!(batches.take().is_empty() && batches.spans() == 0);
}

#[test]
fn what_no_output_wants_is_not_written() {
    let formats = Formats { protobuf: true, json: false };
    let mut batches = Batches::new(formats, &resource());
    let context = SpanContext::empty_context();
    let (name, id) = ("record", SpanId::from(1));
    let span = NewSpan { name, id, start: UNIX_EPOCH, end: UNIX_EPOCH, attributes: &[] };
    batches.push(&Plain { context: &context, parent: SpanId::INVALID, span, links: &[] });
    let taken = batches.take();
    assert!(taken[0].json.is_empty() && !taken[0].protobuf[1].is_empty());
}
