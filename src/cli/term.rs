//! The terminal, as far as it is one: width, colours, and one line that is drawn over and over.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::config::env::Env;

/// Where nobody says how wide the terminal is.
const COLUMNS_DEFAULT: usize = 80;
/// A status line more often than this is only flicker.
const REDRAW: Duration = Duration::from_millis(60);

/// What stdout and stderr can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    pub stdout: bool,
    pub stderr: bool,
    pub color: bool,
    pub columns: usize,
}

/// How a piece of text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Bold,
    Dim,
    Good,
    Bad,
}

impl Term {
    pub(super) fn detect(env: &dyn Env) -> Self {
        // https://no-color.org: any value but the empty one.
        let no_color = env.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env.get("TERM").is_some_and(|term| term == "dumb");
        let columns = terminal_size::terminal_size()
            .map_or(COLUMNS_DEFAULT, |(width, _)| usize::from(width.0));
        Self {
            stdout: io::stdout().is_terminal(),
            stderr: io::stderr().is_terminal() && !dumb,
            color: !no_color && !dumb,
            columns: columns.max(20),
        }
    }

    /// `text` in `style` for stdout.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        paint(self.color && self.stdout, style, text)
    }

    /// `text` in `style` for stderr.
    pub(super) fn paint_err(&self, style: Style, text: &str) -> String {
        paint(self.color && self.stderr, style, text)
    }
}

fn paint(on: bool, style: Style, text: &str) -> String {
    let code = match style {
        Style::Bold => "1",
        Style::Dim => "2",
        Style::Good => "32",
        Style::Bad => "31",
    };
    if on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// One line on stderr that each drawing replaces; nothing where stderr is no terminal.
#[derive(Debug)]
pub(super) struct StatusLine {
    on: bool,
    columns: usize,
    shown: bool,
    drawn: Option<Instant>,
}

impl StatusLine {
    pub(super) fn new(term: &Term) -> Self {
        Self { on: term.stderr, columns: term.columns, shown: false, drawn: None }
    }

    /// Shows `text`, cut to the width: a wrapped line could not be taken back.
    pub(super) fn draw(&mut self, text: &str) {
        if !self.on || self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            return;
        }
        let line = cut(&printable(text), self.columns - 1);
        // A status nobody can read is no reason to stop.
        let _ = write!(io::stderr(), "\r\x1b[2K{line}").and_then(|()| io::stderr().flush());
        self.shown = true;
        self.drawn = Some(Instant::now());
    }

    /// Takes the line away, so that something else can be printed.
    pub(super) fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[2K").and_then(|()| io::stderr().flush());
            self.shown = false;
            self.drawn = None;
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A line on stdout. Fails where the reader has gone: `tessera extract … | head`.
pub(super) fn print(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// A line on stderr; there is nowhere to report that it failed.
pub(super) fn print_err(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// `text` without control characters: what a document says must not steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The first `columns` columns of `text`.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut width = 0;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width + 1 > columns {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// `text` in lines of at most `columns` columns, broken at spaces where there are any.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        if !line.is_empty() && line.width() + word.trim_end().width() > columns {
            lines.push(line.trim_end().to_owned());
            line.clear();
        }
        line.push_str(word);
        while line.trim_end().width() > columns {
            let head: String = take(&line, columns);
            line.drain(..head.len());
            lines.push(head);
        }
    }
    if !line.trim_end().is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// As many characters as fit in `columns`; at least one.
fn take(text: &str, columns: usize) -> String {
    let mut width = 0;
    text.chars()
        .enumerate()
        .take_while(|(index, c)| {
            width += c.width().unwrap_or(0);
            *index == 0 || width <= columns
        })
        .map(|(_, c)| c)
        .collect()
}

/// `text` with spaces up to `columns` columns.
pub(super) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_within_the_columns() {
        for text in [
            "Tissues Large | Sugar Red | Yord Pro",
            "一二三四五六七八九十",
            "a",
            "",
            &"x".repeat(50),
        ] {
            for columns in [8, 9, 20] {
                let lines = wrap(text, columns);
                assert!(lines.iter().all(|line| line.width() <= columns), "{lines:?}");
                let joined: String = lines.concat().replace(' ', "");
                assert_eq!(joined, text.replace(' ', ""), "nothing is lost");
                assert!(cut(text, columns).width() <= columns);
            }
        }
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
    }

    #[test]
    fn documents_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc"), "a [31mb c");
    }

    #[test]
    fn columns_count_wide_characters_twice() {
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(pad("日本", 5), "日本 ");
        assert_eq!(cut("日本語", 5), "日本…");
    }
}
