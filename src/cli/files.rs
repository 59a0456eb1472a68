//! Page files on disk: what a path names, a file or a directory of them.

use std::path::{Path, PathBuf};

use super::failure::{Exit, Failure};

/// Endings of files that hold pages.
const ENDINGS: &[&str] = &["jpeg", "jpg", "pdf", "png", "tif", "tiff", "webp"];

/// The page files that `paths` name: files as they are, of directories those that look like pages, in
/// order of name.
pub(super) fn pages(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let about = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !about.is_dir() {
            found.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
        let mut inside = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(path, &error))?.path();
            if is_page(&entry) {
                inside.push(entry);
            }
        }
        inside.sort();
        found.append(&mut inside);
    }
    if found.is_empty() {
        return Err(Failure::new(Exit::Usage, "there are no page files to read")
            .fact("looked in", names(paths))
            .remedy(format!("a directory with files that end in {}", ENDINGS.join(", "))));
    }
    Ok(found)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| unreadable(path, &error))
}

/// Whether the name of `path` is that of a page file.
pub(super) fn is_page(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("cannot read {}", path.display()))
        .because(error)
        .remedy("the path of a page file, or of a directory of them")
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
