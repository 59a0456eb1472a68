//! What came of each document, one JSON line each, written as soon as it is known: an evaluation that
//! was interrupted goes on where it stopped.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use prost_types::value::Kind as ValueKind;
use serde::{Deserialize, Serialize};

use super::documents::Asked;
use super::judged::Judged;
use super::unwritable;
use crate::accuracy::ABSENT;
use crate::cli::client::Answer;
use crate::cli::failure::{Exit, Failure};
use crate::cli::files;
use crate::cli::view::{Seconds, seconds};
use crate::pb::v1::{
    Capabilities, Completed, ConfidenceMethod, ExtractedField, FinishReason, ModelStatus,
};

const RESULTS: &str = "results.jsonl";
const RUN: &str = "run.json";

/// Characters of an answer that was cut.
const CUT_CHARS: usize = 80;

/// The status of a document that was read.
pub(super) const OK: &str = "OK";

/// One document's outcome, truth left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub image: String,
    /// The type that it was read as, or that the truth says where the server was asked for it.
    pub kind: String,
    /// The type that the server found, where it was asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_kind: Option<String>,
    /// `OK`, or the code and reason of the refusal.
    pub status: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The answer ended by itself and holds a whole object.
    pub whole: bool,
    /// Of an answer that reached the limit of its tokens, the last characters: what it was at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cut_after: String,
    /// Values by name; items of a list joined. None of a document that failed.
    pub fields: BTreeMap<String, String>,
    /// Of a list, that of its least sure item.
    pub confidence: BTreeMap<String, f64>,
    /// The same as each field completed, before checks raised or lowered it.
    #[serde(default)]
    pub read_confidence: BTreeMap<String, f64>,
    /// Checks of values against one another that failed.
    #[serde(default)]
    pub disagreements: Vec<String>,
    /// By the client's clock, from sending to the last message.
    pub seconds: f64,
    pub first_field: Option<f64>,
    pub pages: usize,
    pub tiles: u32,
    pub input_tokens: u32,
    pub output_tokens: u32,
    /// By the server's clock.
    pub server: Option<Seconds>,
}

/// What a set of results was made with, and how long it took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub model: String,
    pub revision: String,
    pub server_version: String,
    pub computes_in: String,
    pub devices: String,
    #[serde(flatten)]
    pub asking: Asking,
    /// Confidences were calibrated.
    #[serde(default)]
    pub calibrated: bool,
    /// Of all sessions that worked on it, and the documents that they read.
    pub wall_seconds: f64,
    pub wall_documents: usize,
    pub concurrency: usize,
}

/// How documents were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asking {
    /// Answers were held to the schema, as a server does where nobody says otherwise.
    pub held: bool,
    /// The server was asked what type each document is.
    pub finds_types: bool,
    /// Answers were `KEY: value` lines.
    pub in_lines: bool,
}

impl Default for Asking {
    fn default() -> Self {
        Self { held: true, finds_types: false, in_lines: false }
    }
}

/// An evaluation in a directory.
#[derive(Debug)]
pub(super) struct Session {
    out: PathBuf,
    file: File,
    records: BTreeMap<String, Record>,
    pub run: Run,
    /// Documents that an earlier session had read.
    pub resumed: usize,
}

impl Record {
    /// Of a document that was answered.
    pub(super) fn answered(image: &str, kind: &str, answer: &Answer, took: f64) -> Self {
        let completed = &answer.completed;
        let usage = completed.usage.unwrap_or_default();
        let (fields, confidence) = named(&completed.fields);
        let failed = completed.checks.iter().filter(|check| !check.passed);
        Self {
            image: image.to_owned(),
            kind: kind.to_owned(),
            found_kind: None,
            status: OK.to_owned(),
            message: completed.document_error.clone(),
            whole: completed.document_json.is_some(),
            cut_after: cut_after(completed),
            fields,
            confidence,
            read_confidence: BTreeMap::new(),
            disagreements: failed.map(|check| check.message.clone()).collect(),
            seconds: took,
            first_field: None,
            pages: answer.accepted.tiles_per_page.len(),
            tiles: answer.accepted.tiles_per_page.iter().sum(),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            server: completed.timings.as_ref().map(seconds),
        }
    }

    /// Of a document that was not read, or whose answer broke off: whatever came of it, it failed.
    pub(super) fn failed(
        image: &str,
        kind: &str,
        status: String,
        message: String,
        took: f64,
    ) -> Self {
        Self {
            image: image.to_owned(),
            kind: kind.to_owned(),
            found_kind: None,
            status,
            message,
            whole: false,
            cut_after: String::new(),
            fields: BTreeMap::new(),
            confidence: BTreeMap::new(),
            read_confidence: BTreeMap::new(),
            disagreements: Vec::new(),
            seconds: took,
            first_field: None,
            pages: 0,
            tiles: 0,
            input_tokens: 0,
            output_tokens: 0,
            server: None,
        }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.status == OK
    }
}

fn cut_after(completed: &Completed) -> String {
    if completed.finish_reason() != FinishReason::Length {
        return String::new();
    }
    let first = completed.text.char_indices().rev().nth(CUT_CHARS - 1).map_or(0, |(at, _)| at);
    completed.text[first..].to_owned()
}

/// Values by name, one text each, as truths have them, and their confidence.
fn named(fields: &[ExtractedField]) -> (BTreeMap<String, String>, BTreeMap<String, f64>) {
    let (mut values, mut confidences) = (BTreeMap::new(), BTreeMap::new());
    for field in fields {
        let pointer = field.pointer.trim_start_matches('/');
        let (name, is_item) = match pointer.split_once('/') {
            Some((name, item)) if item.parse::<usize>().is_ok() => (name, true),
            _ => (pointer, false),
        };
        let value = text_of(field);
        if is_item {
            values
                .entry(name.to_owned())
                .and_modify(|list: &mut String| {
                    list.push_str(" | ");
                    list.push_str(&value);
                })
                .or_insert(value);
        } else {
            values.insert(name.to_owned(), value);
        }
        note_confidence(&mut confidences, field);
    }
    (values, confidences)
}

/// Adds the confidence of `field` under its name: a list is as sure as its least sure item.
pub(super) fn note_confidence(confidences: &mut BTreeMap<String, f64>, field: &ExtractedField) {
    let pointer = field.pointer.trim_start_matches('/');
    let name = pointer.split('/').next().unwrap_or(pointer);
    if let Some(confidence) = field.confidence.map(f64::from) {
        let least = confidences.entry(name.to_owned()).or_insert(confidence);
        *least = least.min(confidence);
    }
}

fn text_of(field: &ExtractedField) -> String {
    match field.value.as_ref().and_then(|value| value.kind.as_ref()) {
        Some(ValueKind::StringValue(text)) => text.clone(),
        Some(ValueKind::NullValue(_) | ValueKind::ListValue(_) | ValueKind::StructValue(_)) => {
            ABSENT.to_owned()
        }
        // Numbers keep their digits.
        Some(ValueKind::BoolValue(_) | ValueKind::NumberValue(_)) | None => field.raw.clone(),
    }
}

/// All results in the directory `out`.
pub(super) fn read_all(out: &Path) -> Result<BTreeMap<String, Record>, Failure> {
    let path = out.join(RESULTS);
    let text = String::from_utf8_lossy(&files::read(&path)?).into_owned();
    let mut records = BTreeMap::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    for (index, line) in lines.iter().enumerate() {
        match serde_json::from_str::<Record>(line) {
            Ok(record) => {
                records.insert(record.image.clone(), record);
            }
            // The last line may have been cut when the evaluation was stopped.
            Err(_) if index + 1 == lines.len() => {}
            Err(error) => {
                return Err(Failure::new(Exit::Usage, format!("{} is damaged", path.display()))
                    .fact("line", (index + 1).to_string())
                    .because(&error)
                    .remedy("another --out DIR, or without that line"));
            }
        }
    }
    Ok(records)
}

impl Session {
    /// Begins in the directory `out`, or goes on with what is there of the same model, for the documents
    /// `asked`.
    pub(super) fn open(out: &Path, mut run: Run, asked: &[Asked]) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| unwritable(out, &error);
        std::fs::create_dir_all(out).map_err(failed)?;
        let mut records = BTreeMap::new();
        if out.join(RUN).exists() {
            let text = std::fs::read_to_string(out.join(RUN)).map_err(failed)?;
            let before: Run = serde_json::from_str(&text).unwrap_or_default();
            if before.what() != run.what() {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("{} has results of another run", out.display()),
                )
                .fact("there", before.what())
                .fact("here", run.what())
                .remedy("another --out DIR; --compare DIR sets two runs side by side"));
            }
            run.wall_seconds = before.wall_seconds;
            run.wall_documents = before.wall_documents;
            // A damaged file is told, not written over: there may be hours of work in it.
            if out.join(RESULTS).exists() {
                records = read_all(out)?;
            }
        }
        records.retain(|_, record| record.is_ok());
        std::fs::write(out.join(RUN), format!("{:#}\n", run.json())).map_err(failed)?;
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(out.join(RESULTS))
            .map_err(failed)?;
        // Whole lines only, whatever the last session left.
        for record in records.values() {
            writeln!(file, "{}", json(record)).map_err(failed)?;
        }
        let mut session = Self { out: out.to_owned(), file, records, run, resumed: 0 };
        session.resumed = asked.iter().filter(|asked| session.has(asked)).count();
        Ok(session)
    }

    /// Whether the document was read, as the type that it is asked for as.
    pub(super) fn has(&self, asked: &Asked) -> bool {
        let record = self.records.get(&asked.document.image);
        record.is_some_and(|record| record.kind == asked.type_name)
    }

    pub(super) fn records(&self) -> &BTreeMap<String, Record> {
        &self.records
    }

    pub(super) fn add(&mut self, record: Record) -> Result<(), Failure> {
        writeln!(self.file, "{}", json(&record)).map_err(|error| unwritable(&self.out, &error))?;
        self.records.insert(record.image.clone(), record);
        Ok(())
    }

    /// Counts the time of a session and the documents it read.
    pub(super) fn took(&mut self, seconds: f64, documents: usize) {
        self.run.wall_seconds += seconds;
        self.run.wall_documents += documents;
    }

    /// Writes the results once more, in order, each with its truth and its scores.
    pub(super) fn close(self, judged: &[Judged]) -> Result<(), Failure> {
        let lines: String = judged.iter().map(|judged| json(judged) + "\n").collect();
        // A reader never sees half a file.
        let next = self.out.join("results.jsonl.next");
        std::fs::write(&next, lines)
            .and_then(|()| std::fs::rename(&next, self.out.join(RESULTS)))
            .and_then(|()| std::fs::write(self.out.join(RUN), format!("{:#}\n", self.run.json())))
            .map_err(|error| unwritable(&self.out, &error))
    }
}

impl Run {
    pub(super) fn of(model: &ModelStatus, asking: Asking) -> Self {
        let mut dtypes: Vec<String> = model
            .placements
            .iter()
            .map(|placed| {
                let [compute, weights] = [placed.compute_dtype(), placed.weight_dtype()]
                    .map(|dtype| dtype.as_str_name().trim_start_matches("DTYPE_").to_lowercase());
                if compute == weights { compute } else { format!("{compute} ({weights} weights)") }
            })
            .collect();
        dtypes.sort();
        dtypes.dedup();
        let devices: Vec<String> =
            model.devices.iter().map(|device| format!("{} {}", device.id, device.name)).collect();
        let method = model.capabilities.as_ref().map(Capabilities::confidence_method);
        Self {
            calibrated: method == Some(ConfidenceMethod::Calibrated),
            model: model.model.clone(),
            revision: model.revision.clone(),
            server_version: model.server_version.clone(),
            computes_in: dtypes.join(", "),
            devices: devices.join(", "),
            asking,
            ..Self::default()
        }
    }

    /// What results must have in common to be those of one run.
    fn what(&self) -> String {
        let Asking { held, finds_types, in_lines } = self.asking;
        let but = [
            (!held, ", not held to the schema"),
            (finds_types, ", asked for its types"),
            (in_lines, ", in lines"),
            (self.calibrated, ", calibrated"),
        ];
        let but: String = but.iter().filter(|(said, _)| *said).map(|(_, what)| *what).collect();
        format!("{} {}, {}{but}", self.model, self.revision, self.computes_in)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Texts, numbers and maps of them always have a JSON text; the fallback cannot be reached.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::documents::{Document, kind_name};
    use super::*;
    use crate::accuracy::Truth;
    use crate::cli::extract::Kind;
    use crate::pb::v1::{Accepted, Completed};

    fn field(pointer: &str, kind: ValueKind, raw: &str, confidence: f32) -> ExtractedField {
        ExtractedField {
            pointer: pointer.to_owned(),
            value: Some(prost_types::Value { kind: Some(kind) }),
            raw: raw.to_owned(),
            confidence: Some(confidence),
            ..ExtractedField::default()
        }
    }

    #[test]
    fn values_become_texts_as_truths_have_them() {
        let text = |text: &str| ValueKind::StringValue(text.to_owned());
        let (values, confidence) = named(&[
            field("/A", text("x"), "\"x\"", 0.5),
            field("/B/0", text("1"), "\"1\"", 1.0),
            field("/B/1", ValueKind::NumberValue(2.5), "2.50", 0.25),
            field("/C", ValueKind::NullValue(0), "null", 1.0),
            field("/D", ValueKind::BoolValue(true), "true", 1.0),
        ]);
        let found: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("A", "x"), ("B", "1 | 2.50"), ("C", "NOT_FOUND"), ("D", "true")]);
        assert!((confidence["B"] - 0.25).abs() < 1e-9, "a list is as sure as its least sure item");
    }

    fn asked(image: &str, kind: Kind) -> Asked {
        let truth = Truth { image: image.to_owned(), kind: None, fields: Vec::new() };
        let document = Document { image: image.to_owned(), path: PathBuf::new(), truth };
        let type_name = kind_name(kind.document_type());
        Asked { document, kind, type_name, truth: Vec::new() }
    }

    fn answered(image: &str) -> Record {
        let answer = Answer { accepted: Accepted::default(), completed: Completed::default() };
        Record::answered(image, "receipt", &answer, 1.0)
    }

    #[test]
    fn a_session_goes_on_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("eval");
        let model = |name: &str| ModelStatus { model: name.to_owned(), ..ModelStatus::default() };
        let run = || Run::of(&model("m"), Asking::default());
        let set = ["a.png", "b.png", "c.png"].map(|image| asked(image, Kind::Receipt));
        let mut session = Session::open(&out, run(), &set).unwrap();
        session.add(answered("a.png")).unwrap();
        let lost = Record::failed("b.png", "receipt", "INTERNAL".to_owned(), String::new(), 1.0);
        session.add(lost).unwrap();
        drop(session);
        // The machine went down in the middle of a line.
        let mut file = OpenOptions::new().append(true).open(out.join(RESULTS)).unwrap();
        file.write_all(b"{\"image\":\"c.p").unwrap();

        let session = Session::open(&out, run(), &set).unwrap();
        assert!(session.has(&set[0]), "read");
        assert!(!session.has(&set[1]), "failed: to be read again");
        assert!(!session.has(&set[2]), "lost");
        assert_eq!(session.resumed, 1);
        assert_eq!(read_all(&out).unwrap().len(), 1, "only whole lines are left");
        let invoice = asked("a.png", Kind::Invoice);
        assert!(!session.has(&invoice), "read as another type, with other fields");

        let unlike = |asking| Run::of(&model("m"), asking);
        for other in [
            Run::of(&model("n"), Asking::default()),
            unlike(Asking { held: false, ..Asking::default() }),
            unlike(Asking { finds_types: true, ..Asking::default() }),
            unlike(Asking { in_lines: true, ..Asking::default() }),
        ] {
            let failure = Session::open(&out, other, &set).unwrap_err();
            assert!(failure.what.ends_with("has results of another run"), "{failure}");
        }
    }

    /// Hours of work may be in it.
    #[test]
    fn a_damaged_file_is_told_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let run = || Run::of(&ModelStatus::default(), Asking::default());
        let mut session = Session::open(dir.path(), run(), &[]).unwrap();
        session.add(answered("a.png")).unwrap();
        session.add(answered("b.png")).unwrap();
        drop(session);
        let path = dir.path().join(RESULTS);
        let damaged = std::fs::read_to_string(&path).unwrap().replacen("\"image\"", "\"imag", 1);
        std::fs::write(&path, &damaged).unwrap();
        let failure = Session::open(dir.path(), run(), &[]).unwrap_err();
        assert!(failure.what.ends_with("is damaged"), "{failure}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    }
}
