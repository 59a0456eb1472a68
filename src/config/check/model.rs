//! The options that say which model is loaded, where, and in which numbers.

use std::path::{Path, PathBuf};

use super::super::checked::{ModelConfig, Verify};
use super::super::options::Key;
use super::super::value::{self, Wrong};
use super::Reader;
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceRequest, DeviceSelection, Dtype};
use crate::model::fake::Pace;
use crate::placement::{DtypeOverride, DtypePolicy, PolicyMode, Quantization, parse_limits};
use crate::prompt::{PromptStyle, Questions};
use crate::weights::WeightSource;

pub(super) fn model(reader: &mut Reader<'_>) -> Option<ModelConfig> {
    let checkpoint = reader.read(Key::Model, checkpoint);
    let weights = reader.read(Key::Weights, |text| match text.trim().strip_prefix("fake") {
        Some(pace) => fake(pace).map(|pace| (WeightSource::Random { seed: 0 }, Some(pace))),
        None => weights(text).map(|source| (source, None)),
    });
    let devices = reader.read(Key::Devices, devices);
    let replicas =
        reader.read(Key::Replicas, |text| value::count(text, &(1..=crate::limits::REPLICAS_MAX)));
    let device_map = reader.read(Key::DeviceMap, value::device_map);
    let max_memory = reader.read_or_unset(Key::MaxMemory, max_memory);
    let host_embedding = reader
        .read(Key::Embedding, |text| value::one_of(text, &[("device", false), ("host", true)]));
    let dtypes = dtypes(reader);
    let verify = reader.read(Key::Verify, |text| {
        let names = [("none", Verify::Placement), ("probe", Verify::Probe), ("full", Verify::Full)];
        value::one_of(text, &names)
    });
    let prompt_style = reader.read(Key::PromptStyle, |text| {
        let internvl = Some(PromptStyle::Chat);
        let template = Some(PromptStyle::HfTemplate);
        value::one_of(text, &[("auto", None), ("internvl2_5", internvl), ("hf_template", template)])
    });
    let system_message = reader.read_or_unset(Key::SystemMessage, |text| Ok(text.to_owned()));
    let prompts = reader.read_or_unset(Key::Prompts, prompts);
    let calibration = reader.read(Key::Calibration, value::switch);
    Some(ModelConfig {
        checkpoint: checkpoint?,
        weights: weights.map(|(source, _)| source)?,
        fake: weights.and_then(|(_, pace)| pace),
        devices: devices?,
        replicas: replicas?,
        device_map: device_map?,
        max_memory: max_memory?,
        host_embedding: host_embedding?,
        dtypes: dtypes?,
        verify: verify?,
        prompt_style: prompt_style?,
        system_message: system_message?,
        prompts: prompts?,
        calibration: calibration?,
    })
}

/// What is worth a word about a model that is no model.
pub(super) fn warnings(model: &ModelConfig) -> Option<String> {
    let what = match (model.fake, model.weights) {
        (Some(_), _) => "fake: there is no model, and answers are made up",
        (None, WeightSource::Random { .. }) => "random: answers mean nothing",
        (None, WeightSource::Files) => return None,
    };
    Some(format!("--weights {what}; leave it out to serve the model's own"))
}

/// A directory whose templates work.
fn prompts(text: &str) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(text);
    let remedy = "give a directory with templates such as receipt.json.jinja, or leave it out";
    match Questions::load(Some(&path)) {
        Ok(_) => Ok(path),
        Err(error) => Err(Wrong::new(format!("cannot be used: {error}"), remedy)),
    }
}

/// Checked against devices when they are open.
fn max_memory(text: &str) -> Result<String, Wrong> {
    let remedy = "give DEVICE=MEMORY with commas between: 0=20GiB,1=22GiB,cpu=32GiB";
    match parse_limits(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Wrong::new(format!("has a mistake: {error}"), remedy)),
    }
}

fn dtypes(reader: &mut Reader<'_>) -> Option<DtypePolicy> {
    let requested = reader.read(Key::Dtype, |text| {
        let (f32, bf16, f16) = (Some(Dtype::F32), Some(Dtype::Bf16), Some(Dtype::F16));
        value::one_of(text, &[("auto", None), ("f32", f32), ("bf16", bf16), ("f16", f16)])
    });
    let mode = reader.read(Key::DtypePolicy, |text| {
        value::one_of(text, &[("fallback", PolicyMode::Fallback), ("strict", PolicyMode::Strict)])
    });
    let overrides = reader.read_or_unset(Key::DtypeOverride, overrides);
    let quantization = reader.read(Key::Quantize, |text| {
        value::one_of(
            text,
            &[("none", None), ("q8", Some(Quantization::Q8)), ("fp8", Some(Quantization::Fp8))],
        )
    });
    Some(DtypePolicy {
        requested: requested?,
        mode: mode?,
        overrides: overrides?.unwrap_or_default(),
        quantization: quantization?,
    })
}

/// `vision=f32,lm_head=f32`.
fn overrides(text: &str) -> Result<Vec<DtypeOverride>, Wrong> {
    let remedy = "give MODULE=DTYPE with commas between: vision=f32,language.layers.0-3=f32";
    text.split(',')
        .map(|one| {
            one.parse().map_err(|error| Wrong::new(format!("has a mistake: {error}"), remedy))
        })
        .collect()
}

/// The model files at `text`.
fn checkpoint(text: &str) -> Result<Checkpoint, Wrong> {
    use crate::checkpoint::{CheckpointError, EMBEDDED_NAME};
    let checkpoint = Checkpoint::open(Path::new(text)).map_err(|error| match error {
        CheckpointError::NoSuchDir(_) => Wrong::new(
            "is no directory here",
            format!("give a directory with config.json and *.safetensors, or {EMBEDDED_NAME}"),
        ),
        CheckpointError::NotADir(_) => {
            Wrong::new("is a file", "give the directory that holds config.json and *.safetensors")
        }
        other => Wrong::new(format!("cannot be used: {other}"), "give another model directory"),
    })?;
    match checkpoint.path("config.json") {
        Some(path) if !path.is_file() => Err(Wrong::new(
            "has no config.json in it",
            "give the directory that holds config.json and *.safetensors",
        )),
        _ => Ok(checkpoint),
    }
}

/// What follows `fake`: nothing, or `:step=8ms,token=20us,tile=2ms`.
fn fake(text: &str) -> Result<Pace, Wrong> {
    let remedy = "give fake, or fake:step=8ms,token=20us,tile=2ms";
    let pace = match text {
        "" => Ok(Pace::default()),
        text => {
            text.strip_prefix(':').ok_or_else(|| "no : after fake".to_owned()).and_then(str::parse)
        }
    };
    pace.map_err(|reason| Wrong::new(format!("has a mistake: {reason}"), remedy))
}

/// `file` or `random:SEED`.
fn weights(text: &str) -> Result<WeightSource, Wrong> {
    let seed = match text.trim() {
        "file" => return Ok(WeightSource::Files),
        "random" => "0",
        other => other.strip_prefix("random:").unwrap_or(""),
    };
    seed.parse().map(|seed| WeightSource::Random { seed }).map_err(|_| {
        Wrong::new("is no source of weights", "give file, or random:SEED with a whole number")
    })
}

/// `auto`, `cpu`, `cuda:N`, or several with commas between.
fn devices(text: &str) -> Result<DeviceSelection, Wrong> {
    let selection: DeviceSelection = text.parse().map_err(|error| {
        Wrong::new(format!("{error}"), "give cpu, cuda:0, cuda:0,cuda:1 or auto")
    })?;
    let needs_cuda = match &selection {
        DeviceSelection::Auto => false,
        DeviceSelection::Listed(listed) => {
            listed.iter().any(|device| matches!(device, DeviceRequest::Cuda(_)))
        }
    };
    if needs_cuda && !crate::device::CUDA_COMPILED {
        return Err(Wrong::new(
            "needs a build for NVIDIA GPUs, which this one is not",
            "build with `cargo build --release --features cuda`, or give cpu",
        ));
    }
    Ok(selection)
}
