//! What deploy/ says of this program is true: options exist, images hold what the build reads, and what
//! cargo can check of the release is checked. Charts and manifests have `make deploy-check`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tessera::config::options;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// Words of `text` that begin with `start`, as far as `belongs` says.
fn words(text: &str, start: &str, belongs: impl Fn(char) -> bool) -> BTreeSet<String> {
    text.match_indices(start)
        .map(|(at, _)| text[at..].chars().take_while(|c| belongs(*c)).collect())
        .collect()
}

#[test]
fn variables_in_manifests_are_options() {
    let mut paths = Vec::new();
    files(&root().join("deploy"), &mut paths);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in paths {
        let belongs = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        for name in words(&text(&path), "TESSERA_", belongs) {
            // What stands for all of them.
            if name == "TESSERA_" {
                continue;
            }
            seen += 1;
            let known = options::ALL.iter().any(|spec| options::env_name(spec.name) == name);
            if !known && name != "TESSERA_CONFIG" {
                wrong.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(seen > 10, "no variables were found");
    assert!(wrong.is_empty(), "no options: {wrong:#?}");
}

#[test]
fn options_of_the_unit_can_be_read() {
    let file = text(&root().join("deploy/systemd/tessera.toml"));
    let names: Vec<&str> = file
        .lines()
        .filter_map(|line| line.trim_start_matches("# ").split_once(" = ").map(|(name, _)| name))
        .collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(options::Key::from_name(name).is_some(), "{name}");
    }
}

#[test]
fn images_hold_what_the_build_reads() {
    let mut sources = Vec::new();
    files(&root().join("src"), &mut sources);
    sources.push(root().join("build.rs"));
    let mut needed =
        BTreeSet::from(["Cargo.toml", "Cargo.lock", "build.rs", "src", "proto"].map(PathBuf::from));
    // Cargo reads no manifest whose targets are missing, whatever is to be built of it.
    let manifest = text(&root().join("Cargo.toml"));
    let benches = manifest.split("[[bench]]\nname = \"").skip(1);
    needed.extend(benches.map(|rest| {
        let name: String = rest.chars().take_while(|c| *c != '"').collect();
        PathBuf::from(format!("benches/{name}.rs"))
    }));
    assert!(needed.iter().any(|path| path.starts_with("benches")), "{needed:?}");
    for path in sources.iter().filter(|path| path.extension().is_some_and(|e| e == "rs")) {
        if path.iter().any(|part| part == "tests") {
            continue;
        }
        let text = text(path);
        let from_root = "env!(\"CARGO_MANIFEST_DIR\"),";
        for (at, _) in text.match_indices(from_root) {
            let rest = text[at + from_root.len()..].trim_start().trim_start_matches(['"', '/']);
            needed.insert(rest.chars().take_while(|c| *c != '"').collect::<String>().into());
        }
        for name in ["include_bytes!(\"", "include_str!(\""] {
            for (at, _) in text.match_indices(name) {
                let inside: String =
                    text[at + name.len()..].chars().take_while(|c| *c != '"').collect();
                let file = path.parent().unwrap().join(inside);
                if let Ok(file) = file.canonicalize() {
                    needed.insert(
                        file.strip_prefix(root().canonicalize().unwrap()).unwrap().to_owned(),
                    );
                }
            }
        }
    }
    let finds = |part: &str| needed.iter().any(|path| path.to_string_lossy().contains(part));
    assert!(finds("models/tessera-tiny") && finds("playground"), "{needed:?}");
    for image in ["Containerfile", "Containerfile.cuda"] {
        let text = text(&root().join("deploy").join(image));
        let copied: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("COPY "))
            .filter(|line| !line.starts_with("--from"))
            .flat_map(str::split_whitespace)
            .collect();
        for path in &needed {
            let there = copied.iter().any(|copied| path.starts_with(copied));
            assert!(there, "deploy/{image} does not copy {}", path.display());
        }
        for copied in
            copied.iter().filter(|copied| !copied.starts_with('.') && !copied.starts_with('/'))
        {
            assert!(
                root().join(copied).exists(),
                "deploy/{image} copies {copied}, which is not there"
            );
        }
    }
}

#[test]
fn versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = text(&root().join("deploy/helm/tessera/Chart.yaml"));
    assert!(chart.contains(&format!("\nappVersion: {version}\n")), "{chart}");
    let rust = env!("CARGO_PKG_RUST_VERSION");
    for doc in ["README.md", "docs/operations.md"] {
        assert!(
            text(&root().join(doc)).contains(&format!("Rust {rust}")),
            "{doc} names the oldest Rust"
        );
    }
    let minor = |version: &str| -> u32 { version.split('.').nth(1).unwrap().parse().unwrap() };
    for image in ["Containerfile", "Containerfile.cuda"] {
        let text = text(&root().join("deploy").join(image));
        let version = text.lines().find_map(|line| line.strip_prefix("ARG RUST=")).unwrap();
        assert!(minor(version) >= minor(rust), "deploy/{image} builds with Rust {version}");
    }
}
