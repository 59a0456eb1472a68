//! The project's source files, and what can be seen in their text without a compiler: code apart from comments,
//! strings and tests, imports, functions, statements.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file, with tests and comments taken out for those who ask about code.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// As many lines as `text`; comments, strings and `#[cfg(test)]` items are blank.
    pub(crate) code: String,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let code = without_tests(&without_comments(&text));
        let path = path.strip_prefix(root).unwrap().to_owned();
        Self { path, text, code }
    }

    /// The crate's top-level module that this file belongs to; none for `lib.rs` and `main.rs`.
    pub(crate) fn module(&self) -> Option<String> {
        let first = self.path.strip_prefix("src").ok()?.iter().next()?.to_str()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (name != "lib" && name != "main").then(|| name.to_owned())
    }

    /// A file that is a test module as a whole.
    pub(crate) fn is_test(&self) -> bool {
        self.path.iter().any(|part| part == "tests" || part == "tests.rs")
    }

    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `dir` whose name ends with `extension`, sorted.
pub(crate) fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

pub(crate) fn sources(dir: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root().join(dir), "rs", &mut paths);
    paths.iter().map(|path| Source::read(root(), path)).collect()
}

/// `text` with comments and the insides of strings blanked; line breaks stay.
fn without_comments(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = skip(bytes, at);
        if end > at {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The end of the comment, string or character that begins at `at`; `at` where none does.
fn skip(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let until = |pattern: &[u8], from: usize| {
        rest[from..]
            .windows(pattern.len())
            .position(|window| window == pattern)
            .map_or(bytes.len(), |found| at + from + found + pattern.len())
    };
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return until(b"\n", 0).saturating_sub(1).max(at + 2);
    }
    if rest.starts_with(b"/*") {
        return until(b"*/", 2);
    }
    let raw = rest.iter().skip(1).take_while(|byte| **byte == b'#').count();
    if rest[0] == b'r' && !in_word && rest.get(1 + raw) == Some(&b'"') {
        let mut closing = vec![b'"'];
        closing.resize(1 + raw, b'#');
        return until(&closing, 2 + raw);
    }
    if rest[0] == b'"' {
        let mut end = 1;
        while end < rest.len() && rest[end] != b'"' {
            end += if rest[end] == b'\\' { 2 } else { 1 };
        }
        return (at + end + 1).min(bytes.len());
    }
    // A character literal, and not a lifetime: `'{'`, `'\''`.
    if rest[0] == b'\'' && rest.get(1) == Some(&b'\\') {
        return until(b"'", 3);
    }
    if rest[0] == b'\'' && rest.get(2) == Some(&b'\'') {
        return at + 3;
    }
    at
}

/// `code`, without comments already, with items under `#[cfg(test)]` blanked.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    let mut from = 0;
    while let Some(found) = out[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = item_end(&out, start);
        let blank: String =
            out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(start..end, &blank);
        from = start + blank.len();
    }
    out
}

/// The end of the item that begins at `start`: its closing brace, or its semicolon.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (offset, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth <= 0 {
                    return start + offset + 1;
                }
            }
            ';' if depth == 0 => return start + offset + 1,
            _ => {}
        }
    }
    code.len()
}

/// Top-level modules that `code` names through `crate::`, each with its line.
pub(crate) fn edges(code: &str) -> Vec<(usize, String)> {
    let mut edges = Vec::new();
    for (index, _) in code.match_indices("crate::") {
        let in_word =
            code[..index].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if in_word {
            continue;
        }
        let line = code[..index].matches('\n').count() + 1;
        let rest = &code[index + "crate::".len()..];
        // `crate::{a, b::c}` names several.
        let group = rest.strip_prefix('{');
        let names = match group {
            Some(group) => top_level(group),
            None => vec![identifier(rest)],
        };
        edges.extend(names.into_iter().filter(|n| !n.is_empty()).map(|name| (line, name)));
    }
    edges
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first identifiers of a use group's members.
fn top_level(group: &str) -> Vec<String> {
    let mut names = vec![identifier(group)];
    let mut depth = 0;
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(identifier(&group[index + 1..])),
            _ => {}
        }
    }
    names
}

/// Name, first line and length of each function.
pub(crate) fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut functions = Vec::new();
    for (index, _) in code.match_indices("fn ") {
        let before = code[..index].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let name = identifier(&code[index + 3..]);
        let end = item_end(code, index);
        // A function pointer's type, or a trait's method without a body.
        if name.is_empty() || !code[index..end].ends_with('}') {
            continue;
        }
        let first = code[..index].matches('\n').count() + 1;
        functions.push((name, first, code[index..end].matches('\n').count() + 1));
    }
    functions
}

/// Pieces between semicolons and braces, with the line that each begins in.
pub(crate) fn statements(code: &str) -> Vec<(usize, &str)> {
    let mut line = 1;
    code.split_inclusive([';', '{', '}'])
        .map(|piece| {
            let first = line;
            line += piece.matches('\n').count();
            (first, piece)
        })
        .collect()
}

/// The checks are only as good as these.
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked() {
        let text = "a // crate::b\n\"crate::c \\\" d\" e /* f\n */ g 'h' '\\'' r#\"i\"# <'j>";
        let code = without_comments(text);
        assert_eq!(code.lines().count(), text.lines().count());
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "e", "g", "<'j>"]);
    }

    #[test]
    fn tests_are_blanked() {
        let code =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n#[cfg(test)]\nmod c;\nfn d() {}";
        let code = without_tests(code);
        let names: Vec<_> = functions(&code).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["a", "d"]);
        assert!(!code.contains("mod c"));
    }

    #[test]
    fn edges_are_found() {
        let code =
            "use crate::a::b;\nuse crate::{c, d::{e, f}, g::h};\nlet x = crate::i::J; my_crate::k";
        assert_eq!(
            edges(code),
            [(1, "a"), (2, "c"), (2, "d"), (2, "g"), (3, "i")].map(|(l, n)| (l, n.to_owned()))
        );
    }

    #[test]
    fn functions_are_measured() {
        let code = "fn a(\n x: u8,\n) {\n {\n }\n}\nlet f: fn (u8) = b;\nfn c();";
        assert_eq!(functions(code), [("a".to_owned(), 1, 6)]);
    }
}
