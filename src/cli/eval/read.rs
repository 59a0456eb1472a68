//! Reads the documents that are left, several at once, and draws how far it is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::documents::{Asked, kind_name};
use super::record::{Record, Session, note_confidence};
use crate::cli::client::{Client, Watcher};
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::refusal::Refusal;
use crate::pb::v1::extract_response::Event;
use crate::pb::v1::{EventKind, ExtractRequest, GenerationOptions, InputFile};

/// How long to wait for a server that says only that it cannot now.
const PAUSE: Duration = Duration::from_secs(1);

/// What a watcher notes of one answer.
#[derive(Debug)]
struct Seen {
    began: Instant,
    accepted: bool,
    first_field: Option<f64>,
    found_kind: Option<String>,
    confidence: BTreeMap<String, f64>,
}

/// Reads what `session` does not have yet.
pub(super) async fn read_all(
    client: &Client,
    asked: &[Asked],
    session: &mut Session,
    concurrency: usize,
    timeout: Duration,
) -> Result<(), Failure> {
    let held = session.run.held;
    let left: VecDeque<Asked> =
        asked.iter().filter(|asked| !session.has(&asked.document.image)).cloned().collect();
    let (count, began) = (left.len(), Instant::now());
    let bar = bar(asked.len(), asked.len() - count);
    let queue = Arc::new(Mutex::new(left));
    let (send, mut results) = mpsc::channel(concurrency);
    let mut readers = JoinSet::new();
    for _ in 0..concurrency.min(count) {
        let (queue, send, mut client) = (Arc::clone(&queue), send.clone(), client.clone());
        readers.spawn(async move {
            loop {
                let Some(asked) = queue.lock().await.pop_front() else { break };
                let record = read(&mut client, &asked, held, timeout).await;
                if send.send(record).await.is_err() {
                    break;
                }
            }
        });
    }
    drop(send);
    let mut failed = 0;
    while let Some(record) = results.recv().await {
        let record = record?;
        failed += usize::from(!record.is_ok());
        if failed > 0 {
            bar.set_message(format!("{failed} failed"));
        }
        session.add(record)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    session.run.concurrency = concurrency;
    session.took(began.elapsed().as_secs_f64(), count - failed);
    Ok(())
}

/// On stderr, if that is a terminal.
fn bar(all: usize, done: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:24} {pos}/{len} documents, {per_sec}, {eta} left  {msg}",
    );
    let bar = ProgressBar::new(all as u64).with_position(done as u64);
    // The template is a constant; a bar of another look would do as well.
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.reset_eta();
    bar
}

/// Reads one document; a server that is full or restarting is asked again.
async fn read(
    client: &mut Client,
    asked: &Asked,
    held: bool,
    timeout: Duration,
) -> Result<Record, Failure> {
    let content = files::read(&asked.document.path)?;
    let request = ExtractRequest {
        files: vec![InputFile { content: Bytes::from(content), ..InputFile::default() }],
        task: Some(asked.kind.task()),
        event_kinds: vec![EventKind::Fields.into()],
        // Unset where the server may decide: it holds answers wherever that can be.
        generation: (!held)
            .then(|| GenerationOptions { constrain: Some(false), ..GenerationOptions::default() }),
        ..ExtractRequest::default()
    };
    let (image, kind) = (asked.document.image.as_str(), asked.type_name);
    let started = Instant::now();
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        let mut seen = Seen::now();
        let status = match client.extract(&request, left, &mut seen).await {
            Ok(answer) => {
                let took = seen.began.elapsed().as_secs_f64();
                let mut record = Record::answered(image, kind, &answer, took);
                record.first_field = seen.first_field;
                record.found_kind = seen.found_kind;
                record.read_confidence = seen.confidence;
                return Ok(record);
            }
            Err(status) => status,
        };
        let refusal = Refusal::of(&status);
        // Nothing was begun: the same again may be taken. What broke off is a failure of its own.
        let again = matches!(refusal.code, "UNAVAILABLE" | "RESOURCE_EXHAUSTED")
            && !seen.accepted
            && (refusal.retry_after_ms.is_some() || refusal.reason.is_empty());
        let pause = refusal.retry_after_ms.map_or(PAUSE, Duration::from_millis);
        if again && started.elapsed() + pause < timeout {
            tokio::time::sleep(pause).await;
            continue;
        }
        let took = seen.began.elapsed().as_secs_f64();
        let code = format!("{} {}", refusal.code, refusal.reason).trim_end().to_owned();
        return Ok(Record::failed(image, kind, code, refusal.message, took));
    }
}

impl Seen {
    fn now() -> Self {
        Self {
            began: Instant::now(),
            accepted: false,
            first_field: None,
            found_kind: None,
            confidence: BTreeMap::new(),
        }
    }
}

impl Watcher for Seen {
    fn loading(&mut self, _message: &str) {
        // The wait for a model is no part of reading.
        self.began = Instant::now();
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Accepted(_) => self.accepted = true,
            Event::DocumentType(found) => {
                self.found_kind = Some(kind_name(found.document_type()).to_owned());
            }
            Event::FieldCompleted(field) => {
                let after = self.began.elapsed().as_secs_f64();
                self.first_field.get_or_insert(after);
                note_confidence(&mut self.confidence, field);
            }
            _ => {}
        }
    }
}
