//! From options to places: opens the devices, asks the planner, and says where each part lives.

use super::config::Config;
use super::cost::{VISION_BATCH_TILES_GPU, cost};
use super::home::{Home, Homes};
use super::host_table::Host;
use super::load::{LoadError, LoadOptions, room};
use super::observe::Part;
use crate::device::{self, ComputeCapability, DeviceHandle, DeviceRequest, DeviceSelection};
use crate::model::cache::BLOCK_TOKENS;
use crate::placement::{
    Demand, DeviceMap, DeviceSpec, DtypeOverride, DtypePolicy, FleetError, ModelCost, Plan,
    PlanError, PlannedModule, limit_memory, plan,
};
use crate::weights::Weights;

/// Prompt tokens of one step where nobody says, which the memory of intermediate results goes by. A GPU of this
/// compute capability takes in a thousand in some twenty milliseconds, and reads its weights and the answers' cache for
/// each step; on others answers that are being generated would wait for long.
const PREFILL_ROWS_FAST: (ComputeCapability, usize) =
    (ComputeCapability { major: 9, minor: 0 }, 1024);
const PREFILL_ROWS_DEFAULT: usize = 512;

/// How modules are spread.
#[derive(Debug, Clone, Default)]
pub struct LayoutOptions {
    pub map: DeviceMap,
    /// `0=20GiB,cpu=32GiB`; none: what is free.
    pub max_memory: Option<String>,
    /// Prompt tokens of one step; none: as many as suit the devices.
    pub prefill_rows: Option<usize>,
    /// The embedding's table stays in the host's memory, where its rows begin on a GPU.
    pub host_embedding: bool,
}

/// Why the model cannot be placed.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error("--max-memory: {0}")]
    Memory(#[from] FleetError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(
        "the model does not fit: {problems}; `tessera plan` with the same options shows what would"
    )]
    DoesNotFit { problems: String },
}

/// Devices in use, and who lives on them.
pub(super) struct Layout {
    pub(super) devices: Vec<DeviceHandle>,
    pub(super) homes: Homes,
    /// Prompt tokens of one step that there is memory for.
    pub(super) prefill_rows: usize,
    pub(super) budget: Budget,
}

/// What was planned with, for counting again where modules turn out to need more.
pub(super) struct Budget {
    cost: ModelCost,
    /// With the memory that they had before anything was loaded.
    devices: Vec<DeviceSpec>,
    /// Where each module is.
    map: DeviceMap,
    demand: Demand,
}

impl Budget {
    /// What is missing where modules stay where they are and `overrides` come after those of `policy`; empty where
    /// there is room.
    pub(super) fn missing(
        &self,
        policy: &DtypePolicy,
        overrides: &[DtypeOverride],
    ) -> Result<Vec<String>, LayoutError> {
        let mut policy = policy.clone();
        policy.overrides.extend_from_slice(overrides);
        let plan = plan(&self.cost, &self.devices, &self.map, &policy, &self.demand)?;
        Ok(plan.problems.iter().map(ToString::to_string).collect())
    }
}

/// Opens devices and places every part. Nothing is loaded where the plan does not fit.
pub(super) fn decide(
    config: &Config,
    weights: &Weights,
    options: &LoadOptions,
) -> Result<Layout, LoadError> {
    let (opened, others) = open_for(options)?;
    let mut specs = DeviceSpec::of_opened(&opened, &others);
    if let Some(limits) = &options.layout.max_memory {
        limit_memory(&mut specs, &others, limits).map_err(LayoutError::from)?;
    }
    let mut cost = cost(config);
    // A stored output matrix wins over a configuration that says it is the embedding.
    cost.tied_head &= !weights.contains("language_model.lm_head.weight");
    cost.host_embedding = options.layout.host_embedding;
    let demand = demand(config, options, &specs);
    let plan = plan(&cost, &specs, &options.layout.map, &options.dtypes, &demand)
        .map_err(LayoutError::from)?;
    if !plan.fits {
        let problems: Vec<String> = plan.problems.iter().map(ToString::to_string).collect();
        return Err(LayoutError::DoesNotFit { problems: problems.join("; ") }.into());
    }
    let on_device =
        |module: &PlannedModule| (module.module.clone(), specs[module.device].id.clone());
    let map = DeviceMap::Explicit(plan.placements.iter().map(on_device).collect());
    let budget = Budget { cost, devices: specs, map, demand };
    let mut layout = layout(config, &opened, &plan, budget);
    if plan.placements.iter().any(|module| module.on_host) {
        let host = DeviceSelection::Listed(vec![DeviceRequest::Cpu]);
        let host = device::open(&host)?.into_iter().next();
        layout.homes.host = host.map(|device| Host { device, tables: options.tables.clone() });
    }
    Ok(layout)
}

/// What loading with `options` asks of `devices`. The KV cache is made of whole blocks.
pub fn demand(config: &Config, options: &LoadOptions, devices: &[DeviceSpec]) -> Demand {
    let room = room(config, options);
    let on_gpu = devices.iter().any(|device| device.capability.is_some());
    Demand {
        slots: room.slots,
        slot_tokens: room.slot_tokens.next_multiple_of(BLOCK_TOKENS),
        // All slots full, unless it is said.
        kv_tokens: options.kv_tokens.map(|_| room.kv_blocks * BLOCK_TOKENS),
        // Tiles of several pages go together.
        tiles: if on_gpu { VISION_BATCH_TILES_GPU } else { 1 },
        prefill_rows: options.layout.prefill_rows.unwrap_or_else(|| prefill_rows(devices)),
    }
}

fn prefill_rows(devices: &[DeviceSpec]) -> usize {
    let (fast, rows) = PREFILL_ROWS_FAST;
    // The slowest counts: what it is at holds up all others.
    let all_fast = devices.iter().all(|device| device.capability.is_some_and(|has| has >= fast));
    if all_fast && !devices.is_empty() { rows } else { PREFILL_ROWS_DEFAULT }
}

/// The devices to plan with, and the names of those that other replicas have. A map that names its devices
/// needs no list of them beside it.
fn open_for(options: &LoadOptions) -> Result<(Vec<DeviceHandle>, Vec<String>), LoadError> {
    let (map, selection) = (&options.layout.map, &options.devices);
    let one = |request| DeviceSelection::Listed(vec![request]);
    let (mut opened, others) = match (map, selection) {
        (DeviceMap::Single(id), DeviceSelection::Auto) => {
            (device::open(&one(id.parse()?))?, Vec::new())
        }
        _ => device::open_share(selection, options.share)?,
    };
    if let (DeviceMap::Explicit(entries), DeviceSelection::Auto) = (map, selection) {
        let wants_cpu = entries.values().any(|id| id == "cpu");
        if wants_cpu && opened.iter().all(|device| device.id != "cpu") {
            opened.extend(device::open(&one(DeviceRequest::Cpu))?);
        }
    }
    Ok((opened, others))
}

/// The plan with its devices' handles; devices that got nothing are closed.
fn layout(config: &Config, opened: &[DeviceHandle], plan: &Plan, budget: Budget) -> Layout {
    let mut used: Vec<usize> = plan.placements.iter().map(|module| module.device).collect();
    used.sort_unstable();
    used.dedup();
    let home = |part: Part| {
        let name = part.to_string();
        // The planner places every module of the cost table, which has every part.
        let planned = plan.placements.iter().find(|planned| planned.module == name);
        let planned = planned.unwrap_or(&plan.placements[0]);
        let index = used.iter().position(|device| *device == planned.device).unwrap_or(0);
        Home { index, device: opened[planned.device].clone(), decision: planned.decision.clone() }
    };
    let homes = Homes {
        host: None,
        vision: home(Part::Vision),
        projector: home(Part::Projector),
        embedding: home(Part::Embedding),
        layers: (0..config.text.layers).map(|index| home(Part::Layer(index))).collect(),
        norm: home(Part::Norm),
        head: home(Part::Head),
    };
    let devices = used.iter().map(|device| opened[*device].clone()).collect();
    Layout { devices, homes, prefill_rows: budget.demand.prefill_rows, budget }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Share;
    use crate::placement::parse_devices;
    use crate::weights::WeightSource;

    /// Each replica plans with its part of the host's memory, as `tessera plan` shows it.
    #[test]
    fn replicas_on_cpus_share_the_host_s_memory() {
        let checkpoint = crate::checkpoint::Checkpoint::Embedded;
        let config = Config::load(&checkpoint).unwrap();
        let weights = Weights::open(&checkpoint, WeightSource::Files).unwrap();
        let memory = |replicas| -> Vec<u64> {
            let of = |replica| {
                let options = LoadOptions {
                    devices: "cpu,cpu,cpu,cpu".parse().unwrap(),
                    share: Share { replica, replicas },
                    ..LoadOptions::default()
                };
                let layout = decide(&config, &weights, &options).unwrap();
                layout.budget.devices.iter().map(|spec| spec.memory_bytes).collect::<Vec<_>>()
            };
            (0..replicas).flat_map(of).collect()
        };
        let (together, apart) = (memory(1), memory(2));
        assert_eq!((together.len(), apart.len()), (4, 4));
        // What is free changes between two looks at it.
        let alike = |(one, other): (&u64, &u64)| one.abs_diff(*other) < one / 4;
        assert!(together.iter().zip(&apart).all(alike), "{together:?} {apart:?}");
    }

    #[test]
    fn the_slowest_device_says_how_much_of_a_prompt_a_step_takes() {
        let config = Config::load(&crate::checkpoint::Checkpoint::Embedded).unwrap();
        let rows = |devices: &str, asked: Option<usize>| {
            let layout = LayoutOptions { prefill_rows: asked, ..LayoutOptions::default() };
            let options = LoadOptions { layout, ..LoadOptions::default() };
            demand(&config, &options, &parse_devices(devices, 1 << 34).unwrap()).prefill_rows
        };
        let auto =
            ["1xH100", "2xH200", "1xA10", "4xV100-32GB", "1xH100,1xA10", "1xH100,cpu", "cpu"];
        let expected = [1024, 1024, 512, 512, 512, 512, 512];
        assert_eq!(auto.map(|devices| rows(devices, None)), expected);
        assert_eq!((rows("1xH100", Some(77)), rows("cpu", Some(2048))), (77, 2048));
    }
}
