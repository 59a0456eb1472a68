//! The dashboard and the rules in `deploy/observability` ask for metrics that there are.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::Path;

use tessera::telemetry::metrics::{family, names};

/// Beginnings of the names that this program has.
const OURS: [&str; 4] = ["tessera_", "gen_ai_", "rpc_server_", "otel_sdk_"];

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/observability").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What looks like a metric's name: in queries a selector, a function's range or an end follows it.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut found = BTreeSet::new();
    for word in text.split(|c: char| !is_name(c)) {
        let is_metric = ["_total", "_seconds", "_bucket", "_sum", "_count", "_ratio", "_bytes"]
            .iter()
            .any(|end| word.ends_with(end))
            || text.contains(&format!("{word}{{"));
        if is_metric && OURS.iter().any(|start| word.starts_with(start)) {
            found.insert(word.to_owned());
        }
    }
    found
}

fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for spec in names::ALL {
        let name = family(spec);
        if spec.kind == names::Kind::Histogram {
            known.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")));
        } else {
            known.insert(name);
        }
    }
    known
}

#[test]
fn dashboard_and_rules_name_real_metrics() {
    for (name, least) in [("dashboard.json", 20), ("rules.yaml", 7)] {
        let asked = metrics_in(&text(name));
        assert!(asked.len() >= least, "{name} was not understood: {asked:?}");
        let unknown: Vec<_> = asked.difference(&known()).cloned().collect();
        assert!(unknown.is_empty(), "{name} asks for {unknown:?}");
    }
}

#[test]
fn the_dashboard_is_json_with_a_query_in_each_panel() {
    let dashboard: serde_json::Value = serde_json::from_str(&text("dashboard.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let is_row = panel["type"] == "row";
        let queries = panel["targets"].as_array().map_or(0, Vec::len);
        assert!(is_row || queries > 0, "{}", panel["title"]);
    }
}

/// Each alert says what to do, in itself and where operators look.
#[test]
fn what_to_do_at_each_alert_is_written_down() {
    let (rules, operations) = (text("rules.yaml"), text("../../docs/operations.md"));
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 10, "rules.yaml was not understood");
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        assert!(alert.contains("action: "), "{name} does not say what to do");
        let row = operations.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        assert!(row.is_some(), "docs/operations.md does not know {name}");
    }
}
