//! `tessera eval` as people run it: the bundled samples through a real server, what is written about
//! them, and that what fails scores nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tessera::fields::Calibration;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/samples");

fn eval(args: &[&str]) -> Output {
    // Whatever the machine's environment says, a test is always the same.
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    command.env_clear().arg("eval").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn summary(out: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap()
}

/// Both reports have all that there is to say about a run in which some values were wrong.
fn check_reports(out: &Path, figures: &Value) {
    let html = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(!html.contains("src=\"http") && !html.contains("href="), "it needs nothing else");
    for tag in ["h2", "table", "section", "svg", "div"] {
        let (opened, closed) =
            (html.matches(&format!("<{tag}")).count(), html.matches(&format!("</{tag}>")).count());
        assert_eq!(opened, closed, "{tag}");
    }
    for part in [
        "<span>images a minute</span>",
        "<span>read whole</span>",
        "<caption>By type</caption>",
        "<caption>By field, %</caption>",
        "<h2>Fields by documents</h2>",
        ">Fields right against time<",
        ">Time of a document<",
        "<caption>Seconds, by the client's clock</caption>",
        ">Documents by their share of right fields<",
        ">Confidence of 140 values: calibration error ",
        ">Values kept, surest first<",
        "<h2>Worst documents</h2>",
    ] {
        assert!(html.contains(part), "{part}");
    }
    let perfect = figures["perfect"].as_u64().unwrap() as usize;
    assert!(perfect < 12, "there is something to look at");
    // Each document with a wrong field: its page, and what differs.
    assert_eq!(html.matches("src=\"data:image/jpeg;base64,").count(), 12 - perfect);
    assert!(html.contains("<del>") && html.contains("<ins>"));
    let markdown = std::fs::read_to_string(out.join("report.md")).unwrap();
    for part in [
        "- answers: JSON, held to the schema",
        "\n## Speed\n",
        ", p90 ",
        "- images a minute: ",
        "\n## Confidence\n",
        "\n## Wrong fields\n",
    ] {
        assert!(markdown.contains(part), "{part}");
    }
}

/// Reads the bundled samples, then the same again with what is there, then against an altered truth.
#[test]
fn the_bundled_samples_are_read_right_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("eval");
    let out_name = out.display().to_string();
    // The model's own confidence, which a calibration is made from below.
    let args =
        ["--images", SAMPLES, "--truth", SAMPLES, "--out", &out_name, "--calibration", "off"];
    let output = eval(&args);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    let first = summary(&out);
    let figures = &first["summary"];
    assert_eq!(figures["documents"], 12, "{first}");
    assert_eq!(figures["whole"], 12, "{first}");
    // 8 receipts and invoices of 14 fields, 4 statements of 7.
    assert_eq!(figures["fields"], 8 * 14 + 4 * 7, "{first}");
    let strict = figures["scores"]["strict"].as_f64().unwrap();
    // Far below the held-out figure of docs/accuracy.md, far above a broken scorer.
    assert!(strict > 0.9, "the model reads its samples: {strict}");
    assert_eq!(figures["confidence"]["values"], 8 * 14 + 4 * 7);

    let lines = std::fs::read_to_string(out.join("results.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 12);
    let receipt = lines.lines().find(|line| line.contains("\"receipt-01.png\"")).unwrap();
    let receipt: Value = serde_json::from_str(receipt).unwrap();
    for judgement in receipt["judgements"].as_array().unwrap() {
        assert_eq!(judgement["truth"], judgement["found"], "{judgement}");
        assert_eq!(judgement["scores"]["strict"], 1.0, "{judgement}");
    }
    let mut table = csv::Reader::from_path(out.join("results.csv")).unwrap();
    assert_eq!(table.records().count(), 12);
    check_reports(&out, figures);

    // Again: nothing is left to read, and the figures are the same.
    let output = eval(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let second = summary(&out);
    assert_eq!(second["summary"]["resumed"], 12);
    assert_eq!(second["summary"]["scores"], figures["scores"]);
    assert_eq!(second["summary"]["run"]["wall_documents"], 12);

    // A calibration is made from the same results, for the same model, and can be used.
    let file = dir.path().join("calibration.json");
    let output = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .env_clear()
        .args(["calibrate", "--images", SAMPLES, "--truth", SAMPLES, "--results", &out_name])
        .args(["--method", "temperature", "--out", &file.display().to_string()])
        .output()
        .unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("| all | 140 | "), "{stdout}");
    let calibration: Calibration = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let calibration = calibration.checked().unwrap();
    assert_eq!(calibration.documents, 12);
    assert!(
        calibration.check_revision(first["summary"]["run"]["revision"].as_str().unwrap()).is_ok()
    );
    // Too sure of itself, as the seven wrong fields say.
    assert!(calibration.apply("text", 0.95) < 0.95, "{calibration:?}");
}

/// The fields of the batch notebook: statements have their descriptions in those of line items.
const NOTEBOOK_FIELDS: [&str; 19] = [
    "DOCUMENT_TYPE",
    "BUSINESS_ABN",
    "SUPPLIER_NAME",
    "BUSINESS_ADDRESS",
    "PAYER_NAME",
    "PAYER_ADDRESS",
    "INVOICE_DATE",
    "STATEMENT_DATE_RANGE",
    "LINE_ITEM_DESCRIPTIONS",
    "LINE_ITEM_QUANTITIES",
    "LINE_ITEM_PRICES",
    "LINE_ITEM_TOTAL_PRICES",
    "IS_GST_INCLUDED",
    "GST_AMOUNT",
    "TOTAL_AMOUNT",
    "TRANSACTION_DATES",
    "TRANSACTION_AMOUNTS_PAID",
    "TRANSACTION_AMOUNTS_RECEIVED",
    "ACCOUNT_BALANCE",
];

/// The truth about samples as the notebook's table has it.
fn notebook_table(path: &Path, names: &[&str]) {
    let mut table = csv::Writer::from_path(path).unwrap();
    table.write_record(["image_file"].iter().chain(&NOTEBOOK_FIELDS)).unwrap();
    for name in names {
        let sample = std::fs::read(Path::new(SAMPLES).join(format!("{name}.json"))).unwrap();
        let sample: Value = serde_json::from_slice(&sample).unwrap();
        let fields = &sample["fields"];
        let cell = |field: &&str| {
            let own = fields[*field].as_str();
            let moved = fields["TRANSACTION_DESCRIPTIONS"].as_str();
            let value = own.or(moved.filter(|_| *field == "LINE_ITEM_DESCRIPTIONS"));
            value.unwrap_or("NOT_FOUND").to_owned()
        };
        let image = format!("{name}.png");
        table.write_record([image].into_iter().chain(NOTEBOOK_FIELDS.iter().map(cell))).unwrap();
    }
    table.flush().unwrap();
}

/// A model in a directory, as people have theirs, and a labelled set as the notebook has its: a calibration of another
/// model is refused, and the one that is made here is in force from the next start on.
#[test]
fn a_model_of_ones_own_is_calibrated() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for entry in std::fs::read_dir(Path::new(SAMPLES).parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
        }
    }
    // The revision is made of the configuration: another name in it is another revision.
    let config = model.join("config.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    value["_name_or_path"] = "of-ones-own".into();
    std::fs::write(&config, value.to_string()).unwrap();
    let truth = dir.path().join("truth.csv");
    notebook_table(&truth, &["bank-statement-01", "receipt-01"]);
    let [model, truth] = [&model, &truth].map(|path| path.display().to_string());
    let set = ["--images", SAMPLES, "--truth", &truth, "--model", &model];
    let [results, out] =
        ["results", "eval"].map(|name| dir.path().join(name).display().to_string());
    let first = [&set[..], &["--limit", "1", "--out", &out]].concat();

    let output = eval(&first);
    let told = text(&output.stderr);
    assert!(!output.status.success() && told.contains("was made with the revision"), "{told}");

    let file = Path::new(&model).join("calibration.json");
    let output = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .env_clear()
        .arg("calibrate")
        .args(set)
        .args(["--results", &results, "--method", "temperature", "--out"])
        .arg(&file)
        .output()
        .unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(
        stdout.contains("| all | 21 | "),
        "seven of a statement, fourteen of a receipt: {stdout}"
    );
    let diagram = std::fs::read_to_string(Path::new(&results).join("reliability.svg")).unwrap();
    assert!(diagram.contains("before: ECE") && diagram.contains("after: ECE"), "{diagram}");

    let output = eval(&first);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = summary(Path::new(&out))["summary"]["run"].clone();
    assert_eq!(run["calibrated"], true, "{run}");
    let made: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&made["revision"], &made["documents"]), (&run["revision"], &2.into()), "{made}");
}

/// A page that is no image costs its fields, and is read again the next time.
#[test]
fn what_fails_scores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    std::fs::create_dir(&images).unwrap();
    std::fs::copy(Path::new(SAMPLES).join("receipt-02.png"), images.join("good.png")).unwrap();
    std::fs::write(images.join("bad.png"), b"no image").unwrap();
    let sample: Value =
        serde_json::from_slice(&std::fs::read(Path::new(SAMPLES).join("receipt-02.json")).unwrap())
            .unwrap();
    let line = |image: &str| {
        serde_json::json!({
            "image": image, "document_type": "receipt", "fields": sample["fields"]
        })
        .to_string()
    };
    let truth = dir.path().join("truth.jsonl");
    std::fs::write(&truth, format!("{}\n{}\n", line("good.png"), line("bad.png"))).unwrap();
    let out = dir.path().join("eval");
    let [images, truth, out_name] = [&images, &truth, &out].map(|path| path.display().to_string());
    let output = eval(&["--images", &images, "--truth", &truth, "--out", &out_name]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    let found = summary(&out);
    let figures = &found["summary"];
    assert_eq!(figures["failures"]["INVALID_ARGUMENT INVALID_FIELD"], 1, "{found}");
    assert_eq!((&figures["documents"], &figures["whole"]), (&2.into(), &1.into()));
    // NOT_FOUND would be right for some fields of the page that was not read; nobody said so.
    for scorer in ["exact", "strict", "guide", "guide_accuracy", "anls"] {
        let score = figures["scores"][scorer].as_f64().unwrap();
        assert!(score <= 0.5 + 1e-9, "{scorer}: {score}");
    }

    // Against itself nothing changed, and the page that failed was tried once more.
    let again = dir.path().join("again").display().to_string();
    let args = ["--images", &images, "--truth", &truth, "--out", &again, "--compare", &out_name];
    assert_eq!(eval(&args).status.code(), Some(4));
    let compared = &summary(Path::new(&again))["comparison"];
    assert_eq!(compared["documents"], 2, "{compared}");
    assert_eq!((&compared["fields"]["won"], &compared["fields"]["lost"]), (&0.into(), &0.into()));
    assert_eq!(compared["fields"]["p"], 1.0, "{compared}");
    let change = &compared["scores"]["strict"];
    assert_eq!(change["before"], change["now"], "{compared}");
    let interval = [&change["interval"]["low"], &change["interval"]["high"]];
    assert_eq!(interval, [&Value::from(0.0); 2], "{compared}");
    for (report, said) in
        [("report.html", "(McNemar p = 1.000)"), ("report.md", "McNemar p = 1.000")]
    {
        let report = std::fs::read_to_string(Path::new(&again).join(report)).unwrap();
        assert!(report.contains(said), "{report}");
    }
}

/// The machine goes down in the middle of a run; the same command again reads what is left.
#[test]
fn an_interrupted_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("eval");
    let out_name = out.display().to_string();
    let args = ["--images", SAMPLES, "--truth", SAMPLES, "--limit", "5", "--out", &out_name];
    let mut first = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .env_clear()
        .arg("eval")
        .args(args)
        .args(["--concurrency", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = || {
        let text = std::fs::read_to_string(out.join("results.jsonl")).unwrap_or_default();
        text.matches('\n').count()
    };
    let start = Instant::now();
    while lines() < 2 {
        assert!(start.elapsed() < Duration::from_mins(2), "nothing is read");
        std::thread::sleep(Duration::from_millis(5));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let read = lines();
    assert!(!out.join("summary.json").exists(), "it was not over");

    let output = eval(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = summary(&out);
    let figures = &found["summary"];
    assert_eq!((&figures["documents"], &figures["resumed"]), (&5.into(), &read.into()), "{found}");
    assert_eq!(figures["run"]["wall_documents"], 5 - read, "of the session that ended");
    assert_eq!(lines(), 5);
}

/// The other way to ask, with an answer that is held to its lines.
#[test]
fn answers_in_lines_are_judged_as_others_are() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("eval").display().to_string();
    let set = ["--images", SAMPLES, "--truth", SAMPLES, "--limit", "2", "--out", &out];
    let output = eval(&[&set[..], &["--answer-style", "key_value"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = summary(Path::new(&out));
    let figures = &found["summary"];
    assert_eq!((&figures["whole"], &figures["fields"]), (&2.into(), &14.into()), "{found}");
    assert_eq!(figures["run"]["in_lines"], true);
    let markdown = std::fs::read_to_string(Path::new(&out).join("report.md")).unwrap();
    assert!(markdown.contains("- answers: KEY: value lines, held to the schema"), "{markdown}");
    let output = eval(&set);
    assert_eq!(output.status.code(), Some(2), "JSON is another run");
    assert!(text(&output.stderr).contains(", in lines"), "{}", text(&output.stderr));
}

#[test]
fn mistakes_are_told_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("eval").display().to_string();
    let truth = dir.path().join("truth.csv");
    std::fs::write(&truth, "image_file,TOTAL_AMOUNT\nother.png,1\n").unwrap();
    let truth = truth.display().to_string();
    let output = eval(&["--images", SAMPLES, "--truth", &truth, "--out", &out]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("error: no image has a truth"),
        "{}",
        text(&output.stderr)
    );
    let output = eval(&["--images", SAMPLES, "--truth", "/no/such/truth.csv", "--out", &out]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!Path::new(&out).exists(), "nothing was written");
}

/// The server finds the types and writes what it likes; the same pages, held, are compared with that.
#[test]
fn types_are_found_and_answers_left_free() {
    let dir = tempfile::tempdir().unwrap();
    let [free, held] = ["free", "held"].map(|name| dir.path().join(name).display().to_string());
    let set = ["--images", SAMPLES, "--truth", SAMPLES, "--limit", "3", "--type", "auto"];
    let output = eval(&[&set[..], &["--no-constrain", "--out", &free]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = summary(Path::new(&free));
    let figures = &found["summary"];
    assert_eq!(
        (&figures["types"]["documents"], &figures["types"]["right"]),
        (&3.into(), &3.into())
    );
    assert_eq!(
        (&figures["run"]["held"], &figures["run"]["finds_types"]),
        (&false.into(), &true.into())
    );
    assert_eq!(figures["run"]["calibrated"], true, "as the embedded model is");
    assert_eq!(figures["kinds"]["bank_statement"]["documents"], 3, "as the truth says: {found}");
    assert!(figures["scores"]["strict"].as_f64().unwrap() > 0.9, "{found}");

    // Results of the one are none of the other.
    let output = eval(&[&set[..], &["--out", &free]].concat());
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.contains("has results of another run") && told.contains("not held"), "{told}");

    let output = eval(&[&set[..], &["--out", &held, "--compare", &free]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let compared = &summary(Path::new(&held))["comparison"];
    assert_eq!(compared["documents"], 3, "{compared}");
}
