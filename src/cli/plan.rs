//! `tessera plan`: where a model would go on some devices, and whether it fits, before anything is
//! loaded or bought.

mod json;
mod view;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::failure::{Exit, Failure};
use super::term::{Style, Term, print};
use crate::app::load::tiles_per_page;
use crate::checkpoint::{Checkpoint, EMBEDDED_NAME};
use crate::config::value;
use crate::device::{self, DeviceError, DeviceRequest, DeviceSelection, Dtype};
use crate::limits;
use crate::model::internvl;
use crate::placement::{
    self, Advice, Demand, DeviceMap, DeviceSpec, DtypeOverride, DtypePolicy, Plan, PolicyMode,
    Quantization, advise, limit_memory, parse_devices,
};

/// Tokens of a page beside its tiles: the question with its template, and a receipt's answer.
const PROMPT_TOKENS: usize = 256;
const ANSWER_TOKENS: usize = 512;

const AFTER_HELP: &str = "\
Devices:
  live, cuda:0,cuda:1        this machine's, with what is free of them
  4xV100-32GB, 1xA100-80GB,2xA10, cpu    also V100-16GB, T4, A100-40GB, L4, L40S, H100, H200
  mine:24GiB:cc8.6           any other: a name, its memory, its compute capability

Device maps:
  auto            one device if the model fits there, else contiguous stages on the fewest that it
                  fits on
  balanced, balanced_low_0, sequential   as transformers and accelerate have them (their auto is
                  balanced here)
  internvl        as the model's authors split it: the first GPU counts as half
  cuda:N, cpu     everything on one device
  FILE.json       {\"vision_model\": 0, \"language_model.model.layers.0\": \"cuda:1\", …}

Exit code:
  0  it fits
  1  it does not; what would is printed
  2  the command line, the configuration or the device map is wrong

Examples:
  tessera plan --model ./InternVL3-8B --devices 2xA10
  tessera plan --model ./InternVL3-8B --devices 4xV100-32GB --device-map balanced --slots 8
  tessera plan --model ./InternVL3-8B --devices 4xA10 --replicas 4
  tessera plan --model ./InternVL3-8B --devices 1xT4 --quantize q8 --json";

/// Show where a model would go on some devices, and whether it fits
///
/// Computes weights, KV cache and activations of each device from the model's config.json. No weights
/// are needed, and no GPU.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct PlanArgs {
    /// Directory with config.json; tessera-tiny is built in
    #[arg(long, value_name = "DIR", default_value = EMBEDDED_NAME)]
    model: PathBuf,
    /// How modules are spread: auto, balanced, internvl, cuda:N, cpu, a JSON file, …
    #[arg(long, value_name = "MAP", default_value = "auto")]
    device_map: String,
    /// The devices: live, or for example 4xV100-32GB
    #[arg(long, value_name = "LIST", default_value = "live")]
    devices: String,
    /// Equal models behind one endpoint, each on its part of the devices
    #[arg(long, value_name = "N", default_value = "1", value_parser = count(limits::REPLICAS_MAX))]
    replicas: u64,
    /// Use less memory than there is: 0=20GiB,1=22GiB,cpu=32GiB
    #[arg(long, value_name = "LIST")]
    max_memory: Option<String>,
    /// f32, bf16, f16, or auto: the best that each device computes reliably
    #[arg(long, value_name = "DTYPE", default_value = "auto")]
    dtype: String,
    /// What happens where a device has not the dtype asked for
    #[arg(long, value_enum, value_name = "POLICY", default_value = "fallback")]
    dtype_policy: Policy,
    /// A dtype for some modules: vision=f32, layers.0-3=bf16
    #[arg(long, value_name = "MODULE=DTYPE", value_delimiter = ',')]
    dtype_override: Vec<DtypeOverride>,
    /// Store the matrices of the decoder in 8 bits
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "none")]
    quantize: Format,
    /// Where the embedding's table is: host leaves it in the host's memory
    #[arg(long, value_enum, value_name = "PLACE", default_value = "device")]
    embedding: Table,
    /// Requests that run at once
    #[arg(long, value_name = "N", default_value = "4", value_parser = count(limits::RUNNING_REQUESTS_MAX))]
    slots: u64,
    /// Context of one request, pages and answer together; at most the model's own
    #[arg(long, value_name = "N", default_value = "8192", value_parser = count(1 << 20))]
    slot_tokens: u64,
    /// Tokens of all requests together that the KV cache holds; auto: slots times slot-tokens
    #[arg(long, value_name = "N", default_value = "auto", value_parser = count_or_auto(limits::KV_TOKENS_MAX))]
    kv_tokens: OrAuto,
    /// Most prompt tokens taken in per step; auto: as the devices suit
    #[arg(long, value_name = "N", default_value = "auto", value_parser = count_or_auto(limits::PREFILL_CHUNK_TOKENS_MAX))]
    prefill_chunk: OrAuto,
    /// Most tiles a page is cut into; auto: as the model was trained
    #[arg(long, value_name = "N", default_value = "auto", value_parser = count_or_auto(limits::TILES_PER_PAGE_MAX as usize))]
    max_tiles: OrAuto,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What happens where a dtype cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    Strict,
    Fallback,
}

/// Where the embedding's table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    Device,
    Host,
}

/// Weights in fewer bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    None,
    Q8,
    Fp8,
}

/// A number; none where it is left to the model or to other options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OrAuto(Option<usize>);

/// A whole number from 1 to `max`.
fn count(max: usize) -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=max as u64)
}

/// A whole number from 1 to `max`, or `auto`; as the server reads it.
fn count_or_auto(max: usize) -> impl Fn(&str) -> Result<OrAuto, value::Wrong> + Clone {
    move |text| value::count_or_auto(text, &(1..=max)).map(OrAuto)
}

/// What one page takes of the KV cache.
#[derive(Debug, Clone, Copy)]
struct Page {
    tiles: usize,
    tokens_per_tile: usize,
}

impl Page {
    fn tokens(self) -> usize {
        self.tiles * self.tokens_per_tile + PROMPT_TOKENS + ANSWER_TOKENS
    }
}

/// A plan with all that is to say about it.
struct Report {
    model: String,
    map: String,
    demand: Demand,
    page: Page,
    plan: Plan,
    advice: Vec<Advice>,
}

pub(super) fn run(args: &PlanArgs, term: &Term) -> Result<(), Failure> {
    let devices = devices(args)?;
    let shares = shares(&devices, args.replicas as usize)?;
    let reports =
        shares.iter().map(|share| report(args, share)).collect::<Result<Vec<_>, Failure>>()?;
    let fits = reports.iter().all(|report| report.plan.fits);
    match &reports[..] {
        [report] if args.json => print(&json::text(report))?,
        all if args.json => print(&json::of_replicas(all))?,
        all => {
            for (number, report) in (1..).zip(all) {
                if all.len() > 1 {
                    print(&term.paint(Style::Bold, &format!("replica {number} of {}", all.len())))?;
                }
                for line in view::lines(report, term) {
                    print(&line)?;
                }
            }
        }
    }
    if fits { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
}

/// The devices of each replica, as the server divides them.
fn shares(devices: &[DeviceSpec], replicas: usize) -> Result<Vec<Vec<DeviceSpec>>, Failure> {
    if !devices.len().is_multiple_of(replicas) {
        let ids: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
        return Err(usage(&DeviceError::Uneven { replicas, devices: ids.join(", ") }));
    }
    Ok(devices.chunks(devices.len() / replicas).map(<[_]>::to_vec).collect())
}

fn report(args: &PlanArgs, devices: &[DeviceSpec]) -> Result<Report, Failure> {
    let checkpoint = Checkpoint::open(&args.model).map_err(|error| usage(&error))?;
    let config = internvl::Config::load(&checkpoint).map_err(|error| usage(&error))?;
    let mut cost = internvl::cost(&config);
    cost.tied_head &= !stores_head(&checkpoint);
    cost.host_embedding = args.embedding == Table::Host;
    let map = device_map(&args.device_map)?;
    let policy = policy(args)?;
    let max_tiles = args.max_tiles.0.map(|tiles| tiles as u32);
    let tiles = tiles_per_page(&checkpoint, max_tiles).map_err(|error| usage(&error))?;
    let page = Page { tiles: tiles as usize, tokens_per_tile: cost.tokens_per_tile };
    let demand = demand(args, &config, devices);
    let plan =
        placement::plan(&cost, devices, &map, &policy, &demand).map_err(|error| usage(&error))?;
    let advice = advise(&cost, devices, &map, &policy, &demand, page.tokens());
    let map = if matches!(map, DeviceMap::Explicit(_)) {
        args.device_map.clone()
    } else {
        map.to_string()
    };
    Ok(Report { model: checkpoint.name(), map, demand, page, plan, advice })
}

fn usage(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
}

fn devices(args: &PlanArgs) -> Result<Vec<DeviceSpec>, Failure> {
    let wrong = |option: &str, error: &dyn std::error::Error| {
        Failure::new(Exit::Usage, format!("{option}: {error}"))
    };
    let mut devices = match live(&args.devices) {
        Some(selection) => {
            let opened = device::open(&selection).map_err(|error| wrong("--devices", &error))?;
            DeviceSpec::of_opened(&opened, &[])
        }
        None => parse_devices(&args.devices, host_bytes())
            .map_err(|error| wrong("--devices", &error))?,
    };
    if let Some(limits) = &args.max_memory {
        limit_memory(&mut devices, &[], limits).map_err(|error| wrong("--max-memory", &error))?;
    }
    Ok(devices)
}

/// The devices of this machine that `text` means, as the server's own option has them; none where it names others.
fn live(text: &str) -> Option<DeviceSelection> {
    if text.trim() == "live" {
        return Some(DeviceSelection::Auto);
    }
    let selection: DeviceSelection = text.parse().ok()?;
    let is_gpu = |device: &DeviceRequest| matches!(device, DeviceRequest::Cuda(_));
    match &selection {
        DeviceSelection::Auto => Some(selection),
        DeviceSelection::Listed(listed) => listed.iter().any(is_gpu).then_some(selection),
    }
}

/// What is free of this machine's memory.
fn host_bytes() -> u64 {
    let cpu = device::open(&DeviceSelection::Listed(vec![DeviceRequest::Cpu])).unwrap_or_default();
    cpu.first().map_or(0, |cpu| cpu.memory().free_bytes)
}

/// Read as the server reads it.
fn device_map(text: &str) -> Result<DeviceMap, Failure> {
    value::device_map(text).map_err(|wrong| {
        // The reason has the remedy in it.
        Failure::new(Exit::Usage, format!("--device-map {text:?} {}", wrong.reason))
    })
}

fn policy(args: &PlanArgs) -> Result<DtypePolicy, Failure> {
    let requested = match args.dtype.as_str() {
        "auto" => None,
        name => Some(
            name.parse::<Dtype>()
                .map_err(|error| Failure::new(Exit::Usage, format!("--dtype: {error}, or auto")))?,
        ),
    };
    Ok(DtypePolicy {
        requested,
        mode: match args.dtype_policy {
            Policy::Strict => PolicyMode::Strict,
            Policy::Fallback => PolicyMode::Fallback,
        },
        overrides: args.dtype_override.clone(),
        quantization: match args.quantize {
            Format::None => None,
            Format::Q8 => Some(Quantization::Q8),
            Format::Fp8 => Some(Quantization::Fp8),
        },
    })
}

/// As the server would run it.
fn demand(args: &PlanArgs, config: &internvl::Config, devices: &[DeviceSpec]) -> Demand {
    let layout = internvl::LayoutOptions {
        prefill_rows: args.prefill_chunk.0,
        ..internvl::LayoutOptions::default()
    };
    let options = internvl::LoadOptions {
        layout,
        slots: args.slots as usize,
        slot_tokens: Some(args.slot_tokens as usize),
        kv_tokens: args.kv_tokens.0,
        ..internvl::LoadOptions::default()
    };
    internvl::demand(config, &options, devices)
}

/// Whether the checkpoint has an output matrix of its own although its configuration says otherwise,
/// as some published ones do. Without weights the configuration is believed.
fn stores_head(checkpoint: &Checkpoint) -> bool {
    use crate::weights::{WeightSource, Weights};
    Weights::open(checkpoint, WeightSource::Files)
        .is_ok_and(|weights| weights.contains("language_model.lm_head.weight"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Key;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        plan: PlanArgs,
    }

    fn args(extra: &[&str]) -> PlanArgs {
        Command::parse_from([&["plan"], extra].concat()).plan
    }

    #[test]
    fn defaults_are_the_server_s() {
        let args = args(&[]);
        for (value, key) in [(args.slots, Key::Slots), (args.slot_tokens, Key::SlotTokens)] {
            assert_eq!(value.to_string(), key.spec().default, "{}", key.name());
        }
        assert_eq!((args.prefill_chunk.0, Key::PrefillChunk.spec().default), (None, "auto"));
    }

    #[test]
    fn the_built_in_model_fits_here() {
        let args = args(&["--device-map", "cpu"]);
        let report = report(&args, &devices(&args).unwrap()).unwrap();
        assert_eq!((report.model.as_str(), report.plan.fits), (EMBEDDED_NAME, true));
        assert_eq!(report.plan.devices[0].spec.capability, None);
        // Its context is shorter than the default slot; its pages have 4 tiles and an overview.
        assert_eq!(report.demand.slot_tokens, 4096);
        assert_eq!(report.page.tokens(), 5 * 256 + 768);
    }

    #[test]
    fn policies_are_read() {
        let args = args(&[
            "--dtype=bf16",
            "--dtype-policy=strict",
            "--dtype-override=vision=f32,layers.0-1=f16",
            "--quantize=q8",
        ]);
        let policy = policy(&args).unwrap();
        assert_eq!((policy.requested, policy.mode), (Some(Dtype::Bf16), PolicyMode::Strict));
        let overrides: Vec<String> = policy.overrides.iter().map(ToString::to_string).collect();
        assert_eq!(overrides, ["vision=f32", "layers.0-1=f16"]);
        assert_eq!(policy.quantization, Some(Quantization::Q8));
    }
}
