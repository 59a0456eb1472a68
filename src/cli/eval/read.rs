//! Reads the documents that are left, several at once, and draws how far it is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::documents::{Asked, kind_name};
use super::record::{Asking, Record, Session, note_confidence};
use crate::cli::client::{Client, Watcher};
use crate::cli::extract::Answers;
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
    let how = session.run.asking;
    let left: VecDeque<Asked> = asked.iter().filter(|asked| !session.has(asked)).cloned().collect();
    let (count, began) = (left.len(), Instant::now());
    let bar = bar(count, asked.len() - count);
    let queue = Arc::new(Mutex::new(left));
    let (send, mut results) = mpsc::channel(concurrency);
    let mut readers = JoinSet::new();
    for _ in 0..concurrency.min(count) {
        let (queue, send, mut client) = (Arc::clone(&queue), send.clone(), client.clone());
        readers.spawn(async move {
            loop {
                let Some(asked) = queue.lock().await.pop_front() else { break };
                let record = read(&mut client, &asked, how, timeout).await;
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

/// Of the documents that are left, on stderr, if that is a terminal. Those that were `read` before are no sign of
/// speed: they are named beside it.
fn bar(left: usize, read: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:24} {pos}/{len} documents{prefix}, {per_sec}, {eta} left  {msg}",
    );
    let bar = ProgressBar::new(left as u64);
    if read > 0 {
        bar.set_prefix(format!(" ({read} were read before)"));
    }
    // The template is a constant; a bar of another look would do as well.
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// Reads one document; a server that is full or restarting is asked again.
async fn read(
    client: &mut Client,
    asked: &Asked,
    how: Asking,
    timeout: Duration,
) -> Result<Record, Failure> {
    let content = files::read(&asked.document.path)?;
    let answers = if how.in_lines { Answers::KeyValue } else { Answers::Json };
    let request = ExtractRequest {
        files: vec![InputFile { content: Bytes::from(content), ..InputFile::default() }],
        task: Some(asked.kind.task(answers)),
        event_kinds: vec![EventKind::Fields.into()],
        // Unset where the server may decide: it holds answers wherever that can be.
        generation: (!how.held)
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::bar;

    /// A terminal that keeps what was written on it.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            100
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(&format!("{line}\n"))
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_bar_says_how_far_it_is_and_how_long_it_takes() {
        let screen = Screen::default();
        let bar = bar(300, 200);
        bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            bar.inc(1);
        }
        bar.set_message("3 failed");
        bar.force_draw();
        let drawn = screen.0.lock().unwrap().clone();
        assert!(drawn.contains("20/300 documents (200 were read before), "), "{drawn}");
        assert!(drawn.contains("/s, ") && drawn.contains("s left  3 failed"), "{drawn}");
        // 280 are left, at 5 ms each or more.
        assert!(bar.eta() >= std::time::Duration::from_millis(900), "{:?}", bar.eta());
    }
}
