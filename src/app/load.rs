//! From a checkpoint's files to what the engine serves: prompter, tiling and runner, in the order in
//! which a wrong file is found soonest.

use std::sync::Arc;

use serde::Deserialize;

use super::{fake, probe};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::config::{Config, ModelConfig, RequestConfig, Verify};
use crate::device::Share;
use crate::engine::{LoadError, LoadProgress, Loaded};
use crate::fields::{Calibration, CalibrationError};
use crate::limits;
use crate::model::Runner as _;
use crate::model::internvl::{self, HostTables};
use crate::preprocess;
use crate::prompt::{PromptOptions, Prompter, Questions};
use crate::weights::WeightSource;

/// Most tiles of a page where a checkpoint does not say, as `InternVL3`'s own code has it.
const TILES_MAX_DEFAULT: u32 = 12;

/// Loads one model. Made where mistakes can still be shown, used on the engine's thread.
#[derive(Debug, Clone)]
pub struct Loader {
    model: ModelConfig,
    requests: RequestConfig,
    share: Share,
    /// Of the replicas that are loaded together.
    tables: HostTables,
}

/// How often values of the model are right, where it has a file that says so and may be used. Weights that
/// are made up are another model than the file is of.
pub fn calibration(model: &ModelConfig) -> Result<Option<Calibration>, CalibrationError> {
    let may = model.calibration && model.weights == WeightSource::Files;
    if may { Calibration::load(&model.checkpoint) } else { Ok(None) }
}

/// How pages become tiles, as published in `preprocessor_config.json` (transformers' layout) or in
/// `config.json` (the original one). Only what Tessera reads.
#[derive(Debug, Default, Deserialize)]
struct TilingFiles {
    #[serde(alias = "min_dynamic_patch")]
    min_patches: Option<u32>,
    #[serde(alias = "max_dynamic_patch")]
    max_patches: Option<u32>,
    /// Of the original layout.
    dynamic_image_size: Option<bool>,
    use_thumbnail: Option<bool>,
    /// Of transformers' layout. False in some published files although the processor cuts pages
    /// unless it is told otherwise per call, so it says nothing about the model.
    #[serde(default)]
    image_mean: Option<[f32; 3]>,
    #[serde(default)]
    image_std: Option<[f32; 3]>,
}

// === impl Loader ===

impl Loader {
    pub fn new(config: &Config) -> Self {
        Self {
            model: config.model.clone(),
            requests: config.requests,
            share: Share::default(),
            tables: HostTables::default(),
        }
    }

    /// What loads each replica, on its part of the devices.
    pub fn replicas(
        &self,
    ) -> Vec<impl FnOnce(&LoadProgress) -> Result<Loaded, LoadError> + Send + 'static + use<>> {
        let load = |loader: Self| move |progress: &LoadProgress| loader.load(progress);
        self.shares().into_iter().map(load).collect()
    }

    /// The loader of each replica.
    pub fn shares(&self) -> Vec<Self> {
        let replicas = self.model.replicas;
        // A model that is loaded later reads its own files.
        let tables = HostTables::default();
        let one = |replica| {
            let (share, tables) = (Share { replica, replicas }, tables.clone());
            Self { share, tables, ..self.clone() }
        };
        (0..replicas).map(one).collect()
    }

    /// Everything that serving needs, from the directory that the path leads to now.
    pub fn load(&self, progress: &LoadProgress) -> Result<Loaded, LoadError> {
        let checkpoint = self.model.checkpoint.resolved()?;
        let model = ModelConfig { checkpoint, ..self.model.clone() };
        Self { model, ..self.clone() }.load_all(progress)
    }

    fn load_all(&self, progress: &LoadProgress) -> Result<Loaded, LoadError> {
        progress.say("reading the configuration");
        let checkpoint = &self.model.checkpoint;
        let calibration = calibration(&self.model)?.map(Arc::new);
        let architecture = internvl::Config::load(checkpoint)?;
        let prompter = self.prompter(&architecture)?;
        let tiling = tiling(checkpoint, &architecture, self.requests.max_tiles)?;
        if let Some(pace) = self.model.fake {
            let prompter = Arc::new(prompter);
            let runner = fake::runner(checkpoint, &architecture, &prompter, &self.requests, pace);
            return Ok(Loaded { runner: Box::new(runner), prompter, tiling, calibration });
        }
        progress.say("loading weights");
        let probe = self.probe(&prompter, &tiling)?;
        let runner =
            self.runner(prompter.image_token_id(), probe, &mut |step| progress.say(step))?;
        if let Some(calibration) = &calibration {
            calibration.check_revision(&runner.spec().revision)?;
        }
        Ok(Loaded { runner: Box::new(runner), prompter: Arc::new(prompter), tiling, calibration })
    }

    /// The model as [`load`](Self::load) has it, with nothing to feed it.
    pub fn load_runner(
        &self,
        progress: &mut dyn FnMut(&str),
    ) -> Result<internvl::InternVl, LoadError> {
        let checkpoint = &self.model.checkpoint;
        let architecture = internvl::Config::load(checkpoint)?;
        let prompter = self.prompter(&architecture)?;
        let tiling = tiling(checkpoint, &architecture, self.requests.max_tiles)?;
        let probe = self.probe(&prompter, &tiling)?;
        self.runner(prompter.image_token_id(), probe, progress)
    }

    /// Everything that stands against [`load`](Self::load) and can be known without loading weights.
    pub fn check(&self) -> Vec<String> {
        let checkpoint = &self.model.checkpoint;
        let architecture = match internvl::Config::load(checkpoint) {
            Ok(architecture) => architecture,
            // All else is about it.
            Err(error) => return vec![error.to_string()],
        };
        let mut problems = Vec::new();
        if let Err(error) = tiling(checkpoint, &architecture, self.requests.max_tiles) {
            problems.push(error.to_string());
        }
        match self.prompter(&architecture) {
            Ok(prompter) => {
                let options = self.options(prompter.image_token_id(), None);
                problems.extend(
                    internvl::check(checkpoint, &options).err().map(|error| error.to_string()),
                );
            }
            Err(error) => problems.push(error.to_string()),
        }
        problems.extend(calibration(&self.model).err().map(|error| error.to_string()));
        if let Some(dir) = &self.model.prompts {
            problems.extend(Questions::load(Some(dir)).err().map(|error| error.to_string()));
        }
        problems
    }

    /// What the model reads before it serves; none where that is switched off.
    fn probe(
        &self,
        prompter: &Prompter,
        tiling: &preprocess::Config,
    ) -> Result<Option<internvl::ProbeInput>, LoadError> {
        match self.model.verify {
            Verify::Placement => Ok(None),
            Verify::Probe | Verify::Full => Ok(Some(probe::input(prompter, tiling)?)),
        }
    }

    /// Tokenizer and template.
    pub fn prompter(&self, architecture: &internvl::Config) -> Result<Prompter, LoadError> {
        let options = PromptOptions {
            style: self.model.prompt_style,
            system_message: self.model.system_message.clone(),
            tokens_per_tile: architecture.tokens_per_tile(),
        };
        Ok(Prompter::load(&self.model.checkpoint, &options)?)
    }

    /// The model on its devices, checked with `probe`.
    pub fn runner(
        &self,
        image_token_id: u32,
        probe: Option<internvl::ProbeInput>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<internvl::InternVl, LoadError> {
        let options = self.options(image_token_id, probe);
        Ok(internvl::load(&self.model.checkpoint, &options, progress)?)
    }

    fn options(
        &self,
        image_token_id: u32,
        probe: Option<internvl::ProbeInput>,
    ) -> internvl::LoadOptions {
        internvl::LoadOptions {
            devices: self.model.devices.clone(),
            share: self.share,
            layout: internvl::LayoutOptions {
                map: self.model.device_map.clone(),
                max_memory: self.model.max_memory.clone(),
                prefill_rows: self.requests.prefill_chunk,
                host_embedding: self.model.host_embedding,
            },
            dtypes: self.model.dtypes.clone(),
            weights: self.model.weights,
            compare_weights: self.model.verify == Verify::Full,
            probe,
            slots: self.requests.slots,
            slot_tokens: Some(self.requests.slot_tokens),
            kv_tokens: self.requests.kv_tokens,
            image_token_id: Some(image_token_id),
            tables: self.tables.clone(),
        }
    }
}

/// Most tiles of a page, the overview not counted: known before the model is loaded, because
/// `ModelInfo` says it then.
pub fn tiles_max(config: &Config) -> u32 {
    // A file that cannot be read fails the load, with its name.
    let files = TilingFiles::read(&config.model.checkpoint).unwrap_or_default();
    files.tiles_max(config.requests.max_tiles)
}

/// Tiles of the largest page, its overview counted: what planning memory asks for.
pub fn tiles_per_page(
    checkpoint: &Checkpoint,
    tiles_max: Option<u32>,
) -> Result<u32, CheckpointError> {
    let files = TilingFiles::read(checkpoint)?;
    let tiles = files.tiles_max(tiles_max);
    let thumbnail = files.use_thumbnail.unwrap_or(preprocess::Config::default().use_thumbnail);
    Ok(tiles + u32::from(thumbnail && tiles > 1))
}

/// How pages are cut: the checkpoint's own way, within `tiles_max`.
pub fn tiling(
    checkpoint: &Checkpoint,
    architecture: &internvl::Config,
    tiles_max: Option<u32>,
) -> Result<preprocess::Config, CheckpointError> {
    let files = TilingFiles::read(checkpoint)?;
    let max_tiles = files.tiles_max(tiles_max);
    let own = preprocess::Config::default();
    Ok(preprocess::Config {
        tile_size_px: architecture.vision.image_size as u32,
        min_tiles: files.min_patches.unwrap_or(own.min_tiles).clamp(1, max_tiles),
        max_tiles,
        use_thumbnail: files.use_thumbnail.unwrap_or(own.use_thumbnail),
        mean: files.image_mean.unwrap_or(own.mean),
        std: files.image_std.unwrap_or(own.std),
        ..own
    })
}

// === impl TilingFiles ===

impl TilingFiles {
    /// The original layout's values, and over them those of the file that is only about images.
    fn read(checkpoint: &Checkpoint) -> Result<Self, CheckpointError> {
        let original: Self = checkpoint.require_json("config.json")?;
        let images: Self = checkpoint.json("preprocessor_config.json")?.unwrap_or_default();
        Ok(Self {
            min_patches: images.min_patches.or(original.min_patches),
            max_patches: images.max_patches.or(original.max_patches),
            dynamic_image_size: original.dynamic_image_size,
            use_thumbnail: images.use_thumbnail.or(original.use_thumbnail),
            image_mean: images.image_mean,
            image_std: images.image_std,
        })
    }

    fn tiles_max(&self, asked: Option<u32>) -> u32 {
        let own = match self.dynamic_image_size {
            // One tile, whatever its size.
            Some(false) => 1,
            _ => self.max_patches.unwrap_or(TILES_MAX_DEFAULT),
        };
        asked.unwrap_or(own).clamp(1, limits::TILES_PER_PAGE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> TilingFiles {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn both_layouts_say_how_many_tiles() {
        assert_eq!(files(r#"{"min_patches": 1, "max_patches": 6}"#).tiles_max(None), 6);
        assert_eq!(
            files(r#"{"max_dynamic_patch": 12, "use_thumbnail": true}"#).tiles_max(None),
            12
        );
        assert_eq!(files("{}").tiles_max(None), TILES_MAX_DEFAULT);
        assert_eq!(files(r#"{"dynamic_image_size": false}"#).tiles_max(None), 1);
    }

    #[test]
    fn the_operator_and_the_limits_win() {
        assert_eq!(files(r#"{"max_patches": 6}"#).tiles_max(Some(2)), 2);
        assert_eq!(files(r#"{"max_patches": 400}"#).tiles_max(None), limits::TILES_PER_PAGE_MAX);
    }

    #[test]
    fn the_embedded_checkpoint_has_its_own_bound() {
        assert_eq!(TilingFiles::read(&Checkpoint::Embedded).unwrap().tiles_max(None), 4);
    }
}
