//! The metrics of a loaded server in a real Prometheus: rules, alerts, every query of the dashboard, exemplars.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    Process, SOON, TRACE_ID, built, deploy, encoded, extract, free_port, json, open, options,
    receipt, start, start_server, until_listening,
};

fn passes(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}", text.concat());
    text.concat()
}

#[tokio::test]
async fn prometheus_reads_a_scrape_the_rules_and_the_dashboard() {
    let Some(promcheck) = built("promcheck") else { return };
    let admin = free_port();
    let directory = tempfile::tempdir().unwrap();
    let (listen, traces) = (format!("127.0.0.1:{admin}"), directory.path().to_str().unwrap());
    let options =
        ["--metrics-vllm-names", "--admin-listen", listen.as_str(), "--trace-dir", traces];
    let (_server, port) = start_server(&options.map(ToOwned::to_owned));
    extract(port, TRACE_ID, "2").await;
    let output = Command::new(promcheck)
        .args([deploy("rules.yaml"), deploy("dashboard.json")])
        .arg(format!("http://127.0.0.1:{admin}/metrics"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let counts: Vec<usize> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(counts.len() == 3 && counts.iter().all(|count| *count > 10), "{text}");
}

#[test]
fn promtool_accepts_the_rules_and_each_alert_fires_when_it_should() {
    let Some(promtool) = built("promtool") else { return };
    let told = passes(
        Command::new(&promtool).args(["check", "rules", "--lint=all"]).arg(deploy("rules.yaml")),
    );
    assert!(told.contains("SUCCESS"), "{told}");
    passes(Command::new(&promtool).args(["check", "config"]).arg(deploy("prometheus.yaml")));
    let told =
        passes(Command::new(&promtool).args(["test", "rules"]).arg(deploy("rules.test.yaml")));
    assert!(told.contains("SUCCESS"), "{told}");
    let (rules, tests) = (deploy("rules.yaml"), deploy("rules.test.yaml"));
    let tested = std::fs::read_to_string(tests).unwrap();
    for line in std::fs::read_to_string(rules).unwrap().lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            let cases = tested.matches(&format!("alertname: {alert}\n")).count();
            assert!(cases >= 2, "{alert} has {cases} cases: it fires, and it does not");
        }
    }
}

/// Prometheus with the repository's rules, which scrapes the server there every second.
fn start_prometheus(directory: &Path, admin: u16) -> Option<(Process, u16)> {
    let binary = built("prometheus")?;
    let port = free_port();
    let config = std::fs::read_to_string(deploy("prometheus.yaml")).unwrap();
    let config = config
        .replace("15s", "1s\n  evaluation_interval: 2s")
        .replace("127.0.0.1:9464", &format!("127.0.0.1:{admin}"));
    assert!(config.contains("1s") && config.contains(&admin.to_string()), "{config}");
    std::fs::write(directory.join("prometheus.yml"), config).unwrap();
    std::fs::copy(deploy("rules.yaml"), directory.join("rules.yaml")).unwrap();
    let log = directory.join("prometheus.log");
    let mut command = Command::new(binary);
    command
        .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--enable-feature=exemplar-storage");
    let process = start(&mut command, &log);
    until_listening(port, &log);
    Some((process, port))
}

/// Titles of the dashboard's panels with their queries, as Grafana would send them.
fn queries() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(deploy("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| {
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$__rate_interval", "1m").replace("$instance", ".*");
            (title.clone(), query.replace("$job", ".*"))
        })
    };
    panels.iter().flat_map(of).collect()
}

/// Whether there is any number in the answer.
fn has_data(port: u16, query: &str) -> bool {
    let found = json(port, &format!("/api/v1/query?query={}", encoded(query)));
    assert_eq!(found["status"], "success", "{query}: {found}");
    let samples = found["data"]["result"].as_array().into_iter().flatten();
    samples.filter_map(|sample| sample["value"][1].as_str()).any(|value| value != "NaN")
}

/// Asks for things that go wrong, so that there is something to show of them.
async fn trouble(port: u16) {
    let refused = open(port, tessera::pb::v1::ExtractRequest::default(), TRACE_ID, "2").await;
    assert!(refused.is_err(), "an empty request is refused");
    // A reader that leaves in the middle.
    let mut stream = open(port, receipt(), TRACE_ID, "2").await.unwrap().into_inner();
    stream.message().await.unwrap();
    stream.message().await.unwrap();
}

#[tokio::test]
async fn every_panel_shows_something_of_a_loaded_server() {
    let directory = tempfile::tempdir().unwrap();
    let (admin, traces) = (free_port(), directory.path().join("traces"));
    let listen = format!("127.0.0.1:{admin}");
    // Two devices, so that there is a link between them.
    let (_server, port) = start_server(&options(&[
        "--devices",
        "cpu,cpu",
        "--device-map",
        "internvl",
        "--admin-listen",
        &listen,
        "--trace-dir",
        traces.to_str().unwrap(),
    ]));
    let Some((_prometheus, query)) = start_prometheus(directory.path(), admin) else { return };
    let begin = Instant::now();
    // There is nothing of it where every module has the dtype that was asked for.
    let mut lacking = queries();
    lacking.retain(|(title, _)| title != "Modules in another dtype than asked for");
    assert!(lacking.len() > 30, "{lacking:?}");
    while !lacking.is_empty() {
        extract(port, TRACE_ID, "2").await;
        trouble(port).await;
        lacking.retain(|(_, expression)| !has_data(query, expression));
        assert!(begin.elapsed() < SOON * 2, "no data for {lacking:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    check_rules(query);
    check_exemplars(query);
}

/// Each rule is evaluated, and nothing is alarming about a server that works.
fn check_rules(query: u16) {
    let begin = Instant::now();
    loop {
        let found = json(query, "/api/v1/rules");
        let groups = found["data"]["groups"].as_array().unwrap();
        let rules: Vec<&Value> =
            groups.iter().filter_map(|group| group["rules"].as_array()).flatten().collect();
        assert!(rules.len() >= 13, "{rules:?}");
        let firing: Vec<_> = rules.iter().filter(|rule| rule["state"] == "firing").collect();
        assert!(firing.is_empty(), "{firing:#?}");
        let failing: Vec<_> = rules.iter().filter(|rule| rule["health"] == "err").collect();
        assert!(failing.is_empty(), "{failing:#?}");
        if rules.iter().all(|rule| rule["health"] == "ok") {
            return;
        }
        assert!(begin.elapsed() < SOON * 2, "{rules:#?}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// A slow bucket leads to the trace of a request in it.
fn check_exemplars(query: u16) {
    for metric in ["gen_ai_server_request_duration_seconds", "rpc_server_call_duration_seconds"] {
        let found = json(
            query,
            &format!("/api/v1/query_exemplars?query={metric}_bucket&start=0&end=9999999999"),
        );
        let series = found["data"].as_array().unwrap();
        let seen = series.iter().filter_map(|series| series["exemplars"].as_array()).flatten();
        let traces: Vec<&Value> = seen.map(|exemplar| &exemplar["labels"]["trace_id"]).collect();
        assert!(!traces.is_empty() && traces.iter().all(|id| **id == TRACE_ID), "{found}");
    }
}
