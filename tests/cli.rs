//! The binary as people meet it: what it says when something is wrong, and one whole life.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};

const RECEIPT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/samples/receipt-01.png");

fn tessera(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    // Whatever the machine's environment says, a test is always the same.
    command.env_clear().args(args);
    command
}

/// Runs to the end and compares what stands on stderr, and the exit code.
fn check(mut command: Command, changing: &[(&str, &str)], expected: &Expect) -> Output {
    let output = command.output().unwrap();
    let mut text = String::from_utf8(output.stderr.clone()).unwrap();
    for (from, to) in changing {
        text = text.replace(from, to);
    }
    expected.assert_eq(&format!("{text}exit {}", output.status.code().unwrap()));
    output
}

#[test]
fn all_mistakes_of_a_configuration_come_at_once() {
    let mut serve = tessera(&["serve", "--model", "/no/such/model", "--slots", "none"]);
    serve.env("TESSERA_LISTEN", "50051");
    check(
        serve,
        &[],
        &expect![[r#"
            error: 3 mistakes in the configuration
              --model "/no/such/model": is no directory here
                give a directory with config.json and *.safetensors, or tessera-tiny
              --slots "none": is not a whole number
                give a whole number from 1 to 1024
              TESSERA_LISTEN "50051": is not an address with a port
                give IP:PORT: 127.0.0.1:50051 for this machine only, 0.0.0.0:50051 for all
            exit 2"#]],
    );
}

#[test]
fn a_bad_file_is_named_by_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"slots = 4\nmax_tiles = 6\n").unwrap();
    let path = file.path().display().to_string();
    check(
        tessera(&["serve", "--config", &path]),
        &[(&path, "FILE")],
        &expect![[r#"
            error: 1 mistake in the configuration
              FILE:2:1 "max_tiles": is no option
                did you mean max-tiles?
            exit 2"#]],
    );
}

#[test]
fn a_port_in_use_is_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(
        tessera(&["serve", "--log-level", "off", "--listen", &address]),
        &[(&address, "ADDRESS")],
        &expect![[r"
            error: cannot listen on ADDRESS
              because: Address already in use (os error 98)
              try: another port, for example --listen 127.0.0.1:0 for any free one, or stop what uses it
            exit 1"]],
    );
}

#[test]
fn a_server_that_is_not_there_is_explained() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    check(
        tessera(&["extract", RECEIPT, "--server", &free]),
        &[(&free, "ADDRESS")],
        &expect![[r"
            error: no server at http://ADDRESS
              because: transport error
              because: tcp connect error
              because: Connection refused (os error 111)
              try: start one with `tessera serve`, or name another with --server HOST:PORT
            exit 3"]],
    );
}

#[test]
fn a_page_that_is_not_there_is_named() {
    check(
        tessera(&["extract", "/no/such/page.png"]),
        &[],
        &expect![[r"
            error: cannot read /no/such/page.png
              because: No such file or directory (os error 2)
              try: the path of a PNG, JPEG, WebP, TIFF or PDF file
            exit 2"]],
    );
}

#[test]
fn help_starts_with_what_it_is_and_ends_with_examples() {
    let output = tessera(&["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.starts_with("Reads documents with InternVL3"), "{help}");
    assert!(help.trim_end().ends_with("`tessera COMMAND --help` explains a command."), "{help}");
    let output = tessera(&["serve", "--help"]).output().unwrap();
    // Where lines break is not what this is about.
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for option in ["--config <FILE>", "--slot-tokens <N>", "[default: 127.0.0.1:50051]"] {
        assert!(help.contains(option), "{option}\n{help}");
    }
}

/// Serve, read a receipt, refuse what is no page, stop: one server for all, because starting it is
/// what takes time.
#[test]
fn a_server_serves_and_stops_at_sigterm() {
    let prompts = tempfile::tempdir().unwrap();
    let question = "{# version: 5 #}\nExtract the fields as JSON.";
    std::fs::write(prompts.path().join("invoice.json.jinja"), question).unwrap();
    let mut server = tessera(&["serve", "--listen", "127.0.0.1:0", "--log-level", "warn"])
        .arg("--prompts")
        .arg(prompts.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let words: Vec<&str> = line.split([' ', ',']).collect();
    assert_eq!(words[..3], ["SERVING", "tessera-tiny", "on"], "{line}");
    let address = words[3];

    let output = tessera(&["extract", RECEIPT, "--server", address, "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(text.lines().count(), 1, "one document, one line");
    assert_eq!(answer["finish_reason"], "stop", "{text}");
    assert_eq!(answer["fields"], truth()["fields"], "{text}");
    assert_eq!(answer["prompt_template"], "receipt.json@1", "{text}");
    let details = answer["field_details"].as_object().unwrap();
    assert_eq!(details.len(), truth()["fields"].as_object().unwrap().len(), "{text}");
    assert_eq!(details["/INVOICE_DATE"]["normalized"], "2017-12-11");
    for (pointer, details) in details {
        let [mean, least] = ["confidence", "min_token_probability"].map(|name| {
            details[name].as_f64().unwrap_or_else(|| panic!("{pointer} has no {name}"))
        });
        // Only the mean is calibrated, so it may be the lower of the two.
        assert!(0.0 < least && least <= 1.0, "{pointer}: {details}");
        assert!(0.0 < mean && mean <= 1.0, "{pointer}: {details}");
    }
    assert!(output.status.success());

    // The operator's own question of one kind; in lines there is no other.
    for (style, template) in [("json", "invoice.json@5"), ("key_value", "invoice.lines@1")] {
        let asked = ["extract", RECEIPT, "--type", "invoice", "--answer-style", style];
        let output = tessera(&asked).args(["--server", address, "--json"]).output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["prompt_template"], template, "{answer}");
        assert_eq!(answer["fields"]["DOCUMENT_TYPE"], "receipt", "{answer}");
    }

    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let refused = check(
        tessera(&["extract", &manifest.display().to_string(), "--server", address]),
        &[(&manifest.display().to_string(), "FILE")],
        &expect![[r"
            error: FILE: files[0].content: the file starts with none of the known signatures but with [5b, 70, 61, 63, 6b, 61, 67, 65]; send a PNG, JPEG, WebP, TIFF or PDF file
              code: INVALID_ARGUMENT INVALID_FIELD
              field: files[0].content
              try: the request again with the field put right
            exit 1"]],
    );
    let error: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(error["error"]["code"], "INVALID_ARGUMENT");

    let pid = server.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn two_replicas_read_as_one_model_does() {
    let mut server = tessera(&["serve", "--listen", "127.0.0.1:0", "--log-level", "warn"])
        .args(["--devices", "cpu,cpu", "--replicas", "2", "--slots", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains(" on cpu:0,cpu:1 in f32, 2 replicas, "), "{line}");
    let address = line.split([' ', ',']).nth(3).unwrap().to_owned();
    let extract = || {
        tessera(&["extract", RECEIPT, "--server", &address, "--json"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    // More than the two that run at once.
    let reading: Vec<_> = (0..4).map(|_| extract()).collect();
    for one in reading {
        let output = one.wait_with_output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["fields"], truth()["fields"], "{answer}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Of two scans given as the pages of one document: where a value is read is where the model looks.
#[test]
fn scans_of_one_document_say_which_of_them_a_value_is_from() {
    let mut server = tessera(&["serve", "--listen", "127.0.0.1:0", "--log-level", "warn"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let address = line.split([' ', ',']).nth(3).unwrap().to_owned();
    let samples = Path::new(RECEIPT).parent().unwrap();
    let (mut known, mut named) = (0, 0);
    for [first, second] in [
        ["receipt-01", "bank-statement-03"],
        ["bank-statement-03", "receipt-01"],
        ["receipt-03", "invoice-01"],
        ["invoice-01", "receipt-03"],
    ] {
        let pages = [first, second].map(|name| samples.join(name).with_extension("png"));
        let truths = pages.clone().map(|page| truth_of(&page));
        let kind = truths[0]["document_type"].as_str().unwrap();
        let output = tessera(&["extract", "--type", kind, "--pages", "--json"])
            .args(["--server", &address])
            .args(&pages)
            .output()
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for (name, value) in answer["fields"].as_object().unwrap() {
            let has = |truth: &serde_json::Value| {
                truth["fields"].as_object().unwrap().values().any(|of_truth| of_truth == value)
            };
            let page = match (name.as_str(), has(&truths[0]), has(&truths[1])) {
                ("DOCUMENT_TYPE", ..) | (_, true, true) | (_, false, false) => continue,
                (_, is_first, _) => usize::from(!is_first),
            };
            known += 1;
            let found = &answer["field_details"][format!("/{name}")]["page"];
            if !found.is_null() {
                named += 1;
                assert_eq!(found["file"], page, "{first}, {second}: {name} {value}: {found}");
                assert_eq!(found["evidence"], "attention");
                assert!(found["share"].as_f64().unwrap() > 0.6, "{found}");
            }
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(known >= 12 && named * 2 > known, "{named} of {known} values have a page");
}

fn truth() -> serde_json::Value {
    truth_of(Path::new(RECEIPT))
}

/// What the sample at `page` says.
fn truth_of(page: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(page.with_extension("json")).unwrap()).unwrap()
}
