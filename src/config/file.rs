//! The options as a TOML file: flat keys, each value with its line and column.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::low::Given;
use super::options::Key;
use super::problem::{Problem, Source, did_you_mean};

/// The values of a file, and everything that is wrong with it. Goes on after a mistake.
pub(super) fn parse(path: &Path, text: &str) -> (Vec<(Key, Given)>, Vec<Problem>) {
    let at = |offset: usize, key: Option<Key>| {
        let (line, column) = position(text, offset);
        Source::File { path: path.to_owned(), line, column, key }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<(usize, Problem)> = Vec::new();
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        let problem = Problem {
            source: at(offset, None),
            found: None,
            reason: format!("not TOML: {}", error.message()),
            remedy: "write one option a line: listen = \"127.0.0.1:50051\"".to_owned(),
        };
        problems.push((offset, problem));
    }
    let mut values = Vec::new();
    for (name, value) in table.get_ref() {
        let offset = name.span().start;
        match read(name.get_ref(), value.get_ref(), &text[clamp(value.span(), text)]) {
            Ok((key, text)) => values.push((key, Given { text, source: at(offset, Some(key)) })),
            // What recovery made of a line that is no TOML is already reported.
            Err(_) if problems.iter().any(|(other, _)| same_line(text, *other, offset)) => {}
            Err((reason, remedy)) => {
                let found = Some(name.get_ref().to_string());
                problems
                    .push((offset, Problem { source: at(offset, None), found, reason, remedy }));
            }
        }
    }
    problems.sort_by_key(|(offset, _)| *offset);
    (values, problems.into_iter().map(|(_, problem)| problem).collect())
}

/// The option and its value as it would be typed, or the reason and the remedy.
fn read(name: &str, value: &DeValue<'_>, raw: &str) -> Result<(Key, String), (String, String)> {
    if let DeValue::Table(_) = value {
        let remedy = "write all options at the top of the file, outside [tables]";
        return Err(("is a table; there are none".to_owned(), remedy.to_owned()));
    }
    let Some(key) = Key::from_name(name) else {
        return Err(("is no option".to_owned(), did_you_mean(name)));
    };
    match value {
        DeValue::String(text) => Ok((key, text.to_string())),
        DeValue::Integer(_) | DeValue::Float(_) => Ok((key, raw.replace('_', ""))),
        DeValue::Boolean(value) => Ok((key, value.to_string())),
        other => {
            let reason = format!("is a TOML {}", other.type_str());
            Err((reason, "write one value: a string, a number, true or false".to_owned()))
        }
    }
}

fn clamp(span: Range<usize>, text: &str) -> Range<usize> {
    span.start.min(text.len())..span.end.min(text.len())
}

fn same_line(text: &str, a: usize, b: usize) -> bool {
    position(text, a).0 == position(text, b).0
}

/// Line and column of a byte offset, from 1; columns count characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
