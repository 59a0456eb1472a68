//! Safetensors files of a checkpoint: one file, or shards with an index.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::ops::Range;

use candle_core::DType;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype as StoredDtype, Metadata};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::mmap::FileBytes;
use super::names::original_name;
use super::{View, WeightsError};
use crate::checkpoint::Checkpoint;

const INDEX: &str = "model.safetensors.index.json";

struct WeightFile {
    name: String,
    bytes: FileBytes,
    /// Where the header ends and tensor data begins.
    data_start: usize,
    metadata: Metadata,
}

/// All weight files of one checkpoint, mapped, with their tensors by the original layout's names.
pub(super) struct WeightFiles {
    checkpoint: Checkpoint,
    files: Vec<WeightFile>,
    /// Original-layout name -> file and the name stored there.
    by_name: HashMap<String, (usize, String)>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

impl WeightFile {
    fn range(&self, (start, end): (usize, usize)) -> Range<usize> {
        self.data_start + start..self.data_start + end
    }
}

impl WeightFiles {
    pub(super) fn open(checkpoint: &Checkpoint) -> Result<Self, WeightsError> {
        let names = file_names(checkpoint)?;
        if names.is_empty() {
            return Err(WeightsError::NoFiles { checkpoint: checkpoint.clone() });
        }
        let mut files = Vec::with_capacity(names.len());
        let mut by_name = HashMap::new();
        for name in names {
            let file = open_file(checkpoint, name)?;
            for stored in file.metadata.tensors().keys() {
                if let Some(original) = original_name(stored) {
                    by_name.insert(original, (files.len(), stored.clone()));
                }
            }
            files.push(file);
        }
        Ok(Self { checkpoint: checkpoint.clone(), files, by_name })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub(super) fn find(&self, name: &str) -> Option<(usize, &str)> {
        self.by_name.get(name).map(|(file, stored)| (*file, stored.as_str()))
    }

    /// The bytes of `name`, which must have `shape`.
    pub(super) fn view(&self, name: &str, shape: &[usize]) -> Result<View<'_>, WeightsError> {
        let (file, stored) = self.find(name).ok_or_else(|| WeightsError::MissingTensor {
            checkpoint: self.checkpoint.clone(),
            name: name.to_owned(),
        })?;
        let file = &self.files[file];
        let info = file.metadata.info(stored).ok_or_else(|| WeightsError::MissingTensor {
            checkpoint: self.checkpoint.clone(),
            name: stored.to_owned(),
        })?;
        if info.shape != shape {
            return Err(WeightsError::Shape {
                name: stored.to_owned(),
                file: file.name.clone(),
                found: info.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        let dtype = match info.dtype {
            StoredDtype::F32 => DType::F32,
            StoredDtype::F16 => DType::F16,
            StoredDtype::BF16 => DType::BF16,
            other => {
                return Err(WeightsError::UnsupportedDtype {
                    name: stored.to_owned(),
                    file: file.name.clone(),
                    dtype: format!("{other:?}"),
                });
            }
        };
        Ok(View { bytes: &file.bytes[file.range(info.data_offsets)], dtype })
    }

    /// The bytes of `name` are not wanted for now.
    pub(super) fn release(&self, name: &str) {
        let Some((file, stored)) = self.find(name) else { return };
        let file = &self.files[file];
        if let Some(info) = file.metadata.info(stored) {
            file.bytes.release(file.range(info.data_offsets));
        }
    }

    /// First 16 hex digits of a SHA-256 over config.json and the headers of all files: names the
    /// weights without reading gigabytes.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        if let Ok(Some(config)) = self.checkpoint.read("config.json") {
            hash.update(&config);
        }
        for file in &self.files {
            hash.update(file.name.as_bytes());
            hash.update(&file.bytes[..file.data_start]);
        }
        hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// The files that the index names, all of which must be there; without an index, all there are.
fn file_names(checkpoint: &Checkpoint) -> Result<Vec<String>, WeightsError> {
    let Some(index) = checkpoint.json::<Index>(INDEX)? else {
        return Ok(checkpoint.weight_file_names()?);
    };
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    let missing =
        names.iter().find(|name| checkpoint.path(name).is_some_and(|path| !path.is_file()));
    match missing {
        Some(file) => Err(WeightsError::MissingShard {
            checkpoint: checkpoint.clone(),
            index: INDEX,
            file: file.clone(),
        }),
        None => Ok(names.into_iter().collect()),
    }
}

fn open_file(checkpoint: &Checkpoint, name: String) -> Result<WeightFile, WeightsError> {
    let corrupt = |message: String| WeightsError::Corrupt {
        checkpoint: checkpoint.clone(),
        file: name.clone(),
        message,
    };
    let bytes = match checkpoint.path(&name) {
        Some(path) => FileBytes::map(&path).map_err(|error| corrupt(error.to_string()))?,
        None => match checkpoint.require(&name)? {
            std::borrow::Cow::Borrowed(bytes) => FileBytes::Static(bytes),
            std::borrow::Cow::Owned(_) => return Err(corrupt("not embedded".to_owned())),
        },
    };
    let (header_len, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|error| corrupt(error.to_string()))?;
    // The file begins with the header's length as eight bytes.
    let data_start = 8 + header_len;
    Ok(WeightFile { name, bytes, data_start, metadata })
}
