//! One document on a terminal: what is happening now on a line that changes, each field as soon as it
//! is whole, and at the end where the time went.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Instant;

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr as _;

use super::client::{Answer, Watcher};
use super::term::{StatusLine, Style, Term, cut, pad, print, printable, wrap};
use crate::pb::v1::extract_response::Event;
use crate::pb::v1::{Completed, ExtractedField, FieldDelta, Phase, Progress, Timings};

/// Widest column of names; longer ones push their value to the right.
const NAME_COLUMNS_MAX: usize = 28;
const BAR_COLUMNS: usize = 20;

/// How to show a document.
#[derive(Debug, Clone, Default)]
pub(super) struct Show {
    /// Fields and text on stdout; else only the status line on stderr.
    pub answer: bool,
    /// The answer is free text.
    pub free_text: bool,
    /// Names that will come, for the width of their column.
    pub names: Vec<String>,
    /// What the fields should be; each is marked.
    pub truth: Option<Map<String, Value>>,
}

/// Shows one document while it is read.
#[derive(Debug)]
pub(super) struct View {
    term: Term,
    show: Show,
    status: StatusLine,
    /// The field being written: its name, and its text so far.
    open: Option<(String, String)>,
    name_columns: usize,
    tiles: u32,
    input_tokens: u32,
    output_tokens: u32,
    first_token: Option<Instant>,
    /// Free text ended without a newline.
    line_open: bool,
    failed_output: Option<io::Error>,
}

impl View {
    pub(super) fn new(term: &Term, show: Show) -> Self {
        let longest = show.names.iter().map(|name| name.width()).max().unwrap_or(NAME_COLUMNS_MAX);
        Self {
            term: *term,
            status: StatusLine::new(term),
            open: None,
            name_columns: longest.min(NAME_COLUMNS_MAX),
            show,
            tiles: 0,
            input_tokens: 0,
            output_tokens: 0,
            first_token: None,
            line_open: false,
            failed_output: None,
        }
    }

    /// Ends the drawing: what follows is printed below. Fails where stdout failed.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.status.clear();
        if std::mem::take(&mut self.line_open) {
            self.out("");
        }
        self.failed_output.take().map_or(Ok(()), Err)
    }

    fn out(&mut self, line: &str) {
        self.status.clear();
        if let Err(error) = print(line) {
            self.failed_output.get_or_insert(error);
        }
    }

    fn progress(&mut self, progress: &Progress) {
        self.output_tokens = self.output_tokens.max(progress.output_tokens);
        let text = match progress.phase() {
            Phase::Queued => match progress.queue_position {
                Some(ahead) if ahead > 0 => format!("waiting, {ahead} ahead"),
                _ => "waiting".to_owned(),
            },
            Phase::Vision => {
                counted("looking at the pages", progress.encoded_tiles, self.tiles, "tiles")
            }
            Phase::Prefill => {
                // An older server says how many there are only once.
                let all = Some(progress.input_tokens).filter(|tokens| *tokens > 0);
                let all = all.unwrap_or(self.input_tokens);
                counted("taking it in", progress.prefilled_tokens, all, "tokens")
            }
            Phase::Decode => self.writing(),
            Phase::Unspecified => return,
        };
        self.status.draw(&text);
    }

    fn writing(&self) -> String {
        let mut text = format!("writing {} tokens", self.output_tokens);
        let seconds = self.first_token.map_or(0.0, |first| first.elapsed().as_secs_f64());
        if self.output_tokens > 1 && seconds > 0.0 {
            let _ = write!(text, ", {:.0}/s", f64::from(self.output_tokens - 1) / seconds);
        }
        if let Some((name, value)) = &self.open {
            let rest = printable(&format!("{name}: {value}"));
            let _ = write!(text, "  {}", cut(&rest, self.term.columns / 2));
        }
        text
    }

    fn text(&mut self, text: &str, tokens: u32) {
        self.first_token.get_or_insert_with(Instant::now);
        self.output_tokens += tokens;
        if self.show.answer && self.show.free_text {
            self.status.clear();
            let safe: String =
                text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
            let mut stdout = io::stdout().lock();
            if let Err(error) = write!(stdout, "{safe}").and_then(|()| stdout.flush()) {
                self.failed_output.get_or_insert(error);
            }
            self.line_open = !safe.ends_with('\n');
            return;
        }
        let writing = self.writing();
        self.status.draw(&writing);
    }

    fn delta(&mut self, delta: &FieldDelta) {
        match &mut self.open {
            Some((name, text)) if *name == name_of(&delta.pointer) => text.push_str(&delta.text),
            open => *open = Some((name_of(&delta.pointer).to_owned(), delta.text.clone())),
        }
        let writing = self.writing();
        self.status.draw(&writing);
    }

    fn completed(&mut self, field: &ExtractedField) {
        self.open = None;
        if self.show.answer {
            // What a server calls JSON text is; a value of any other kind would be no answer.
            let value = serde_json::from_str(&field.raw).unwrap_or_default();
            self.row(name_of(&field.pointer), &value, field.confidence);
        }
    }

    /// One field: whether it is right, its name, how sure the model was, and its value over as many
    /// lines as it needs.
    fn row(&mut self, name: &str, value: &Value, confidence: Option<f32>) {
        let mark = match self.show.truth.as_ref().map(|truth| truth.get(name) == Some(value)) {
            Some(true) => format!("{} ", self.term.paint(Style::Good, "✓")),
            Some(false) => format!("{} ", self.term.paint(Style::Bad, "✗")),
            None => String::new(),
        };
        let mark_columns = if mark.is_empty() { 0 } else { 2 };
        let name = pad(&printable(name), self.name_columns);
        let sure = confidence.map_or_else(String::new, percent);
        let indent = 2 + mark_columns + name.width() + 2 + sure.width();
        let sure = self.term.paint(Style::Dim, &sure);
        let value = printable(&shown(value));
        let style = if value == "NOT_FOUND" { Style::Dim } else { Style::Bold };
        let room = self.term.columns.saturating_sub(indent + 1);
        for (index, line) in wrap(&value, room).into_iter().enumerate() {
            let line = self.term.paint(style, &line);
            if index == 0 {
                self.out(&format!("  {mark}{name}  {sure}{line}"));
            } else {
                self.out(&format!("{}{line}", " ".repeat(indent)));
            }
        }
    }
}

impl Watcher for View {
    fn loading(&mut self, message: &str) {
        self.status.draw(message);
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Accepted(accepted) => {
                self.tiles = accepted.tiles_per_page.iter().sum();
                self.input_tokens = accepted.input_tokens;
            }
            Event::Progress(progress) => self.progress(progress),
            Event::TokenDelta(delta) => self.text(&delta.text, delta.token_count),
            Event::FieldDelta(delta) => self.delta(delta),
            Event::FieldCompleted(field) => self.completed(field),
            // The fields say it too, first of all.
            Event::DocumentType(_) => {}
            Event::Completed(_) => self.status.clear(),
        }
    }
}

/// A field's name: its pointer without the first slash, `TOTAL_AMOUNT` or `ITEMS/0/PRICE`.
fn name_of(pointer: &str) -> &str {
    pointer.strip_prefix('/').unwrap_or(pointer)
}

/// A value as people read it: text without quotes.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A confidence as a column. Rounded down: only what is certain is 100 %.
fn percent(confidence: f32) -> String {
    format!("{:>3.0}%  ", (confidence * 100.0).floor())
}

fn counted(what: &str, done: u32, all: u32, unit: &str) -> String {
    let filled = BAR_COLUMNS * done.min(all) as usize / all.max(1) as usize;
    let bar = format!("{}{}", "█".repeat(filled), "░".repeat(BAR_COLUMNS - filled));
    format!("{what} {bar} {done}/{all} {unit}")
}

/// Sizes and times of an answer, in two lines.
pub(super) fn summary(answer: &Answer) -> [String; 2] {
    let usage = answer.completed.usage.unwrap_or_default();
    let pages = answer.accepted.tiles_per_page.len();
    let tiles: u32 = answer.accepted.tiles_per_page.iter().sum();
    let sizes = format!(
        "{pages} {}, {tiles} {}, {} input tokens, {} output tokens",
        if pages == 1 { "page" } else { "pages" },
        if tiles == 1 { "tile" } else { "tiles" },
        usage.input_tokens,
        usage.output_tokens,
    );
    let times = seconds(&answer.completed.timings.unwrap_or_default());
    let mut text = format!("first token {:.2} s", times.first_token);
    if let Some(rate) = tokens_per_second(answer) {
        let _ = write!(text, ", then {rate:.1} tokens/s");
    }
    let _ = write!(
        text,
        ", total {:.2} s (queue {:.2}, pages {:.2}, vision {:.2}, prefill {:.2}, answer {:.2})",
        times.total, times.queue, times.preprocess, times.vision, times.prefill, times.decode
    );
    [sizes, text]
}

/// What values of the document do not agree, as the server found.
pub(super) fn disagreements(completed: &Completed) -> impl Iterator<Item = &str> {
    completed.checks.iter().filter(|check| !check.passed).map(|check| check.message.as_str())
}

/// Output tokens after the first, by the time they took.
pub(super) fn tokens_per_second(answer: &Answer) -> Option<f64> {
    let tokens = answer.completed.usage.unwrap_or_default().output_tokens;
    let decode = seconds(&answer.completed.timings.unwrap_or_default()).decode;
    (tokens > 1 && decode > 0.0).then(|| f64::from(tokens - 1) / decode)
}

/// Timings in seconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Seconds {
    pub queue: f64,
    pub preprocess: f64,
    pub vision: f64,
    pub prefill: f64,
    pub decode: f64,
    pub first_token: f64,
    pub total: f64,
}

pub(super) fn seconds(timings: &Timings) -> Seconds {
    let seconds = |duration: &Option<prost_types::Duration>| {
        duration.map_or(0.0, |d| d.seconds as f64 + f64::from(d.nanos) / 1e9)
    };
    Seconds {
        queue: seconds(&timings.queue),
        preprocess: seconds(&timings.preprocess),
        vision: seconds(&timings.vision),
        prefill: seconds(&timings.prefill),
        decode: seconds(&timings.decode),
        first_token: seconds(&timings.time_to_first_token),
        total: seconds(&timings.total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certainty_is_a_hundred() {
        assert_eq!([1.0, 0.9999, 0.05].map(percent), ["100%  ", " 99%  ", "  5%  "]);
    }

    #[test]
    fn bars_fill_up() {
        assert_eq!(counted("x", 0, 4, "tiles"), "x ░░░░░░░░░░░░░░░░░░░░ 0/4 tiles");
        assert_eq!(counted("x", 4, 4, "tiles"), "x ████████████████████ 4/4 tiles");
        assert_eq!(counted("x", 0, 0, "tiles").matches('░').count(), BAR_COLUMNS);
    }
}
