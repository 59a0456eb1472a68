//! Named tensors of a checkpoint, on a device, in a dtype, shape-checked.
//!
//! All three published key layouts are read; callers use the original layout's names
//! ([`names`] translates). Weights come from safetensors files ([`files`]) or, for capacity tests
//! and benchmarks without a download, from a seed ([`random`]).

mod files;
mod mmap;
mod names;
mod random;

use std::cell::RefCell;
use std::collections::HashSet;

use candle_core::{DType, Tensor};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::device::{DeviceHandle, Dtype};

use files::WeightFiles;
use random::RandomWeights;

/// Where the numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightSource {
    /// The checkpoint's safetensors files.
    #[default]
    Files,
    /// Random numbers of a healthy scale; nothing is read but the configuration.
    Random { seed: u64 },
}

/// What can be wrong with a checkpoint's weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "{checkpoint} has no *.safetensors: download the weights, or use --weights random:1 to run without"
    )]
    NoFiles { checkpoint: Checkpoint },
    #[error("{index} of {checkpoint} names {file}, which is not there: the download is incomplete")]
    MissingShard { checkpoint: Checkpoint, index: &'static str, file: String },
    #[error(
        "{file} of {checkpoint} is not a whole safetensors file ({message}): download it again"
    )]
    Corrupt { checkpoint: Checkpoint, file: String, message: String },
    #[error("no tensor {name} in {checkpoint}: its config.json describes another model")]
    MissingTensor { checkpoint: Checkpoint, name: String },
    #[error("tensor {name} in {file} has shape {found:?}, config.json says {expected:?}")]
    Shape { name: String, file: String, found: Vec<usize>, expected: Vec<usize> },
    #[error("tensor {name} in {file} is {dtype}: only F32, F16 and BF16 weights are read")]
    UnsupportedDtype { name: String, file: String, dtype: String },
    #[error("cannot place {name} on {device}: {message}")]
    Place { name: String, device: String, message: String },
}

/// The result of reading weights.
pub type Loaded<T> = Result<T, WeightsError>;

enum Source {
    Files(WeightFiles),
    Random(RandomWeights),
}

/// Tensors by the original layout's names, placed on one device in one dtype.
pub struct Weights {
    source: Source,
    checkpoint: Checkpoint,
    device: DeviceHandle,
    dtype: Dtype,
    used: RefCell<HashSet<String>>,
    bytes: RefCell<u64>,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights")
            .field("checkpoint", &self.checkpoint)
            .field("device", &self.device.id)
            .field("dtype", &self.dtype)
            .finish_non_exhaustive()
    }
}

impl Weights {
    /// Opens `source` of `checkpoint`; headers are read and checked, tensors are not.
    pub fn open(
        checkpoint: &Checkpoint,
        source: WeightSource,
        device: &DeviceHandle,
        dtype: Dtype,
    ) -> Result<Self, WeightsError> {
        let source = match source {
            WeightSource::Files => Source::Files(WeightFiles::open(checkpoint)?),
            WeightSource::Random { seed } => Source::Random(RandomWeights::new(seed)),
        };
        Ok(Self {
            source,
            checkpoint: checkpoint.clone(),
            device: device.clone(),
            dtype,
            used: RefCell::default(),
            bytes: RefCell::default(),
        })
    }

    /// What the numbers are; the same weights always give the same text.
    pub fn revision(&self) -> String {
        match &self.source {
            Source::Files(files) => files.digest(),
            Source::Random(random) => format!("random:{}", random.seed()),
        }
    }

    /// Whether the checkpoint stores `name`. Random weights store all that is asked for but a
    /// separate `lm_head`, which only configurations without tied embeddings then have.
    pub fn contains(&self, name: &str) -> bool {
        match &self.source {
            Source::Files(files) => files.find(name).is_some(),
            Source::Random(_) => !name.contains("lm_head"),
        }
    }

    /// The tensor `name`, which must have `shape`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        self.used.borrow_mut().insert(name.to_owned());
        let place = |message: candle_core::Error| WeightsError::Place {
            name: name.to_owned(),
            device: self.device.id.clone(),
            message: message.to_string(),
        };
        let tensor = match &self.source {
            Source::Files(files) => {
                let view = files.view(name, shape)?;
                Tensor::from_raw_buffer(view.bytes, view.dtype, shape, &self.device.device)
            }
            Source::Random(random) => random.tensor(name, shape, &self.device.device),
        }
        .and_then(|tensor| tensor.to_dtype(self.dtype.to_candle()))
        .map_err(place)?;
        *self.bytes.borrow_mut() += (tensor.elem_count() * self.dtype.size_bytes()) as u64;
        Ok(tensor)
    }

    /// Tensors of the same width stacked by rows: one matrix product instead of several.
    pub fn stacked(&self, parts: &[(String, Vec<usize>)]) -> Result<Tensor, WeightsError> {
        let tensors: Vec<Tensor> =
            parts.iter().map(|(name, shape)| self.tensor(name, shape)).collect::<Result<_, _>>()?;
        Tensor::cat(&tensors, 0).map_err(|error| WeightsError::Place {
            name: parts.first().map(|(name, _)| name.clone()).unwrap_or_default(),
            device: self.device.id.clone(),
            message: error.to_string(),
        })
    }

    /// Bytes placed on the device since the last call.
    pub fn take_placed_bytes(&self) -> u64 {
        std::mem::take(&mut self.bytes.borrow_mut())
    }

    /// Stored tensors that nothing asked for, in the original layout's names: a sign that the model
    /// is not the one that `config.json` describes.
    pub fn unused(&self) -> Vec<String> {
        let Source::Files(files) = &self.source else { return Vec::new() };
        let used = self.used.borrow();
        let mut unused: Vec<String> =
            files.names().filter(|name| !used.contains(*name)).map(ToOwned::to_owned).collect();
        unused.sort();
        unused
    }

    pub fn device(&self) -> &DeviceHandle {
        &self.device
    }

    pub fn dtype(&self) -> Dtype {
        self.dtype
    }
}

/// A stored tensor: raw little-endian bytes.
struct View<'a> {
    bytes: &'a [u8],
    dtype: DType,
}
