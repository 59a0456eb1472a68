//! A request's trace in a real Jaeger, as its query API has it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    PARENT_ID, Process, SOON, TRACE_ID, built, extract, free_port, json, options, start,
    start_server, until_listening,
};

/// Jaeger on free ports, with its traces in memory: the process, the port for OTLP and that for queries.
fn start_jaeger(directory: &std::path::Path) -> Option<(Process, u16, u16)> {
    let binary = built("jaeger")?;
    let (otlp, query, grpc) = (free_port(), free_port(), free_port());
    let config = format!(
        "service:\n  extensions: [jaeger_storage, jaeger_query]\n  pipelines:\n    traces:\n      \
         receivers: [otlp]\n      exporters: [jaeger_storage_exporter]\n  telemetry:\n    metrics:\n      \
         level: none\nextensions:\n  jaeger_query:\n    storage:\n      traces: memory\n    http:\n      \
         endpoint: 127.0.0.1:{query}\n    grpc:\n      endpoint: 127.0.0.1:{grpc}\n  jaeger_storage:\n    \
         backends:\n      memory:\n        memory:\n          max_traces: 10000\nreceivers:\n  otlp:\n    \
         protocols:\n      grpc:\n        endpoint: 127.0.0.1:{otlp}\nexporters:\n  \
         jaeger_storage_exporter:\n    trace_storage: memory\n"
    );
    let path = directory.join("jaeger.yaml");
    std::fs::write(&path, config).unwrap();
    let log = directory.join("jaeger.log");
    let process = start(Command::new(binary).arg("--config").arg(&path), &log);
    until_listening(otlp, &log);
    until_listening(query, &log);
    Some((process, otlp, query))
}

/// One span as Jaeger tells it.
#[derive(Debug, Clone)]
struct Span {
    id: String,
    name: String,
    parent: Option<String>,
    /// Trace and span that it is linked to.
    links: Vec<(String, String)>,
    tags: BTreeMap<String, Value>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn tags(value: &Value) -> BTreeMap<String, Value> {
    let all = value.as_array().into_iter().flatten();
    all.map(|tag| (text(&tag["key"]), tag["value"].clone())).collect()
}

/// The spans of one trace.
fn spans_of(trace: &Value) -> Vec<Span> {
    let own = text(&trace["traceID"]);
    let all = trace["spans"].as_array().into_iter().flatten();
    all.map(|span| {
        let references = span["references"].as_array().into_iter().flatten();
        let (above, links): (Vec<&Value>, Vec<&Value>) = references.partition(|reference| {
            reference["refType"] == "CHILD_OF" && reference["traceID"] == own.as_str()
        });
        Span {
            id: text(&span["spanID"]),
            name: text(&span["operationName"]),
            parent: above.first().map(|reference| text(&reference["spanID"])),
            links: links.iter().map(|r| (text(&r["traceID"]), text(&r["spanID"]))).collect(),
            tags: tags(&span["tags"]),
        }
    })
    .collect()
}

/// Waits until the call's span is there, which is the last one to end, and what was sent with it.
fn trace(query: u16, id: &str, least: usize) -> Value {
    let begin = Instant::now();
    loop {
        let found = json(query, &format!("/api/traces/{id}"));
        let whole = |trace: &Value| {
            let spans = spans_of(trace);
            let has = |end: &str| spans.iter().any(|span| span.name.ends_with(end));
            spans.len() >= least && ["/Extract", "decode", "finalise"].iter().all(|end| has(end))
        };
        if let Some(trace) = found["data"].get(0).filter(|trace| whole(trace)) {
            return trace.clone();
        }
        assert!(begin.elapsed() < SOON, "{found}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Names from the top of the trace down to `span`.
fn path(spans: &[Span], span: &Span) -> String {
    let above = span.parent.as_ref().and_then(|id| spans.iter().find(|other| other.id == *id));
    above.map_or_else(
        || span.name.clone(),
        |above| format!("{} > {}", path(spans, above), span.name),
    )
}

#[tokio::test]
async fn jaeger_has_the_tree_the_steps_and_the_links() {
    let directory = tempfile::tempdir().unwrap();
    let Some((_jaeger, otlp, query)) = start_jaeger(directory.path()) else { return };
    let endpoint = format!("http://127.0.0.1:{otlp}");
    let (_server, port) =
        start_server(&options(&["--otlp-endpoint", &endpoint, "--otlp-signals", "traces"]));
    let usage = extract(port, TRACE_ID, "3").await.usage.unwrap();
    let steps = usage.output_tokens as usize;
    let found = trace(query, TRACE_ID, steps);
    let spans = spans_of(&found);

    let mut paths: BTreeMap<String, usize> = BTreeMap::new();
    for span in spans.iter().filter(|span| !span.name.starts_with("field ")) {
        *paths.entry(path(&spans, span)).or_default() += 1;
    }
    let generate = "tessera.v1.ExtractionService/Extract > generate_content tessera-tiny";
    let decode = format!("{generate} > decode > decode_step");
    assert_eq!(paths.remove(&decode), Some(steps), "every generation step");
    let paths: Vec<String> =
        paths.into_iter().map(|(path, count)| format!("{count} {path}")).collect();
    expect_test::expect![[r#"
        1 tessera.v1.ExtractionService/Extract
        1 tessera.v1.ExtractionService/Extract > generate_content tessera-tiny
        1 tessera.v1.ExtractionService/Extract > generate_content tessera-tiny > decode
        1 tessera.v1.ExtractionService/Extract > generate_content tessera-tiny > decode_file
        1 tessera.v1.ExtractionService/Extract > generate_content tessera-tiny > finalise
        1 tessera.v1.ExtractionService/Extract > generate_content tessera-tiny > prefill
        1 tessera.v1.ExtractionService/Extract > generate_content tessera-tiny > prefill > prefill_chunk
        1 tessera.v1.ExtractionService/Extract > generate_content tessera-tiny > preprocess
        1 tessera.v1.ExtractionService/Extract > generate_content tessera-tiny > queue
        1 tessera.v1.ExtractionService/Extract > generate_content tessera-tiny > vision_encode"#]]
    .assert_eq(&paths.join("\n"));

    let one = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let call = one("tessera.v1.ExtractionService/Extract");
    assert_eq!(
        (&call.tags["span.kind"], &call.tags["rpc.response.status_code"]),
        (&"server".into(), &"OK".into())
    );
    let request = one("generate_content tessera-tiny");
    assert_eq!(request.tags["gen_ai.usage.output_tokens"], usage.output_tokens);
    assert_eq!(one("decode").tags["tessera.decode.steps_elided"], 0);
    let process = &found["processes"]["p1"];
    assert_eq!(process["serviceName"], "tessera");
    assert!(tags(&process["tags"]).contains_key("service.instance.id"), "{process}");
    // The caller's span is not there: nobody sent it.
    let root = call.parent.as_deref();
    assert!(root.is_none_or(|id| id == PARENT_ID), "{root:?}");
    check_links(query, &request.id, steps);
}

/// The engine's steps are traces of their own, each linked to the request.
fn check_links(query: u16, request: &str, steps: usize) {
    let begin = Instant::now();
    loop {
        let path = format!("/api/traces?service=tessera&operation=engine.step&limit={}", steps * 2);
        let found = json(query, &path);
        let traces = found["data"].as_array().cloned().unwrap_or_default();
        let all = traces.iter().flat_map(spans_of);
        let passes: Vec<Span> = all.filter(|span| span.name == "engine.step").collect();
        if passes.len() == steps {
            let link = (TRACE_ID.to_owned(), request.to_owned());
            assert!(
                passes.iter().all(|pass| pass.parent.is_none() && pass.links == [link.clone()])
            );
            return;
        }
        assert!(begin.elapsed() < SOON, "{} of {steps} steps of the engine", passes.len());
        std::thread::sleep(Duration::from_millis(200));
    }
}
