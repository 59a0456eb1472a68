//! From a checkpoint to a runner that was checked: configuration, plan, weights, verification, probe.

use std::collections::BTreeSet;

use super::config::{Config, ConfigError};
use super::cost::VISION_BATCH_TILES_GPU;
use super::features::FeatureRows;
use super::home::{Home, Homes, Hosts};
use super::host_table::HostTables;
use super::language::{Decoder, Room};
use super::layout::{self, Budget, Layout, LayoutError};
use super::observe::Part;
use super::probe::{ProbeInput, Probed, Way};
use super::projector::Projector;
use super::runner::InternVl;
use super::verify;
use super::vision::VisionTower;
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceError, DeviceHandle, DeviceSelection, Dtype, Links, Share};
use crate::model::cache::{BLOCK_TOKENS, pool_blocks};
use crate::model::cuda::transfer::Staging;
use crate::model::output::Choice;
use crate::model::runner::{DeviceUse, ModelSpec, SiteRange, Verification};
use crate::placement::{DtypeOverride, DtypePolicy, PolicyMode};
use crate::weights::{WeightSource, Weights, WeightsError};

/// Tokens a slot holds unless asked otherwise: a page of 13 tiles, its prompt and a long answer.
const SLOT_TOKENS_DEFAULT: usize = 8192;

/// Rows of a tile of matrix products on GPUs, in this program's kernels as in cublas's.
const GPU_ROW_TILE: usize = 128;

/// How to load a model.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    pub devices: DeviceSelection,
    /// Which of the devices this one of several replicas has.
    pub share: Share,
    pub layout: layout::LayoutOptions,
    pub dtypes: DtypePolicy,
    pub weights: WeightSource,
    /// Reads every tensor back and compares it with the file.
    pub compare_weights: bool,
    /// Run through the model before it serves; none: the model is not probed.
    pub probe: Option<ProbeInput>,
    /// Sequences that run at once; at least 1.
    pub slots: usize,
    /// Tokens of one sequence, prompt and output; none: 8,192 or the model's own context.
    pub slot_tokens: Option<usize>,
    /// Tokens of all sequences together for which the KV cache has room; none: `slots` of the longest. At
    /// least one of the longest.
    pub kv_tokens: Option<usize>,
    /// The tokenizer's id of the image placeholder; needed where `config.json` does not say it.
    pub image_token_id: Option<u32>,
    /// Tables in the host's memory, the same for all replicas of a model.
    pub tables: HostTables,
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error("{0}: neither config.json nor the tokenizer names the image token")]
    NoImageToken(Checkpoint),
    #[error("copies between devices do not work: {0}")]
    Links(candle_core::Error),
    #[error("what was loaded is not what was planned: {tensors}")]
    Misplaced { tensors: String },
    #[error("decoding steps cannot be made ready: {0}")]
    Prepare(candle_core::Error),
    #[error("the start-up probe failed: {0}")]
    Probe(candle_core::Error),
    #[error(
        "the start-up probe found numbers that are not finite in {module} ({site}, {dtype}): the weights are damaged, or the dtype is too small; try --dtype f32, or check the download with --verify full"
    )]
    NotFinite { module: String, site: &'static str, dtype: Dtype },
    #[error(
        "{module} reaches {max_abs:.0} in f16 ({site}), too near to the end of its range at 65504: use --dtype-override {remedy}, or --dtype-policy fallback"
    )]
    NearF16Max { module: String, site: &'static str, max_abs: f32, remedy: String },
    #[error(
        "the start-up probe found that {modules} cannot compute in f16, and in f32 there is not room for them: {problems}; give --dtype-override {remedy}, which the plan then counts with from the start, fewer --slots or --slot-tokens, or another --dtype; `tessera plan` with the same options shows what would fit"
    )]
    NoRoomInF32 { modules: String, problems: String, remedy: String },
    #[error(
        "what the start-up probe gives by the {way} differs by {distance:.4} of its spread from what plain operations give, and {tolerance} is taken; {module} is the first whose result does: these kernels are wrong on this device; try another dtype, for example --dtype-override {module}=f32, and report it"
    )]
    WaysDiffer { way: &'static str, module: String, distance: f32, tolerance: f32 },
    #[error(
        "the start-up probe's choice by the {way} is token {chosen}, and its logits say {expected}: these kernels are wrong on this device"
    )]
    WrongChoice { way: &'static str, chosen: u32, expected: u32 },
}

/// Whether [`load`] would begin: files, their headers, devices and memory, without reading a weight.
pub fn check(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<(), LoadError> {
    let config = Config::load(checkpoint)?;
    let weights = Weights::open(checkpoint, options.weights)?;
    layout::decide(&config, &weights, options).map(|_| ())
}

/// Loads the model that `checkpoint` describes. `progress` is told what is done, for people.
pub fn load(
    checkpoint: &Checkpoint,
    options: &LoadOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<InternVl, LoadError> {
    let config = Config::load(checkpoint)?;
    let image_token_id = config
        .image_token_id
        .or(options.image_token_id)
        .ok_or_else(|| LoadError::NoImageToken(checkpoint.clone()))?;
    let room = room(&config, options);
    let weights = Weights::open(checkpoint, options.weights)?.comparing(options.compare_weights);
    let layout = layout::decide(&config, &weights, options)?;
    warn_of_fallbacks(&layout.homes);
    let links =
        Links::open(&layout.devices, &layout.homes.crossings()).map_err(LoadError::Links)?;
    let mut model = build(config, &layout.homes, links, &weights, room, progress)?;
    warn_of_unused(&weights);
    // What running a prompt needs, until the rest is known.
    model.spec = ModelSpec { image_token_id, block_tokens: BLOCK_TOKENS, ..ModelSpec::default() };
    let probe = probed(&mut model, &weights, &layout.budget, options, progress)?;
    model.decoder.prepare(image_token_id).map_err(LoadError::Prepare)?;
    let probe = match (&options.probe, probe) {
        (Some(input), Some(plain)) => served(&mut model, input, plain)?,
        _ => Vec::new(),
    };
    // What loading and the plain operations of the probe took is never needed again.
    model.hosts.give_back();
    model.spec = spec(checkpoint, &model, &weights, &layout, options, room, image_token_id)?;
    model.spec.verification.probe = probe;
    Ok(model)
}

/// The model with all its weights, its specification still blank.
fn build(
    config: Config,
    homes: &Homes,
    links: Links,
    weights: &Weights,
    room: Room,
    progress: &mut dyn FnMut(&str),
) -> Result<InternVl, LoadError> {
    let mut loaded = |part: Part| progress(&format!("loaded {part}"));
    let vision = VisionTower::load(&config.vision, &homes.vision, weights)?;
    loaded(Part::Vision);
    let projector = Projector::load(&config, &homes.projector, weights)?;
    loaded(Part::Projector);
    let decoder = Decoder::load(&config.text, homes, links, weights, room, loaded)?;
    Ok(InternVl {
        // A tile at a time keeps the CPU's caches warm; a GPU wants more work in flight.
        vision_batch_tiles: match homes.vision.device.capability {
            Some(_) => VISION_BATCH_TILES_GPU,
            None => 1,
        },
        features: FeatureRows::new(room.slots),
        staging: Staging::default(),
        hosts: Hosts::of(homes),
        spec: ModelSpec::default(),
        config,
        vision,
        projector,
        decoder,
    })
}

/// Runs the probe, and moves modules to f32 whose f16 numbers come too near to the end: again and again, since
/// one that overflows hides what comes after it. Nothing is moved that there is not room for.
fn probed(
    model: &mut InternVl,
    weights: &Weights,
    budget: &Budget,
    options: &LoadOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Option<Probed>, LoadError> {
    let Some(input) = &options.probe else { return Ok(None) };
    progress("probing");
    let mut probed = model.probe(input, Way::Plain).map_err(LoadError::Probe)?;
    let mut moved = Vec::new();
    // Each round moves one module at least.
    for _ in 0..model.homes().iter().count() {
        let near = verify::near_the_end_of_f16(&probed.sites);
        let Some(first) = near.first() else { break };
        moved.extend(near.iter().map(|site| site.module.clone()));
        // All that are known now, so that nobody has to start once for each.
        let remedy = moved.iter().map(|module| format!("{module}=f32")).collect::<Vec<_>>();
        let remedy = remedy.join(",");
        if options.dtypes.mode == PolicyMode::Strict {
            let (module, site, max_abs) = (first.module.clone(), first.site, first.max_abs);
            return Err(LoadError::NearF16Max { module, site, max_abs, remedy });
        }
        require_room(budget, options, &moved, remedy)?;
        for site in near {
            let (module, max_abs) = (site.module.clone(), site.max_abs);
            let reason = format!("its {} reaches {max_abs:.0} in f16; f32 is used", site.site);
            tracing::warn!(module, reason, "moved to f32");
            model.move_to_f32(&module, reason, weights)?;
        }
        probed = model.probe(input, Way::Plain).map_err(LoadError::Probe)?;
    }
    require_finite(&probed.sites)?;
    Ok(Some(probed))
}

/// In f32 a module has weights of twice the size, or of four times, and a layer twice as much of the KV cache.
fn require_room(
    budget: &Budget,
    options: &LoadOptions,
    moved: &[String],
    remedy: String,
) -> Result<(), LoadError> {
    // The names of all modules are patterns.
    let in_f32 = |module: &String| format!("{module}=f32").parse().ok();
    let overrides: Vec<DtypeOverride> = moved.iter().filter_map(in_f32).collect();
    let problems = budget.missing(&options.dtypes, &overrides)?;
    if problems.is_empty() {
        return Ok(());
    }
    let (modules, problems) = (moved.join(", "), problems.join("; "));
    Err(LoadError::NoRoomInF32 { modules, problems, remedy })
}

fn require_finite(sites: &[SiteRange]) -> Result<(), LoadError> {
    match verify::first_broken(sites) {
        None => Ok(()),
        Some(broken) => Err(LoadError::NotFinite {
            module: broken.module.clone(),
            site: broken.site,
            dtype: broken.dtype,
        }),
    }
}

/// Runs the probe by the operations that serve, and by a decoding step where there is one made ready: they must
/// say what the plain ones say. Returns the places of both.
fn served(
    model: &mut InternVl,
    input: &ProbeInput,
    plain: Probed,
) -> Result<Vec<SiteRange>, LoadError> {
    let tolerance = verify::tolerance(model.homes());
    let close = |way: &'static str, found: &[f32], expected: &[f32], first: Option<Part>| {
        let distance = verify::distance(found, expected);
        tracing::debug!(way, distance, tolerance, "probed");
        // Not a number is no small distance either.
        if distance <= tolerance {
            return Ok(());
        }
        let module = first.unwrap_or(Part::Head).to_string();
        Err(LoadError::WaysDiffer { way, module, distance, tolerance })
    };
    let served = model.probe(input, Way::Served).map_err(LoadError::Probe)?;
    require_finite(&served.sites)?;
    let first = verify::first_different(&served.rows, &plain.rows, tolerance);
    let expected = plain.logits.unwrap_or_default();
    match &served.logits {
        Some(logits) => close("prefill kernels", logits, &expected, first)?,
        // The decoder serves by what was run already: its input is the same, so are its logits.
        None if served.features.is_empty() => {}
        None => {
            let first = first.or(Some(Part::Projector));
            close("vision kernels", &served.features, &plain.features, first)?;
        }
    }
    if let Some((logits, choices)) = model.probe_decoding(input).map_err(LoadError::Probe)? {
        let way = "decoding step";
        close(way, &logits, &expected, None)?;
        let expected = Choice::greedy(&logits, model.spec.image_token_id, None);
        let is_other =
            |one: &&Choice| (one.token, one.is_finite) != (expected.token, expected.is_finite);
        if let Some(choice) = choices.iter().find(is_other) {
            let (chosen, expected) = (choice.token, expected.token);
            return Err(LoadError::WrongChoice { way, chosen, expected });
        }
    }
    Ok(plain.sites.into_iter().chain(served.sites).collect())
}

impl InternVl {
    /// Loads one module again, computing in f32.
    fn move_to_f32(
        &mut self,
        module: &str,
        reason: String,
        weights: &Weights,
    ) -> Result<(), LoadError> {
        let found = self.homes().iter().find(|(part, _)| part.to_string() == module);
        let Some((part, home)) = found.map(|(part, home)| (part, home.in_f32(reason))) else {
            return Ok(());
        };
        match part {
            Part::Vision => self.vision = VisionTower::load(&self.config.vision, &home, weights)?,
            Part::Projector => self.projector = Projector::load(&self.config, &home, weights)?,
            _ => {}
        }
        self.decoder.reload(&self.config.text, weights, part, home)?;
        Ok(())
    }
}

/// What the model turned out to be.
fn spec(
    checkpoint: &Checkpoint,
    model: &InternVl,
    weights: &Weights,
    layout: &Layout,
    options: &LoadOptions,
    room: Room,
    image_token_id: u32,
) -> Result<ModelSpec, LoadError> {
    let (config, homes, devices) = (&model.config, model.homes(), &layout.devices);
    let placements = verify::placements(model)?;
    let per_layer = (2 * config.text.kv_heads * config.text.head_dim) as u64;
    let kv_bytes = |home: &Home| per_layer * home.decision.compute.size_bytes() as u64;
    let device_use = |(index, device): (usize, &DeviceHandle)| {
        let memory = device.gauge();
        let here = homes.layers.iter().filter(|home| home.index == index);
        DeviceUse {
            id: device.id.clone(),
            name: device.name.clone(),
            compute_capability: device.capability.map(|c| c.to_string()).unwrap_or_default(),
            total_bytes: memory.now().total_bytes,
            memory,
            weight_bytes: placements
                .iter()
                .filter(|placement| placement.device_id == device.id)
                .map(|placement| placement.weight_bytes)
                .sum(),
            kv_cache_bytes: here.map(kv_bytes).sum::<u64>()
                * (room.kv_blocks * BLOCK_TOKENS) as u64,
        }
    };
    // With the embedding's table; where it is a device too, it stands there already.
    let host = homes.host.as_ref().map(|host| &host.device);
    let host = host.filter(|host| devices.iter().all(|device| device.id != host.id));
    Ok(ModelSpec {
        replicas: 1,
        name: checkpoint.name(),
        revision: weights.revision(),
        vocab_size: config.text.vocab_size,
        tokens_per_tile: config.tokens_per_tile(),
        tile_size_px: config.vision.image_size as u32,
        image_token_id,
        slots: room.slots,
        slot_tokens: room.slot_tokens,
        kv_blocks: room.kv_blocks,
        block_tokens: BLOCK_TOKENS,
        prefill_tokens: layout.prefill_rows,
        row_tile: row_tile(homes),
        kv_bytes_per_token: homes.layers.iter().map(kv_bytes).sum(),
        passes: passes(homes),
        shares_kv: config.text.rope_dynamic_factor.is_none()
            || room.slot_tokens <= config.text.positions_max,
        kv_dtype: homes
            .layers
            .first()
            .map_or(homes.head.decision.compute, |home| home.decision.compute),
        policy: options.dtypes.clone(),
        devices: devices.iter().chain(host).enumerate().map(device_use).collect(),
        placements,
        links: model.decoder.links().used(),
        verification: Verification { tensors_compared: weights.compared(), probe: Vec::new() },
    })
}

/// What a pass's rows should be a multiple of.
fn row_tile(homes: &Homes) -> usize {
    let on_gpu = |home: &Home| !home.candle_device().is_cpu();
    if homes.layers.iter().all(on_gpu) { GPU_ROW_TILE } else { 1 }
}

/// As many as there are GPUs with layers; a CPU among them would work on one after the other.
fn passes(homes: &Homes) -> usize {
    let devices: BTreeSet<usize> = homes.layers.iter().map(|home| home.index).collect();
    let all_gpus = homes.layers.iter().all(|home| home.candle_device().is_cuda());
    if all_gpus { devices.len() } else { 1 }
}

pub(super) fn room(config: &Config, options: &LoadOptions) -> Room {
    let (slots, slot_tokens) = (options.slots.max(1), slot_tokens(config, options.slot_tokens));
    Room { slots, slot_tokens, kv_blocks: pool_blocks(slots, slot_tokens, options.kv_tokens) }
}

/// The context of a sequence: what was asked for, but beyond the trained context only where the
/// configuration says how positions are scaled there.
fn slot_tokens(config: &Config, requested: Option<usize>) -> usize {
    let trained = config.text.positions_max;
    match requested {
        Some(tokens) if config.text.rope_dynamic_factor.is_some() => tokens.max(1),
        Some(tokens) => tokens.clamp(1, trained),
        None => SLOT_TOKENS_DEFAULT.min(trained),
    }
}

/// A dtype that is not the one asked for is told once for each device and reason.
fn warn_of_fallbacks(homes: &Homes) {
    let mut told = Vec::new();
    for (_, home) in homes.iter() {
        let decision = &home.decision;
        let fact = (home.index, decision.reason.as_str());
        if !decision.reason.is_empty() && !told.contains(&fact) {
            told.push(fact);
            tracing::warn!(
                device = home.device.id,
                requested = %decision.requested,
                used = %decision.compute,
                "{}",
                decision.reason
            );
        }
    }
}

/// Stored tensors that the configuration does not account for mean that it is another model's.
fn warn_of_unused(weights: &Weights) {
    let unused: Vec<String> = weights
        .unused()
        .into_iter()
        // Recomputed from the configuration.
        .filter(|name| !name.ends_with("rotary_emb.inv_freq"))
        .collect();
    if let Some(first) = unused.first() {
        tracing::warn!(
            count = unused.len(),
            first,
            "stored tensors that config.json has no use for"
        );
    }
}

#[cfg(test)]
mod tests;
