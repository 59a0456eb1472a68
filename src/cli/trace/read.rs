//! From OTLP JSON to the spans of each trace, as a tree.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span as Wire;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

/// Why a file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {line} is no export request in OTLP's JSON: {source}")]
    Line { line: usize, source: serde_json::Error },
}

/// One span, with those below it in the order in which they began.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) is_error: bool,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) children: Vec<Span>,
}

/// The spans of one trace.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trace {
    pub(super) id: String,
    /// Those whose parents are not in the file.
    pub(super) roots: Vec<Span>,
    pub(super) spans: usize,
}

/// All traces of a file; the one that ended last is last.
pub(super) fn traces(path: &Path) -> Result<Vec<Trace>, ReadError> {
    parse(&std::fs::read_to_string(path)?)
}

fn parse(text: &str) -> Result<Vec<Trace>, ReadError> {
    let mut by_trace: HashMap<Vec<u8>, Vec<Wire>> = HashMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let request: ExportTraceServiceRequest = serde_json::from_str(line)
            .map_err(|source| ReadError::Line { line: number + 1, source })?;
        let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            by_trace.entry(span.trace_id.clone()).or_default().push(span);
        }
    }
    let mut traces: Vec<Trace> =
        by_trace.into_iter().map(|(id, spans)| Trace::new(&id, spans)).collect();
    traces.sort_by_key(|trace| (trace.end_ns(), trace.id.clone()));
    Ok(traces)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

impl Trace {
    fn new(id: &[u8], spans: Vec<Wire>) -> Self {
        let count = spans.len();
        let known: HashSet<Vec<u8>> = spans.iter().map(|span| span.span_id.clone()).collect();
        let mut children: HashMap<Vec<u8>, Vec<(Vec<u8>, Span)>> = HashMap::new();
        let root = Vec::new();
        for wire in spans {
            let parent =
                if known.contains(&wire.parent_span_id) { &wire.parent_span_id } else { &root };
            let entry = children.entry(parent.clone()).or_default();
            entry.push((wire.span_id.clone(), Span::from(wire)));
        }
        let roots = take_children(&mut children, &root);
        Self { id: hex(id), roots, spans: count }
    }

    pub(super) fn start_ns(&self) -> u64 {
        self.roots.iter().map(|span| span.start_ns).min().unwrap_or(0)
    }

    pub(super) fn end_ns(&self) -> u64 {
        self.roots.iter().map(|span| span.end_ns).max().unwrap_or(0)
    }

    pub(super) fn is_request(&self) -> bool {
        self.first(&|span| span.attributes.contains_key("gen_ai.operation.name")).is_some()
    }

    /// Whether its id, or its request's, begins so.
    pub(super) fn is_called(&self, id: &str) -> bool {
        let request = self.request_id();
        self.id.starts_with(id) || request.is_some_and(|request| request.starts_with(id))
    }

    fn request_id(&self) -> Option<&str> {
        let span = self.first(&|span| span.attributes.contains_key("gen_ai.response.id"))?;
        span.attributes.get("gen_ai.response.id").map(String::as_str)
    }

    fn first(&self, is: &dyn Fn(&Span) -> bool) -> Option<&Span> {
        self.roots.iter().find_map(|root| root.first(is))
    }

    /// The trace in one line.
    pub(super) fn line(&self) -> String {
        let root = self.roots.first();
        let name = root.map_or("", |root| &root.name);
        let code = root.and_then(|root| root.attributes.get("rpc.response.status_code"));
        let ms = (self.end_ns() - self.start_ns()) as f64 / 1e6;
        let code = code.map(|code| format!(" {code}")).unwrap_or_default();
        let request = self.request_id().map(|id| format!(", request {id}")).unwrap_or_default();
        format!("{} {name}{code}, {ms:.1} ms, {} spans{request}", self.id, self.spans)
    }
}

impl Span {
    fn first(&self, is: &dyn Fn(&Self) -> bool) -> Option<&Self> {
        if is(self) { Some(self) } else { self.children.iter().find_map(|child| child.first(is)) }
    }

    pub(super) fn ms(&self) -> f64 {
        self.end_ns.saturating_sub(self.start_ns) as f64 / 1e6
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.attributes.get(key)?.parse().ok()
    }
}

impl From<Wire> for Span {
    fn from(wire: Wire) -> Self {
        let attributes = wire.attributes.into_iter().map(|pair| {
            let text = match pair.value.and_then(|value| value.value) {
                Some(Value::StringValue(text)) => text,
                Some(Value::IntValue(number)) => number.to_string(),
                Some(Value::DoubleValue(number)) => number.to_string(),
                Some(Value::BoolValue(flag)) => flag.to_string(),
                Some(_) | None => String::new(),
            };
            (pair.key, text)
        });
        Self {
            name: wire.name,
            start_ns: wire.start_time_unix_nano,
            end_ns: wire.end_time_unix_nano,
            is_error: wire.status.is_some_and(|status| status.code() == StatusCode::Error),
            attributes: attributes.collect(),
            children: Vec::new(),
        }
    }
}

fn take_children(
    children: &mut HashMap<Vec<u8>, Vec<(Vec<u8>, Span)>>,
    parent: &[u8],
) -> Vec<Span> {
    let mut spans: Vec<Span> = children
        .remove(parent)
        .unwrap_or_default()
        .into_iter()
        .map(|(id, span)| Span { children: take_children(children, &id), ..span })
        .collect();
    spans.sort_by_key(|span| (span.start_ns, span.end_ns));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the collector's file exporter writes it.
    fn line(trace: &str, spans: &[(&str, &str, &str, u64, u64)]) -> String {
        let spans: Vec<String> = spans
            .iter()
            .map(|(id, parent, name, start, end)| {
                format!(
                    r#"{{"traceId":"{trace}","spanId":"{id}","parentSpanId":"{parent}","name":"{name}","kind":1,"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}","attributes":[{{"key":"gen_ai.operation.name","value":{{"stringValue":"x"}}}},{{"key":"n","value":{{"intValue":"7"}}}}],"status":{{}}}}"#
                )
            })
            .collect();
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
    }

    const ONE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const TWO: &str = "5bf92f3577b34da6a3ce929d0e0e4737";

    #[test]
    fn a_tree_whatever_the_order_of_lines() {
        let text = [
            line(ONE, &[("0000000000000003", "0000000000000002", "step", 20, 30)]),
            line(TWO, &[("0000000000000009", "", "other", 1, 500)]),
            line(
                ONE,
                &[
                    ("0000000000000002", "0000000000000001", "decode", 10, 40),
                    ("0000000000000004", "0000000000000001", "queue", 5, 9),
                    // Its parent is the caller's, which is not here.
                    ("0000000000000001", "00000000000000ff", "call", 0, 50),
                ],
            ),
        ]
        .join("\n");
        let traces = parse(&text).unwrap();
        assert_eq!(traces.len(), 2);
        assert_eq!(traces[1].id, TWO, "it ended last");
        let [call] = &traces[0].roots[..] else { panic!("{traces:?}") };
        assert_eq!((call.name.as_str(), traces[0].spans), ("call", 4));
        let names: Vec<&str> = call.children.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["queue", "decode"], "in the order in which they began");
        assert_eq!(call.children[1].children[0].number("n"), Some(7.0));
        assert!(traces[0].is_called("4bf9") && !traces[0].is_called("5bf9"));
    }

    #[test]
    fn a_line_that_is_something_else_is_named() {
        let text = format!("{}\n{{\"resourceSpans\": 7}}", line(ONE, &[]));
        assert!(parse(&text).unwrap_err().to_string().starts_with("line 2 is no export request"));
    }
}
