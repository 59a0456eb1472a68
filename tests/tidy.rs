//! Holds the structure of the code: floors, file headers, sizes, names and words. Everything that is
//! wrong is told at once, as `file:line: what`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of one file.
const FILE_LINES_MAX: usize = 600;

/// Lines of one function, its signature and closing brace included.
const FUNCTION_LINES_MAX: usize = 100;

/// Functions that may be longer, with the length that they must not pass: lower it when they shrink.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Names that say nothing about what a module owns.
const BANNED_MODULES: &[&str] = &["common", "helpers", "misc", "types", "util", "utils"];

/// Words that mean unfinished work. Cut in two, so that this file does not hold them itself.
const BANNED_WORDS: &[(&str, &str)] =
    &[("TO", "DO"), ("FIX", "ME"), ("unimplemented", "!("), ("todo", "!(")];

/// Modules of one floor that may know each other: floor 6 is one program's shell, the service speaks
/// the wire's types, and a schema keeps to the limits.
const SAME_FLOOR: &[(&str, &str)] = &[
    ("app", "config"),
    ("app", "cli"),
    ("cli", "app"),
    ("cli", "config"),
    ("config", "app"),
    ("config", "cli"),
    ("service", "pb"),
    ("schema", "limits"),
];

/// Who may know the wire's types: the service, and the command-line client.
const WIRE_USERS: &[&str] = &["service", "cli"];

/// A source file, with tests and comments taken out for those who ask about code.
struct Source {
    path: PathBuf,
    text: String,
    /// As many lines as `text`; comments, strings and `#[cfg(test)]` items are blank.
    code: String,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let code = without_tests(&without_comments(&text));
        let path = path.strip_prefix(root).unwrap().to_owned();
        Self { path, text, code }
    }

    /// The crate's top-level module that this file belongs to; none for `lib.rs` and `main.rs`.
    fn module(&self) -> Option<String> {
        let first = self.path.strip_prefix("src").ok()?.iter().next()?.to_str()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (name != "lib" && name != "main").then(|| name.to_owned())
    }

    /// A file that is a test module as a whole.
    fn is_test(&self) -> bool {
        self.path.iter().any(|part| part == "tests" || part == "tests.rs")
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files below `dir` whose name ends with `extension`, sorted.
fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
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

fn sources(dir: &str) -> Vec<Source> {
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

/// Floor of each module, from the table in `src/lib.rs`.
fn floors() -> BTreeMap<String, u32> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    for line in lib.lines() {
        let cells: Vec<&str> = line.trim_start_matches("//!").split('|').map(str::trim).collect();
        let [_, floor, modules, ..] = cells[..] else { continue };
        let Ok(floor) = floor.parse() else { continue };
        for module in modules.split(',') {
            let name = module.trim().trim_matches(['[', ']', '`']);
            floors.insert(name.to_owned(), floor);
        }
    }
    floors
}

/// Top-level modules that `code` names through `crate::`, each with its line.
fn edges(code: &str) -> Vec<(usize, String)> {
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
fn functions(code: &str) -> Vec<(String, usize, usize)> {
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

/// Fails with everything that was found.
fn report(rule: &str, problems: &[String]) {
    let mut text = format!("{rule}:\n");
    for problem in problems {
        writeln!(text, "  {problem}").unwrap();
    }
    assert!(problems.is_empty(), "{text}");
}

#[test]
fn every_module_has_a_floor() {
    let floors = floors();
    assert!(floors.len() > 10, "the table in src/lib.rs was not understood: {floors:?}");
    let lost: Vec<String> = sources("src")
        .iter()
        .filter_map(|source| Some((source, source.module()?)))
        .filter(|(_, module)| !floors.contains_key(module))
        .map(|(source, module)| format!("{}: {module} has no floor", source.at(1)))
        .collect();
    report("each top-level module stands in the table of src/lib.rs", &lost);
}

#[test]
fn arrows_point_down() {
    let floors = floors();
    let mut wrong = Vec::new();
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        let Some(module) = source.module() else { continue };
        let Some(floor) = floors.get(&module) else { continue };
        for (line, target) in edges(&source.code) {
            let Some(target_floor) = floors.get(&target) else { continue };
            let same = SAME_FLOOR.contains(&(module.as_str(), target.as_str()));
            if target == module || target_floor < floor || same {
                continue;
            }
            let at = source.at(line);
            wrong.push(format!(
                "{at}: {module} may not import {target} (floor {floor} to {target_floor})"
            ));
        }
    }
    report("a module knows only the floors below its own", &wrong);
}

#[test]
fn only_the_service_and_the_client_know_the_wire() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let module = source.module().unwrap_or_else(|| "pb".to_owned());
        if module == "pb" || WIRE_USERS.contains(&module.as_str()) {
            continue;
        }
        let lines = edges(&source.code).into_iter().filter(|(_, target)| target == "pb");
        wrong.extend(lines.map(|(line, _)| format!("{}: {module} knows pb", source.at(line))));
    }
    report("wire types stay in the service", &wrong);
}

#[test]
fn every_file_says_what_it_is() {
    let bare: Vec<String> = ["src", "tests"]
        .iter()
        .flat_map(|dir| sources(dir))
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.at(1))
        .collect();
    report("each file begins with a //! header", &bare);
}

#[test]
fn files_are_short() {
    let long: Vec<String> = ["src", "tests"]
        .iter()
        .flat_map(|dir| sources(dir))
        .map(|source| (source.text.lines().count(), source))
        .filter(|(lines, _)| *lines > FILE_LINES_MAX)
        .map(|(lines, source)| format!("{}: {lines} lines", source.at(1)))
        .collect();
    report(&format!("a file has at most {FILE_LINES_MAX} lines"), &long);
}

#[test]
fn functions_are_short() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let path = source.path.to_string_lossy().into_owned();
        for (name, line, length) in functions(&source.code) {
            let listed = LONG_FUNCTIONS.iter().find(|(p, n, _)| *p == path && *n == name);
            let most = listed.map_or(FUNCTION_LINES_MAX, |(_, _, most)| *most);
            if length > most {
                let at = source.at(line);
                wrong.push(format!("{at}: {name} has {length} lines, the most is {most}"));
            }
        }
    }
    report("functions are short", &wrong);
}

/// What the compiler does not check.
const UNSAFE: [&str; 4] = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"];

/// A new place is a decision, not a habit.
#[test]
fn unsafe_code_has_few_addresses() {
    let known = [
        "device/links/peer.rs",
        "device/open/cuda.rs",
        "model/cpu/kernel/avx2.rs",
        "model/cuda/attention.rs",
        "model/cuda/fp8.rs",
        "model/cuda/graph.rs",
        "model/cuda/hopper.rs",
        "model/cuda/transfer.rs",
        "model/cuda/launch.rs",
        "model/cuda/product.rs",
        "model/cuda/q8.rs",
        "model/cuda/rows.rs",
        "model/cuda/tokens.rs",
        "model/cuda/vision.rs",
        "preprocess/resize/kernel.rs",
        "telemetry/heap.rs",
        "weights/mmap.rs",
    ];
    let wrong: Vec<String> = sources("src")
        .iter()
        .filter(|source| !known.iter().any(|known| source.path.ends_with(known)))
        .flat_map(|source| {
            let code = source.code.lines().enumerate();
            code.filter(|(_, line)| UNSAFE.iter().any(|form| line.contains(form)))
                .map(|(number, _)| source.at(number + 1))
                .collect::<Vec<_>>()
        })
        .collect();
    report(&format!("unsafe code is in {} only", known.join(", ")), &wrong);
}

/// Right above it, in the lines of the same paragraph.
#[test]
fn unsafe_code_says_why_it_is_sound() {
    let mut found = 0;
    let mut wrong = Vec::new();
    for source in sources("src") {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in source.code.lines().enumerate() {
            if !UNSAFE[..2].iter().any(|form| line.contains(form)) {
                continue;
            }
            found += 1;
            let above = lines[..number].iter().rev().take_while(|line| !line.trim().is_empty());
            if !above.take(8).any(|line| line.contains("// SAFETY: ")) {
                wrong.push(source.at(number + 1));
            }
        }
    }
    assert!(found > 40, "{found} places were found");
    report("unsafe code has a comment `SAFETY:` that says why it is sound", &wrong);
}

#[test]
fn module_names_say_what_they_own() {
    let vague: Vec<String> = sources("src")
        .iter()
        .filter(|source| {
            source.path.iter().any(|part| {
                let name = part.to_string_lossy();
                BANNED_MODULES.contains(&name.trim_end_matches(".rs"))
            })
        })
        .map(|source| source.at(1))
        .collect();
    report(&format!("no module is called {}", BANNED_MODULES.join(", ")), &vague);
}

#[test]
fn nothing_is_left_to_do() {
    let mut paths = Vec::new();
    for (dir, extension) in [("src", "rs"), ("tests", "rs"), ("proto", "proto"), ("docs", "md")] {
        walk(&root().join(dir), extension, &mut paths);
    }
    paths.extend(["build.rs", "README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    let mut wrong = Vec::new();
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for (one, two) in BANNED_WORDS {
                let word = format!("{one}{two}");
                if line.contains(&word) {
                    let path = path.strip_prefix(root()).unwrap().display();
                    wrong.push(format!("{path}:{}: {word}", number + 1));
                }
            }
        }
    }
    report("unfinished work is an issue, not a comment", &wrong);
}

/// A look at a watched value locks it, and whoever wants to change it meanwhile lets nobody else in: a second look in
/// one statement, while the first still lasts, would wait for the change, and the change for the first.
#[test]
fn a_watched_value_is_looked_at_once_in_a_statement() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        for (line, statement) in statements(&source.code) {
            if statement.matches(".borrow()").count() > 1 {
                wrong.push(format!("{}: look once, and pass the value on", source.at(line)));
            }
        }
    }
    report("a watched value is locked while it is looked at", &wrong);
}

/// Pieces between semicolons and braces, with the line that each begins in.
fn statements(code: &str) -> Vec<(usize, &str)> {
    let mut line = 1;
    code.split_inclusive([';', '{', '}'])
        .map(|piece| {
            let first = line;
            line += piece.matches('\n').count();
            (first, piece)
        })
        .collect()
}

mod own_tools {
    //! The checks above are only as good as these.

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
