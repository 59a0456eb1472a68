//! What becomes of spans and records: files, and counts of what is lost.

use std::path::Path;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_sdk::Resource;

use super::*;

/// Records that become as many spans.
struct Records {
    request: RequestTrace,
    count: usize,
}

impl Deferred for Records {
    fn records(&self) -> usize {
        self.count
    }

    fn build(self: Box<Self>, spans: &mut Spans<'_>) {
        let now = self.request.time(Instant::now());
        for number in 0..self.count {
            let attributes = &[KeyValue::new("number", number as i64)];
            let (name, id) = ("record", span_id());
            let span = NewSpan { name, id, start: now, end: now, attributes };
            spans.child(&self.request.parent, self.request.parent.span_id(), span);
        }
    }
}

fn metrics() -> Metrics {
    Metrics::kept(Resource::builder_empty().build(), None, false)
}

fn parent(flags: TraceFlags) -> SpanContext {
    let (trace, span) = (TraceId::from(7), SpanId::from(9));
    SpanContext::new(trace, span, flags, false, TraceState::default())
}

fn begin(tracer: &Tracer) -> RequestTrace {
    RequestTrace::begin(tracer, parent(TraceFlags::SAMPLED), TraceOptions::default()).unwrap()
}

fn counted(metrics: &Metrics, name: &str, label: &str) -> u64 {
    let text = metrics.prometheus();
    let line = text.lines().find(|line| {
        line.starts_with(name)
            && (line.contains(label) || (label.is_empty() && !line.contains('{')))
    });
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn start(directory: &Path, metrics: Metrics) -> Tracer {
    let resource = Resource::builder_empty().with_service_name("tessera").build();
    let files = Output::Files(TraceFiles::open(directory).unwrap());
    Tracer::start(vec![files], &resource, metrics).unwrap()
}

#[test]
fn records_become_spans_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let metrics = metrics();
    let tracer = start(directory.path(), metrics.clone());
    let request = begin(&tracer);
    request.later(Box::new(Records { request: request.clone(), count: 5000 }));
    tracer.flush(Duration::from_secs(20)).unwrap();
    assert!(!request.is_dropped());

    let text = std::fs::read_to_string(directory.path().join(FILE_NAME)).unwrap();
    let mut numbers = Vec::new();
    for line in text.lines() {
        let request: ExportTraceServiceRequest = serde_json::from_str(line).unwrap();
        for span in request.resource_spans.into_iter().flat_map(|r| r.scope_spans) {
            numbers.extend(span.spans.into_iter().map(|span| (span.trace_id, span.parent_span_id)));
        }
    }
    let expected = (TraceId::from(7).to_bytes().to_vec(), SpanId::from(9).to_bytes().to_vec());
    assert_eq!(numbers, vec![expected; 5000]);
    assert!(text.lines().count() > 1, "in batches");
    assert_eq!(counted(&metrics, "otel_sdk_processor_span_processed_total", ""), 5000);
    assert_eq!(counted(&metrics, "otel_sdk_exporter_span_exported_total", ""), 5000);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let metrics = metrics();
    // Nobody takes anything out of this queue.
    let (tracer, _receiver) = Tracer::with_queue(2, metrics.clone());
    let requests: Vec<RequestTrace> = (0..3).map(|_| begin(&tracer)).collect();
    for request in &requests {
        request.later(Box::new(Records { request: request.clone(), count: 10 }));
    }
    let dropped: Vec<bool> = requests.iter().map(RequestTrace::is_dropped).collect();
    assert_eq!(dropped, [false, false, true]);
    let lost = "error_type=\"queue_full\"";
    assert_eq!(counted(&metrics, "otel_sdk_processor_span_processed_total", lost), 10);
}

#[test]
fn the_queue_is_bounded_in_records_too() {
    let (tracer, receiver) = Tracer::with_queue(100, metrics());
    let request = begin(&tracer);
    let many = |count| Box::new(Records { request: request.clone(), count });
    assert!(tracer.later(many(QUEUE_RECORDS_MAX)));
    assert!(!tracer.later(many(1)));
    drop(receiver);
}

#[test]
fn a_request_that_nobody_records_has_no_trace() {
    let (tracer, _receiver) = Tracer::with_queue(1, metrics());
    let options = TraceOptions::default();
    assert!(RequestTrace::begin(&tracer, parent(TraceFlags::default()), options).is_none());
    let empty = Context::new().span().span_context().clone();
    assert!(RequestTrace::begin(&tracer, empty, options).is_none());
    let off = TraceOptions { level: Level::Off, ..options };
    assert!(RequestTrace::begin(&tracer, parent(TraceFlags::SAMPLED), off).is_none());
}

#[test]
fn links_beyond_the_bound_are_counted() {
    let metrics = metrics();
    let made = kept::made(|batches| {
        let now = SystemTime::now();
        let link = Link::new(parent(TraceFlags::SAMPLED), Vec::new(), 0);
        let (name, id) = ("engine.step", span_id());
        let span = NewSpan { name, id, start: now, end: now, attributes: &[] };
        Spans { batches, metrics: &metrics }.root(span, &vec![link; LINKS_MAX + 3]);
    });
    assert_eq!((made[0].links.len(), made[0].links.dropped_count), (LINKS_MAX, 3));
    assert_eq!(made[0].parent_span_id, SpanId::INVALID);
}

#[test]
fn a_full_file_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    std::fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    let tracer = start(directory.path(), metrics());
    let request = begin(&tracer);
    request.later(Box::new(Records { request: request.clone(), count: 1 }));
    tracer.flush(Duration::from_secs(20)).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 10_000);
    assert_eq!(std::fs::metadata(directory.path().join("spans.1.jsonl")).unwrap().len(), 64 << 20);
}
