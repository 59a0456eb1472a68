//! Named tensors of a checkpoint, each put on the device and in the dtype that its module has,
//! shape-checked.
//!
//! All three published key layouts are read; callers use the original layout's names
//! ([`names`] translates). Weights come from safetensors files ([`files`]) or, for capacity tests
//! and benchmarks without a download, from a seed ([`random`]).

mod files;
mod mmap;
mod names;
mod random;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use candle_core::{DType, Device, Tensor};

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
    #[error(
        "no tensor {name} in {checkpoint}: a file of the download is missing, or its config.json describes another model"
    )]
    MissingTensor { checkpoint: Checkpoint, name: String },
    #[error("tensor {name} in {file} has shape {found:?}, config.json says {expected:?}")]
    Shape { name: String, file: String, found: Vec<usize>, expected: Vec<usize> },
    #[error("tensor {name} in {file} is {dtype}: only F32, F16 and BF16 weights are read")]
    UnsupportedDtype { name: String, file: String, dtype: String },
    #[error(
        "tensor {name} on {device} is not what the file holds: memory, disk or bus is at fault; try another device"
    )]
    Differs { name: String, device: String },
    #[error("cannot place {name} on {device}: {message}")]
    Place { name: String, device: String, message: String },
}

/// The result of reading weights.
pub type Loaded<T> = Result<T, WeightsError>;

enum Source {
    Files(WeightFiles),
    Random(RandomWeights),
}

/// Tensors by the original layout's names.
pub struct Weights {
    source: Source,
    checkpoint: Checkpoint,
    used: RefCell<HashSet<String>>,
    compare: bool,
    compared: Cell<usize>,
}

/// [`Weights`] as one module sees them: everything lands on one device.
#[derive(Debug, Clone, Copy)]
pub struct ModuleWeights<'a> {
    weights: &'a Weights,
    device: &'a DeviceHandle,
    dtype: Dtype,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights").field("checkpoint", &self.checkpoint).finish_non_exhaustive()
    }
}

impl Weights {
    /// Opens `source` of `checkpoint`; headers are read and checked, tensors are not.
    pub fn open(checkpoint: &Checkpoint, source: WeightSource) -> Result<Self, WeightsError> {
        let source = match source {
            WeightSource::Files => Source::Files(WeightFiles::open(checkpoint)?),
            WeightSource::Random { seed } => Source::Random(RandomWeights::new(seed)),
        };
        Ok(Self {
            source,
            checkpoint: checkpoint.clone(),
            used: RefCell::default(),
            compare: false,
            compared: Cell::default(),
        })
    }

    /// Reads every tensor back from its device and compares it with the file, bit for bit.
    #[must_use]
    pub fn comparing(mut self, compare: bool) -> Self {
        self.compare = compare;
        self
    }

    /// Tensors of the files that were read back and found equal.
    pub fn compared(&self) -> usize {
        self.compared.get()
    }

    /// The tensors of a module that lives on `device` and computes in `dtype`.
    pub fn on<'a>(&'a self, device: &'a DeviceHandle, dtype: Dtype) -> ModuleWeights<'a> {
        ModuleWeights { weights: self, device, dtype }
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
}

impl ModuleWeights<'_> {
    /// The same module's tensors in another dtype.
    #[must_use]
    pub fn with_dtype(self, dtype: Dtype) -> Self {
        Self { dtype, ..self }
    }

    /// Whether the checkpoint has the tensor `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.weights.contains(name)
    }

    /// The tensor `name`, which must have `shape`.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, WeightsError> {
        self.weights.used.borrow_mut().insert(name.to_owned());
        let device = &self.device.device;
        let place = |error: candle_core::Error| self.cannot_place(name, &error);
        match &self.weights.source {
            Source::Files(files) => {
                let view = files.view(name, shape)?;
                let tensor = self.read(&view, shape, device).map_err(place)?;
                if self.compares() {
                    let stored = self.read(&view, shape, &Device::Cpu).map_err(place)?;
                    self.compare(name, &[(stored, tensor.clone())])?;
                }
                files.release(name);
                Ok(tensor)
            }
            Source::Random(random) => random
                .tensor(name, shape, device)
                .and_then(|tensor| tensor.to_dtype(self.dtype.to_candle()))
                .map_err(place),
        }
    }

    /// The stored bytes of `name` with their dtype, to be converted by the caller on their way to the
    /// device; none where nothing is stored, but made up.
    pub fn stored(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<Option<(DType, &[u8])>, WeightsError> {
        let Source::Files(files) = &self.weights.source else { return Ok(None) };
        self.weights.used.borrow_mut().insert(name.to_owned());
        let view = files.view(name, shape)?;
        Ok(Some((view.dtype, view.bytes)))
    }

    /// Whether what lies on the device is to be compared with the files.
    pub fn compares(&self) -> bool {
        self.weights.compare
    }

    /// Compares what was made of the stored tensor `name` on the host with what lies on the device.
    pub fn compare(&self, name: &str, pairs: &[(Tensor, Tensor)]) -> Result<(), WeightsError> {
        for (stored, placed) in pairs {
            if !same_bits(stored, placed).map_err(|error| self.cannot_place(name, &error))? {
                return Err(WeightsError::Differs {
                    name: name.to_owned(),
                    device: self.device.id.clone(),
                });
            }
        }
        self.weights.compared.set(self.weights.compared.get() + 1);
        Ok(())
    }

    /// What [`stored`](Self::stored) showed of `name` was read.
    pub fn release(&self, name: &str) {
        if let Source::Files(files) = &self.weights.source {
            files.release(name);
        }
    }

    fn read(
        &self,
        view: &View<'_>,
        shape: &[usize],
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        Tensor::from_raw_buffer(view.bytes, view.dtype, shape, device)?
            .to_dtype(self.dtype.to_candle())
    }

    /// Tensors of the same width stacked by rows: one matrix product instead of several.
    pub fn stacked(&self, parts: &[(String, Vec<usize>)]) -> Result<Tensor, WeightsError> {
        let tensors: Vec<Tensor> =
            parts.iter().map(|(name, shape)| self.tensor(name, shape)).collect::<Result<_, _>>()?;
        let first = parts.first().map_or("", |(name, _)| name);
        Tensor::cat(&tensors, 0).map_err(|error| self.cannot_place(first, &error))
    }

    /// An error of the tensor library about `name`.
    pub fn cannot_place(&self, name: &str, error: &candle_core::Error) -> WeightsError {
        WeightsError::Place {
            name: name.to_owned(),
            device: self.device.id.clone(),
            message: error.to_string(),
        }
    }

    pub fn device(&self) -> &Device {
        &self.device.device
    }

    pub fn dtype(&self) -> Dtype {
        self.dtype
    }
}

/// Whether two tensors hold the same bits, wherever they are. Every dtype here widens to f32 exactly.
fn same_bits(a: &Tensor, b: &Tensor) -> candle_core::Result<bool> {
    let bits = |x: &Tensor| -> candle_core::Result<Vec<u32>> {
        let wide = x.to_device(&Device::Cpu)?.flatten_all()?.to_dtype(DType::F32)?;
        Ok(wide.to_vec1::<f32>()?.into_iter().map(f32::to_bits).collect())
    };
    Ok(a.dtype() == b.dtype() && bits(a)? == bits(b)?)
}

/// A stored tensor: raw little-endian bytes.
struct View<'a> {
    bytes: &'a [u8],
    dtype: DType,
}
