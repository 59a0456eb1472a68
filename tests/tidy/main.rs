//! Holds the structure of the code: floors, file headers, sizes, names and words. Everything that is
//! wrong is told at once, as `file:line: what`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod source;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use source::{edges, functions, root, sources, statements, walk};

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
        "model/cpu/kernel/amx.rs",
        "model/cpu/kernel/amx/multiply.rs",
        "model/cpu/kernel/avx2.rs",
        "model/cpu/kernel/avx512.rs",
        "model/cuda/argument.rs",
        "model/cuda/attention.rs",
        "model/cuda/fp8.rs",
        "model/cuda/graph.rs",
        "model/cuda/draw.rs",
        "model/cuda/hopper.rs",
        "model/cuda/hopper_attention.rs",
        "model/cuda/hopper_logits.rs",
        "model/cuda/hopper_swiglu.rs",
        "model/cuda/looks.rs",
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
