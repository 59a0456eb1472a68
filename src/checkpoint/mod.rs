//! A model's files, wherever they are: a directory, or the checkpoint embedded in the binary.
//!
//! This floor knows names and bytes. What the files mean is read by `prompt` (tokenizer, template),
//! `weights` (safetensors) and `model` (configuration).

mod embedded;

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Name that means the embedded checkpoint wherever a model directory is asked for.
pub const EMBEDDED_NAME: &str = "tessera-tiny";

/// Where one model's files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// The checkpoint that ships inside the binary (`models/tessera-tiny`).
    Embedded,
    /// A directory as published on a hub: `config.json`, `*.safetensors`, tokenizer files.
    Dir(PathBuf),
}

/// What can be wrong with a model's files, before their contents are understood.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("no model directory at {}: pass --model DIR with config.json and *.safetensors in it, or leave it out for the embedded {EMBEDDED_NAME}", .0.display())]
    NoSuchDir(PathBuf),
    #[error("{} is a file: pass the directory that holds it", .0.display())]
    NotADir(PathBuf),
    #[error("{checkpoint} has no {name}, which a model directory needs")]
    Missing { checkpoint: Checkpoint, name: String },
    #[error("cannot read {name} of {checkpoint}: {source}")]
    Read { checkpoint: Checkpoint, name: String, source: std::io::Error },
    #[error("{name} of {checkpoint} is not valid JSON for its purpose: {source}")]
    Json { checkpoint: Checkpoint, name: String, source: serde_json::Error },
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => write!(f, "the embedded {EMBEDDED_NAME}"),
            Self::Dir(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Checkpoint {
    /// The checkpoint at `path`; `tessera-tiny` is the embedded one unless such a directory exists.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        if path.is_dir() {
            Ok(Self::Dir(path.to_owned()))
        } else if path == Path::new(EMBEDDED_NAME) {
            Ok(Self::Embedded)
        } else if path.exists() {
            Err(CheckpointError::NotADir(path.to_owned()))
        } else {
            Err(CheckpointError::NoSuchDir(path.to_owned()))
        }
    }

    /// The directory that the path leads to now: links in it may be turned to another one later.
    pub fn resolved(&self) -> Result<Self, CheckpointError> {
        let Self::Dir(path) = self else { return Ok(self.clone()) };
        path.canonicalize().map(Self::Dir).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => CheckpointError::NoSuchDir(path.clone()),
            _ => CheckpointError::Read { checkpoint: self.clone(), name: String::new(), source },
        })
    }

    /// The name to show and to accept in requests: the directory's last component.
    pub fn name(&self) -> String {
        match self {
            Self::Embedded => EMBEDDED_NAME.to_owned(),
            Self::Dir(path) => path
                .canonicalize()
                .ok()
                .as_deref()
                .unwrap_or(path)
                .file_name()
                .map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned()),
        }
    }

    /// The path of `name` on disk; none for the embedded checkpoint.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Embedded => None,
            Self::Dir(dir) => Some(dir.join(name)),
        }
    }

    /// The bytes of `name`, or none where there is no such file. For small files: weights are mapped
    /// by `weights`.
    pub fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>, CheckpointError> {
        match self {
            Self::Embedded => Ok(embedded::file(name).map(Cow::Borrowed)),
            Self::Dir(dir) => match std::fs::read(dir.join(name)) {
                Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(CheckpointError::Read {
                    checkpoint: self.clone(),
                    name: name.to_owned(),
                    source,
                }),
            },
        }
    }

    /// As [`read`](Self::read), for a file that must be there.
    pub fn require(&self, name: &str) -> Result<Cow<'static, [u8]>, CheckpointError> {
        self.read(name)?.ok_or_else(|| CheckpointError::Missing {
            checkpoint: self.clone(),
            name: name.to_owned(),
        })
    }

    /// `name` parsed as JSON, or none where there is no such file.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, CheckpointError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| CheckpointError::Json {
            checkpoint: self.clone(),
            name: name.to_owned(),
            source,
        })
    }

    /// As [`json`](Self::json), for a file that must be there.
    pub fn require_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, CheckpointError> {
        self.json(name)?.ok_or_else(|| CheckpointError::Missing {
            checkpoint: self.clone(),
            name: name.to_owned(),
        })
    }

    /// Names of the safetensors files, sorted; the index is not consulted.
    pub fn weight_file_names(&self) -> Result<Vec<String>, CheckpointError> {
        let Self::Dir(dir) = self else { return Ok(vec!["model.safetensors".to_owned()]) };
        let entries = std::fs::read_dir(dir).map_err(|source| CheckpointError::Read {
            checkpoint: self.clone(),
            name: String::new(),
            source,
        })?;
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".safetensors"))
            .collect();
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_directory_names_the_flag() {
        let error = Checkpoint::open(Path::new("/no/such/model")).unwrap_err();
        assert!(error.to_string().contains("--model"), "{error}");
    }

    #[test]
    fn embedded_checkpoint_has_its_files() {
        let embedded = Checkpoint::open(Path::new(EMBEDDED_NAME)).unwrap();
        assert_eq!(embedded, Checkpoint::Embedded);
        for name in ["config.json", "tokenizer.json", "model.safetensors", "calibration.json"] {
            assert!(embedded.read(name).unwrap().is_some(), "{name}");
        }
        assert!(embedded.read("no-such-file").unwrap().is_none());
        assert!(matches!(
            embedded.require("no-such-file"),
            Err(CheckpointError::Missing { name, .. }) if name == "no-such-file"
        ));
    }
}
