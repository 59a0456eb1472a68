//! `tessera bench` as people run it: a server under load, and what is written about it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

fn tessera(args: &[&str]) -> Output {
    // Whatever the machine's environment says, a test is always the same.
    Command::new(env!("CARGO_BIN_EXE_tessera")).env_clear().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn rows(path: &Path) -> Vec<csv::StringRecord> {
    csv::Reader::from_path(path).unwrap().records().map(Result::unwrap).collect()
}

#[test]
fn a_batch_of_requests_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("bench");
    let output = tessera(&[
        "bench",
        "serve",
        "--concurrency",
        "1,2",
        "--requests",
        "3",
        "--warm-up",
        "0s",
        "--tiles",
        "1,3",
        "--tile-px",
        "448",
        "--output-tokens",
        "6",
        "--out",
        &out.display().to_string(),
    ]);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("| 1 client | 3 | 0 |"), "{stdout}");
    assert!(stdout.contains("| 2 clients | 3 | 0 |"), "{stdout}");

    let levels = rows(&out.join("levels.csv"));
    assert_eq!(levels.len(), 2);
    let requests = rows(&out.join("requests.csv"));
    assert_eq!(requests.len(), 6);
    for request in &requests {
        assert_eq!((&request[6], &request[9]), ("OK", "6"), "{request:?}");
        let [latency, first_token]: [f64; 2] =
            [3, 4].map(|column| request[column].parse().unwrap());
        assert!(0.0 < first_token && first_token <= latency, "{request:?}");
        let tiles = if request[1].starts_with("made-3-") { "3" } else { "1" };
        assert_eq!(&request[7], tiles, "{request:?}");
    }
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["levels"][1]["answers"], 3);
    // Output tokens of three answers, over the time from the first to the last.
    let rate = summary["levels"][0]["output_tokens_per_second"].as_f64().unwrap();
    let seconds = summary["levels"][0]["seconds"].as_f64().unwrap();
    assert!((rate * seconds - 18.0).abs() < 1e-6, "{summary}");
    let chart = std::fs::read_to_string(out.join("load.svg")).unwrap();
    assert!(chart.starts_with("<svg") && chart.trim_end().ends_with("</svg>"));
}

#[test]
fn documents_that_arrive_faster_than_they_are_read_wait() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("bench");
    let output = tessera(&[
        "bench",
        "serve",
        "--rate",
        "1000",
        "--requests",
        "5",
        "--warm-up",
        "0s",
        "--slots",
        "1",
        "--output-tokens",
        "4",
        "--tile-px",
        "448",
        "--out",
        &out.display().to_string(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let requests = rows(&out.join("requests.csv"));
    assert_eq!(requests.len(), 5);
    let mut latencies: Vec<f64> = requests.iter().map(|row| row[3].parse().unwrap()).collect();
    latencies.sort_by(f64::total_cmp);
    // All came at once and one runs at a time: the last waits for the others, and its wait counts.
    assert!(latencies[4] > 2.0 * latencies[0], "{latencies:?}");
}

#[test]
fn options_that_would_say_nothing_are_refused() {
    let output = tessera(&["bench", "serve", "--server", "127.0.0.1:1", "--slots", "4"]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("given: --slots"), "{stderr}");
    let output = tessera(&["bench", "serve", "--tiles", "2", "--requests", "1"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--tiles with one of 1, 3"), "{}", text(&output.stderr));
}

#[test]
fn pages_are_written_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("pages");
    let output = tessera(&[
        "bench",
        "pages",
        "--tiles",
        "7",
        "--count",
        "2",
        "--tile-px",
        "64",
        "--out",
        &out.display().to_string(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["made-7-tiles-0.jpg", "made-7-tiles-1.jpg"]);
}
