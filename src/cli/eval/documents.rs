//! Pairs of page files and what is on them, and what a server is asked about each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Ask;
use crate::accuracy::{self, Truth};
use crate::cli::extract::Kind;
use crate::cli::failure::{Exit, Failure};
use crate::cli::files;
use crate::pb::v1::{DocumentType, ModelStatus};

/// A page file with its truth.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    /// Of the file, without its directory.
    pub image: String,
    pub path: PathBuf,
    pub truth: Truth,
}

/// A labelled set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Labelled {
    pub documents: Vec<Document>,
    /// Images without truth, and the other way round.
    pub warnings: Vec<String>,
}

/// A document, and what is asked about it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub document: Document,
    pub kind: Kind,
    /// The type's name; where the server is asked for it, as the truth has it.
    pub type_name: &'static str,
    /// What is scored: the fields that are both labelled and asked for, with their values.
    pub truth: Vec<(String, String)>,
}

/// The images that have a truth. Names are compared whole, then without ending: never in part, by which
/// `receipt_1` would be `receipt_10`.
pub(super) fn labelled(images: &[PathBuf], truth: &Path) -> Result<Labelled, Failure> {
    let truths = truths(truth)?;
    let mut by_name: BTreeMap<String, (Truth, bool)> = BTreeMap::new();
    for one in truths {
        let name = file_name(Path::new(&one.image));
        if by_name.insert(name.clone(), (one, false)).is_some() {
            return Err(Failure::new(Exit::Usage, format!("{name} has two truths"))
                .fact("file", truth.display().to_string())
                .remedy(
                    "one line for each image; images of one name in two directories are two runs",
                ));
        }
    }
    let mut documents = Vec::new();
    let mut without = Vec::new();
    for path in files::pages(images)? {
        let image = file_name(&path);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let key = if by_name.contains_key(&image) { &image } else { &stem };
        match by_name.get_mut(key) {
            Some((truth, used)) => {
                *used = true;
                documents.push(Document { image, path, truth: truth.clone() });
            }
            None => without.push(image),
        }
    }
    if documents.is_empty() {
        return Err(Failure::new(Exit::Usage, "no image has a truth")
            .fact("images", without.into_iter().take(3).collect::<Vec<_>>().join(", "))
            .fact("truth", by_name.into_keys().take(3).collect::<Vec<_>>().join(", "))
            .remedy("a truth whose first column names the files in --images"));
    }
    let unused: Vec<&str> =
        by_name.iter().filter(|(_, (_, used))| !used).map(|(name, _)| name.as_str()).collect();
    let mut warnings = Vec::new();
    for (what, names) in [
        ("images have no truth and are left out", without.iter().map(String::as_str).collect()),
        ("truths have no image and are left out", unused),
    ] {
        let names: Vec<&str> = names;
        if let Some(first) = names.first() {
            warnings.push(format!("{} {what}: {first}{}", names.len(), more(names.len())));
        }
    }
    Ok(Labelled { documents, warnings })
}

fn more(count: usize) -> &'static str {
    if count > 1 { ", …" } else { "" }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn truths(path: &Path) -> Result<Vec<Truth>, Failure> {
    let unreadable = |path: &Path, error: &dyn std::error::Error| {
        Failure::new(Exit::Usage, format!("cannot use the truth {}", path.display()))
            .because(error)
            .remedy("a CSV file, a JSONL file, or a directory of JSON files; --help says what is in them")
    };
    if path.is_dir() {
        let mut truths = Vec::new();
        let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
        for entry in entries {
            let file = entry.map_err(|error| unreadable(path, &error))?.path();
            if file.extension().is_some_and(|ending| ending == "json") {
                let text = read(&file)?;
                let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                let truth = accuracy::from_json(&stem, &text);
                truths.push(truth.map_err(|error| unreadable(&file, &error))?);
            }
        }
        return Ok(truths);
    }
    let text = read(path)?;
    let is_jsonl = path.extension().is_some_and(|ending| ending == "jsonl" || ending == "json");
    let truths = if is_jsonl { accuracy::from_jsonl(&text) } else { accuracy::from_csv(&text) };
    truths.map_err(|error| unreadable(path, &error))
}

fn read(path: &Path) -> Result<String, Failure> {
    let bytes = files::read(path).map_err(|failure| {
        failure.remedy(
            "the path of a truth.csv or truth.jsonl, or of a directory with a .json for each page",
        )
    })?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(Exit::Usage, format!("{} is no UTF-8 text", path.display()))
            .remedy("the truth saved as UTF-8")
    })
}

impl Document {
    /// What to ask about the document, and what the answer is compared with.
    pub(super) fn asked_as(self, ask: Ask, model: &ModelStatus) -> Result<Asked, Failure> {
        let kind = match ask {
            Ask::Receipt => Kind::Receipt,
            Ask::Invoice => Kind::Invoice,
            Ask::BankStatement => Kind::BankStatement,
            Ask::Truth => kind_of(&self)?,
            Ask::Auto => Kind::Auto,
        };
        // What the page has is scored, whatever the server takes it for.
        let scored = if kind == Kind::Auto { kind_of(&self)? } else { kind };
        let schemas = model.capabilities.iter().flat_map(|all| &all.built_in_schemas);
        let asked: Vec<&str> = schemas
            .filter(|schema| schema.document_type() == scored.document_type())
            .flat_map(|schema| schema.fields.iter().map(String::as_str))
            .collect();
        let truth = truth_of(&self.truth.fields, &asked);
        if truth.is_empty() {
            return Err(Failure::new(Exit::Usage, format!("{} has no field to score", self.image))
                .fact("labelled", names(self.truth.fields.iter().map(|field| field.0.as_str())))
                .fact("asked for", names(asked.into_iter()))
                .remedy("a truth with names of fields that the server has, or another --type"));
        }
        let type_name = kind_name(scored.document_type());
        Ok(Asked { document: self, kind, type_name, truth })
    }
}

/// The labelled fields that are asked for. The descriptions of a statement go by another name in older
/// truths.
fn truth_of(labelled: &[(String, String)], asked: &[&str]) -> Vec<(String, String)> {
    let renamed = |name: &str| -> Option<String> {
        if asked.contains(&name) {
            return Some(name.to_owned());
        }
        let statement = "TRANSACTION_DESCRIPTIONS";
        (name == "LINE_ITEM_DESCRIPTIONS" && asked.contains(&statement))
            .then(|| statement.to_owned())
    };
    let mut truth: Vec<(String, String)> = Vec::new();
    for (name, value) in labelled {
        let Some(name) = renamed(name) else { continue };
        if truth.iter().all(|(known, _)| *known != name) {
            truth.push((name, value.clone()));
        }
    }
    truth
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn kind_of(document: &Document) -> Result<Kind, Failure> {
    let said = document.truth.kind.as_deref();
    match said {
        Some("receipt") => Ok(Kind::Receipt),
        Some("invoice" | "tax_invoice" | "bill") => Ok(Kind::Invoice),
        Some("bank_statement" | "statement") => Ok(Kind::BankStatement),
        _ => Err(Failure::new(
            Exit::Usage,
            format!("{}: the truth does not say what document it is", document.image),
        )
        .fact("DOCUMENT_TYPE", said.unwrap_or("missing"))
        .remedy("a DOCUMENT_TYPE of receipt, invoice or bank_statement, or one --type for all")),
    }
}

/// The name of a type, as the truth has it.
pub(super) fn kind_name(kind: DocumentType) -> &'static str {
    match kind {
        DocumentType::Invoice => "invoice",
        DocumentType::BankStatement => "bank_statement",
        _ => "receipt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(images: &[&str], truth: &str) -> (tempfile::TempDir, Result<Labelled, Failure>) {
        let dir = tempfile::tempdir().unwrap();
        for image in images {
            std::fs::write(dir.path().join(image), b"").unwrap();
        }
        let file = dir.path().join("truth.csv");
        std::fs::write(&file, truth).unwrap();
        let labelled = labelled(&[dir.path().to_owned()], &file);
        (dir, labelled)
    }

    #[test]
    fn names_are_compared_whole() {
        let (_dir, found) = set(
            &["r_1.png", "r_10.png", "r_2.jpg"],
            "image_file,A\nr_10.png,x\nr_2,y\nr_3.png,z\n",
        );
        let found = found.unwrap();
        let pairs: Vec<(&str, &str)> = found
            .documents
            .iter()
            .map(|document| (document.image.as_str(), document.truth.fields[0].1.as_str()))
            .collect();
        assert_eq!(pairs, [("r_10.png", "x"), ("r_2.jpg", "y")]);
        assert_eq!(
            found.warnings,
            [
                "1 images have no truth and are left out: r_1.png",
                "1 truths have no image and are left out: r_3.png"
            ]
        );
    }

    #[test]
    fn sets_that_do_not_fit_are_refused() {
        let (_dir, found) = set(&["a.png"], "image_file,A\nb.png,x\n");
        assert_eq!(found.unwrap_err().what, "no image has a truth");
        let (_dir, found) = set(&["a.png"], "image_file,A\na.png,x\nq/a.png,y\n");
        assert_eq!(found.unwrap_err().what, "a.png has two truths");
    }

    #[test]
    fn older_truths_fit() {
        let labelled =
            [("LINE_ITEM_DESCRIPTIONS", "a"), ("PAYER_NAME", "b"), ("ACCOUNT_BALANCE", "c")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let truth = truth_of(&labelled, &["TRANSACTION_DESCRIPTIONS", "ACCOUNT_BALANCE"]);
        let names: Vec<&str> = truth.iter().map(|field| field.0.as_str()).collect();
        assert_eq!(names, ["TRANSACTION_DESCRIPTIONS", "ACCOUNT_BALANCE"]);
    }
}
