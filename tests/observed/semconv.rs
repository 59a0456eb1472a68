//! Names and values against OpenTelemetry's conventions, as their own package lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use expect_test::expect_file;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tessera::pb::v1;
use tessera::telemetry::metrics::names;

use crate::support::{TRACE_ID, exported, open, options, read, receipt, spans, start_server};

const LIST: &str = include_str!("../data/telemetry/semconv.txt");

/// Values that are the same in every run; of the others only the type is told.
const FIXED: [&str; 16] = [
    "error.type",
    "gen_ai.operation.name",
    "gen_ai.output.type",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.request.seed",
    "gen_ai.request.stream",
    "gen_ai.request.temperature",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.model",
    "os.type",
    "rpc.method",
    "rpc.response.status_code",
    "rpc.system.name",
    "service.name",
    "telemetry.sdk.language",
];

/// Names of one section with what follows them.
fn section(name: &str) -> BTreeMap<&'static str, &'static str> {
    let (_, rest) = LIST.split_once(&format!("[{name}]\n")).unwrap();
    let lines = rest.split("\n[").next().unwrap().lines();
    lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).collect()
}

fn value(pair: &KeyValue) -> String {
    fn text(value: Option<&Value>) -> String {
        match value {
            Some(Value::StringValue(text)) => format!("string {text:?}"),
            Some(Value::BoolValue(flag)) => format!("boolean {flag}"),
            Some(Value::IntValue(number)) => format!("int {number}"),
            Some(Value::DoubleValue(number)) => format!("double {number}"),
            Some(Value::ArrayValue(all)) => {
                let all = all.values.iter().map(|value| text(value.value.as_ref()));
                format!("array of {}", all.collect::<Vec<_>>().join(", "))
            }
            other => format!("{other:?}"),
        }
    }
    let whole = text(pair.value.as_ref().and_then(|value| value.value.as_ref()));
    if FIXED.contains(&pair.key.as_str()) {
        whole
    } else {
        whole.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// What a span says in the conventions' words; our own names are in the span tree.
fn told(title: &str, pairs: &[KeyValue], out: &mut String) {
    let _ = writeln!(out, "{title}");
    let lines: BTreeSet<String> = pairs
        .iter()
        .filter(|pair| !pair.key.starts_with("tessera."))
        .map(|pair| format!("  {} {}\n", pair.key, value(pair)))
        .collect();
    out.extend(lines);
}

#[tokio::test]
async fn attributes_are_those_of_the_conventions() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let (_server, port) = start_server(&options(&["--trace-dir", path, "--trace-level-max", "4"]));
    let refused = TRACE_ID.replace("4bf9", "7bf9");
    let empty = v1::ExtractRequest::default();
    open(port, empty, &refused, "2").await.unwrap_err();
    let mut request = receipt();
    request.generation = Some(v1::GenerationOptions {
        temperature: Some(0.5),
        seed: Some(7),
        top_k: Some(40),
        constrain: Some(false),
        ..Default::default()
    });
    read(port, request, TRACE_ID, "4").await;
    let file = directory.path().join("spans.jsonl");
    let all = spans(&file, TRACE_ID);
    let named = |name: &str| -> Vec<&Span> {
        all.iter().filter(|span| span.name.starts_with(name)).collect()
    };
    let calls = named("tessera.v1.");
    let status = |span: &&&Span| span.status.as_ref().map_or(0, |status| status.code);
    assert!(calls.iter().all(|call| status(&call) == 0), "neither is the server's own failure");
    let mut out = String::new();
    for call in calls {
        let id = if call.trace_id == named("generate")[0].trace_id { "read" } else { "refused" };
        told(&format!("{} {id}", call.name), &call.attributes, &mut out);
    }
    told("generate_content", &named("generate")[0].attributes, &mut out);
    let requests = exported(&file);
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    told("resource", &resource.attributes, &mut out);
    expect_file!["../data/telemetry/attributes.txt"].assert_eq(&out);

    let known = section("attributes");
    let keys = all.iter().flat_map(|span| &span.attributes).chain(&resource.attributes);
    let keys: BTreeSet<&str> = keys.map(|pair| pair.key.as_str()).collect();
    let unknown: Vec<&&str> = keys
        .iter()
        .filter(|key| !key.starts_with("tessera.") && !known.contains_key(*key))
        .collect();
    assert!(keys.len() > 40 && unknown.is_empty(), "{unknown:?} of {keys:?}");
}

#[test]
fn metrics_are_those_of_the_conventions() {
    let known = section("metrics");
    let mut checked = 0;
    for spec in names::ALL.iter().filter(|spec| !spec.name.starts_with("tessera.")) {
        let unit = known.get(spec.name);
        let unit = unit.unwrap_or_else(|| panic!("{} is no metric of the conventions", spec.name));
        assert!(unit.is_empty() || *unit == spec.unit, "{} is in {unit}", spec.name);
        checked += 1;
    }
    assert!(checked >= 7, "{checked}");
}
