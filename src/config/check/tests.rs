//! Precedence, and all mistakes at once with their addresses.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use clap::Parser as _;
use expect_test::{Expect, expect};

use super::*;
use crate::checkpoint::Checkpoint;
use crate::config::Flags;
use crate::placement::DtypePolicy;
use crate::weights::WeightSource;

#[derive(Debug, clap::Parser)]
struct Typed {
    #[command(flatten)]
    flags: Flags,
}

fn gather(args: &[&str], env: &[(&str, &str)], file: Option<&str>) -> Low {
    let mut typed = Typed::parse_from(std::iter::once("serve").chain(args.iter().copied()));
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut toml = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    if let Some(text) = file {
        toml.write_all(text.as_bytes()).unwrap();
        typed.flags.config = Some(toml.path().to_owned());
    }
    Low::gather(&typed.flags, &env)
}

fn check_mistakes(args: &[&str], env: &[(&str, &str)], file: Option<&str>, expected: &Expect) {
    let problems = check(&gather(args, env, file)).unwrap_err().to_string();
    // The file's path is another one at each run.
    let lines: Vec<String> = problems
        .lines()
        .map(|line| match line.split_once(".toml:") {
            Some((_, rest)) => format!("  FILE:{rest}"),
            None => line.to_owned(),
        })
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn nothing_typed_is_a_whole_configuration() {
    let config = check(&gather(&[], &[], None)).unwrap();
    assert_eq!(config.model.checkpoint, Checkpoint::Embedded);
    assert_eq!(config.model.dtypes, DtypePolicy::default());
    assert_eq!(config.model.system_message, None);
    assert_eq!(config.server.listen, ([127, 0, 0, 1], 50051).into());
    assert_eq!(config.server.drain_timeout, Duration::from_secs(30));
    assert!(config.server.reflection && config.server.listen.ip().is_loopback());
    assert_eq!(config.telemetry.otlp, None);
    assert_eq!(config.guard, GuardConfig::default());
    assert!(config.warnings.is_empty());
}

#[test]
fn flag_beats_variable_beats_file() {
    let file = "slots = 1\nqueue = 11\n\"prefill-chunk\" = 1_024\n";
    let env = [("TESSERA_SLOTS", "2"), ("TESSERA_QUEUE", "22")];
    let config = check(&gather(&["--slots", "3"], &env, Some(file))).unwrap();
    assert_eq!(config.requests.slots, 3);
    assert_eq!(config.requests.queue, 22);
    assert_eq!(config.requests.prefill_chunk, Some(1024));
    assert_eq!(config.requests.slot_tokens, 8192);
}

#[test]
fn every_value_can_be_text_or_bare_in_the_file() {
    let file = r#"
        slots = "8"
        trace-sample-ratio = 0.25
        otlp-endpoint = "http://127.0.0.1:4317"
        no-reflection = true
        system-message = ""
        drain-timeout = "1m30s"
        weights = "random:7"
    "#;
    let config = check(&gather(&[], &[], Some(file))).unwrap();
    assert_eq!(config.requests.slots, 8);
    assert!(config.telemetry.otlp.is_some());
    let trace = &config.telemetry.trace;
    assert!((trace.sample_ratio - 0.25).abs() < f64::EPSILON);
    assert!(!config.server.reflection);
    assert_eq!(config.model.system_message.as_deref(), Some(""));
    assert_eq!(config.server.drain_timeout, Duration::from_secs(90));
    assert_eq!(config.model.weights, WeightSource::Random { seed: 7 });
}

#[test]
fn all_mistakes_of_all_places_come_at_once() {
    check_mistakes(
        &["--slots", "-1", "--model", "/no/such/model", "--weights", "fil"],
        &[("TESSERA_LISTEN", "everywhere"), ("TESSERA_LOG_FORMAT", "xml")],
        Some("queue = 0\nslot_tokens = 4096\n\n  drain-timeout = 30\n"),
        &expect![[r#"
            8 mistakes in the configuration
              FILE:2:1 "slot_tokens": is no option
                did you mean slot-tokens?
              --model "/no/such/model": is no directory here
                give a directory with config.json and *.safetensors, or tessera-tiny
              --weights "fil": is no source of weights
                give file, or random:SEED with a whole number
              --slots "-1": is too small
                give a whole number from 1 to 1024
              FILE:1:1 queue "0": is too small
                give a whole number from 1 to 65536
              TESSERA_LISTEN "everywhere": is not an address with a port
                give IP:PORT: 127.0.0.1:50051 for this machine only, 0.0.0.0:50051 for all
              FILE:4:3 drain-timeout "30": has no unit
                give a number with its unit: 500ms, 30s, 5m, 1h
              TESSERA_LOG_FORMAT "xml": is not known here
                give one of: text, json"#]],
    );
}

#[test]
fn a_broken_file_is_reported_by_line() {
    check_mistakes(
        &[],
        &[],
        Some("slots = 4\nlisten = 127.0.0.1:50051\n[server]\nqueue = 1\n"),
        &expect![[r#"
            2 mistakes in the configuration
              FILE:2:15: not TOML: invalid float, expected nothing
                write one option a line: listen = "127.0.0.1:50051"
              FILE:3:2 "server": is a table; there are none
                write all options at the top of the file, outside [tables]"#]],
    );
}

#[test]
fn a_missing_file_names_who_asked_for_it() {
    check_mistakes(
        &[],
        &[("TESSERA_CONFIG", "/no/such/file")],
        None,
        &expect![[r#"
            1 mistake in the configuration
              TESSERA_CONFIG "/no/such/file": cannot be read: No such file or directory (os error 2)
                give the path of a TOML file, or leave the option out"#]],
    );
}

#[test]
fn an_answer_must_leave_room_for_pages() {
    check_mistakes(
        &["--max-output-tokens", "8192"],
        &[],
        None,
        &expect![[r#"
            1 mistake in the configuration
              --max-output-tokens "8192": leaves no room for pages in --slot-tokens 8192
                lower it below slot-tokens, or raise slot-tokens"#]],
    );
}

#[test]
fn guards_have_bounds() {
    let args = [
        "--guard",
        "off",
        "--guard-bang-ratio",
        "0.5",
        "--guard-repeat",
        "512",
        "--guard-unsure",
        "0.02",
        "--poison-limit",
        "0",
    ];
    let config = check(&gather(&args, &[], None)).unwrap();
    let expected =
        GuardConfig { on: false, bang_ratio: 0.5, repeats: 512, unsure: 0.02, poison_limit: 0 };
    assert_eq!(config.guard, expected);
    check_mistakes(
        &[
            "--guard",
            "maybe",
            "--guard-bang-ratio",
            "30",
            "--guard-repeat",
            "3",
            "--guard-unsure",
            "2",
        ],
        &[("TESSERA_POISON_LIMIT", "-1")],
        None,
        &expect![[r#"
            5 mistakes in the configuration
              --guard "maybe": is neither true nor false
                give true or false
              --guard-bang-ratio "30": is not from 0 to 1
                give a number from 0 to 1
              --guard-repeat "3": is too small
                give a whole number from 16 to 1048576
              --guard-unsure "2": is not from 0 to 1
                give a number from 0 to 1
              TESSERA_POISON_LIMIT "-1": is too small
                give a whole number from 0 to 1000000"#]],
    );
}

#[test]
fn misspelt_variables_are_only_a_warning() {
    let env = [("TESSERA_SLOT", "9"), ("TESSERA_PORT", "tcp://10.0.0.1:50051")];
    let config = check(&gather(&[], &env, None)).unwrap();
    assert_eq!(config.warnings, ["TESSERA_SLOT is no option: did you mean TESSERA_SLOTS?"]);
}

#[test]
fn replicas_cannot_share_a_map_that_names_devices() {
    let config = check(&gather(&["--replicas", "4", "--device-map", "balanced"], &[], None));
    assert_eq!(config.unwrap().model.replicas, 4);
    check_mistakes(
        &["--replicas", "2", "--device-map", "cuda:0"],
        &[],
        None,
        &expect![[r#"
            1 mistake in the configuration
              --replicas "2": cannot be with a --device-map that names devices: it would put all replicas on the same
                leave device-map out, or give auto, balanced, balanced_low_0, sequential or internvl"#]],
    );
}

#[test]
fn what_has_no_effect_is_said_with_its_remedy() {
    let warnings = |args: &[&str]| {
        let warnings = check(&gather(args, &[], None)).unwrap().warnings;
        warnings.join("\n")
    };
    let given = [
        ["--tls-client-auth", "require"],
        ["--otlp-signals", "metrics"],
        ["--trace-level", "3"],
        ["--guard", "off"],
        ["--guard-repeat", "300"],
        ["--embedding", "host"],
        ["--devices", "cpu"],
    ];
    expect![[r"
        --tls-client-auth: has no effect; clients are asked for no certificate without --tls-client-ca: give it, or leave it out
        --otlp-signals: has no effect; nothing is sent without --otlp-endpoint: give it, or leave it out
        --trace-level: has no effect; traces go nowhere: give --trace-dir, or --otlp-endpoint with traces among --otlp-signals, or leave it out
        --metrics-vllm-names: has no effect; metrics are shown nowhere without --admin-listen: give it, or leave it out
        --guard-repeat: has no effect; answers are not looked at with --guard off: turn it on, or leave it out
        --embedding: has no effect; the only memory is the host's without a GPU: name one in --devices, or leave it out"]]
    .assert_eq(&warnings(&[given.as_flattened(), &["--metrics-vllm-names"]].concat()));

    // What is needed is there, or what is given is the default.
    for well in [
        &["--trace-level", "3", "--trace-dir", "/tmp"][..],
        &["--trace-level", "3", "--otlp-endpoint", "http://127.0.0.1:4317"],
        &["--otlp-protocol", "grpc", "--trace-level", "2", "--guard", "off"],
        &["--metrics-vllm-names", "--admin-listen", "127.0.0.1:9464"],
    ] {
        assert_eq!(warnings(well), "");
    }
    // Only metrics are sent: traces go nowhere although there is a collector.
    let metrics = ["--otlp-endpoint", "http://127.0.0.1:4317", "--otlp-signals", "metrics"];
    assert!(
        warnings(&[&metrics[..], &["--trace-steps", "8"]].concat())
            .contains("--trace-steps: has no")
    );
    for (source, part) in [("fake", "answers are made up"), ("random:1", "answers mean nothing")] {
        assert!(warnings(&["--weights", source]).contains(part), "{source}");
    }
}

#[test]
fn two_listeners_need_two_ports() {
    check_mistakes(
        &["--listen", "0.0.0.0:50051", "--admin-listen", "127.0.0.1:50051"],
        &[],
        None,
        &expect![[r#"
            1 mistake in the configuration
              --admin-listen "127.0.0.1:50051": has the port of --listen 0.0.0.0:50051
                give it another port: 127.0.0.1:9464"#]],
    );
    let apart = ["--listen", "127.0.0.2:50051", "--admin-listen", "127.0.0.1:50051"];
    assert!(check(&gather(&apart, &[], None)).is_ok());
    let any = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    assert!(check(&gather(&any, &[], None)).is_ok());
}

#[test]
fn files_by_uri_are_off_until_origins_are_listed() {
    assert_eq!(check(&gather(&[], &[], None)).unwrap().server.fetch, None);
    let file = "fetch-from = \"https://Docs.example.com, http://10.20.0.7:9000\"\n\
        fetch-networks = \"10.20.0.0/16\"\nfetch-timeout = \"5s\"\nfetch-at-once = 4\n";
    let config = check(&gather(&[], &[], Some(file))).unwrap();
    let fetch = config.server.fetch.unwrap();
    let origins: Vec<String> = fetch.origins.iter().map(ToString::to_string).collect();
    assert_eq!(origins, ["https://docs.example.com", "http://10.20.0.7:9000"]);
    assert_eq!(fetch.networks, ["10.20.0.0/16".parse().unwrap()]);
    assert_eq!((fetch.timeout, fetch.at_once), (Duration::from_secs(5), 4));
    assert!(config.warnings[0].contains("http://10.20.0.7:9000 is not encrypted"));
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn mistakes_about_files_by_uri() {
    check_mistakes(
        &["--fetch-from", "https://a.example,docs.example.com", "--fetch-ca", "/no/such/file"],
        &[("TESSERA_FETCH_NETWORKS", "10.1.2.3/8"), ("TESSERA_FETCH_AT_ONCE", "0")],
        Some("fetch-timeout = \"20m\"\n"),
        &expect![[r#"
            5 mistakes in the configuration
              --fetch-from "https://a.example,docs.example.com": has "docs.example.com", which is no origin: it does not begin with https:// or http://
                give scheme and host, with a port where it is not the scheme's own: https://docs.example.com, or https://*.docs.example.com for each name with one label more
              TESSERA_FETCH_NETWORKS "10.1.2.3/8": has "10.1.2.3/8", which is no network: it has bits behind its length: meant is 10.0.0.0/8
                give addresses with a length: 10.20.0.0/16,fd12:3456::/32
              --fetch-ca "/no/such/file": is no file here
                give the path of a file
              FILE:1:1 fetch-timeout "20m": is too long
                give 100ms to 600s
              TESSERA_FETCH_AT_ONCE "0": is too small
                give a whole number from 1 to 1024"#]],
    );
    // It could never be reached.
    check_mistakes(
        &["--fetch-from", "http://127.0.0.1:9000", "--fetch-networks", "10.0.0.0/8"],
        &[],
        None,
        &expect![[r#"
            1 mistake in the configuration
              --fetch-from "http://127.0.0.1:9000": has 127.0.0.1, which is not public
                list its network too: --fetch-networks 127.0.0.1/32"#]],
    );
    let idle = check(&gather(&["--fetch-timeout", "5s"], &[], None)).unwrap().warnings;
    assert_eq!(
        idle,
        [
            "--fetch-timeout: has no effect; nothing is fetched without --fetch-from: give it, or leave it out"
        ]
    );
}

#[test]
fn a_message_may_pause_for_a_time_within_bounds() {
    let checked = |time: &str| check(&gather(&["--receive-timeout", time], &[], None));
    assert_eq!(checked("5m").unwrap().server.receive_timeout, Duration::from_mins(5));
    let unset = check(&gather(&[], &[], None)).unwrap();
    assert_eq!(unset.server.receive_timeout, Duration::from_secs(30));
    for (time, wrong) in [("500ms", "is too short"), ("0s", "is too short"), ("11m", "is too long")]
    {
        let said = checked(time).unwrap_err().to_string();
        assert!(said.contains(wrong) && said.contains("give 1s to 600s"), "{said}");
    }
}
