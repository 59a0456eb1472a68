//! `tessera doctor`: what this machine is, what it would compute in and why, and whether it computes
//! right: the checks that people wrote by hand when their GPUs answered `!!!!`.

mod view;

use std::sync::Arc;

use clap::Args;

use super::failure::{Exit, Failure};
use super::term::{StatusLine, Style, Term, print};
use crate::app::load::Loader;
use crate::checkpoint::EMBEDDED_NAME;
use crate::config::env::ProcessEnv;
use crate::config::{self, Config, Key, LoadFlags, Low};
use crate::device::{self, DeviceHandle, Links};
use crate::model::{ModelSpec, Runner as _};

const AFTER_HELP: &str = "\
Loads the model that the options name, by default the built-in one, exactly as `tessera serve` would,
and reads a bundled receipt with it. Options are taken where serve takes them: flags before TESSERA_*
variables before the file of --config. The first lines say which model they name, and which of them did.

Exit code:
  0  everything that was checked is right
  1  something is not; the last line says what
  2  the command line is wrong

Examples:
  tessera doctor
  tessera doctor --devices cuda:0,cuda:1
  tessera doctor --model ./InternVL3-8B --dtype bf16 --dtype-policy strict
  tessera doctor --model ./InternVL3-8B --verify full
  tessera doctor --config /etc/tessera/tessera.toml --verify full";

/// Check GPUs, copies between them, dtypes and the numbers that a model computes here
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    flags: LoadFlags,
}

pub(super) fn run(args: &DoctorArgs, term: &Term) -> Result<(), Failure> {
    let low = Low::gather(&args.flags.0, &ProcessEnv).for_loading();
    let config =
        config::check(&low).map_err(|problems| Failure::new(Exit::Usage, problems.to_string()))?;
    show(&view::configuration(&config, &low.source(Key::Model), term))?;
    let devices = device::open(&config.model.devices).map_err(|error| {
        Failure::new(Exit::Failed, "no device to check").because(&error).remedy("--devices cpu")
    })?;
    show(&view::machine(&devices, term))?;
    check_links(&devices, term)?;
    let spec = load(&config, term)?;
    show(&view::model(&spec, term))?;
    print(&term.paint(Style::Good, "healthy: everything that was checked is right"))?;
    Ok(())
}

fn show(lines: &[String]) -> Result<(), Failure> {
    for line in lines {
        print(line)?;
    }
    Ok(())
}

/// Copies between every two devices, in both directions.
fn check_links(devices: &[DeviceHandle], term: &Term) -> Result<(), Failure> {
    let count = devices.len();
    if count < 2 {
        return Ok(());
    }
    let pairs: Vec<(usize, usize)> =
        (0..count).flat_map(|from| (0..count).map(move |to| (from, to))).collect();
    let links = Links::open(devices, &pairs).map_err(|error| {
        Failure::new(Exit::Failed, "copies between devices are wrong")
            .because(&error)
            .remedy("one device only: --devices cuda:0")
    })?;
    show(&view::links(&links.used(), term))
}

/// The model as a server would have it: planned, loaded, verified and probed, as often as there are replicas.
fn load(config: &Config, term: &Term) -> Result<ModelSpec, Failure> {
    let name = config.model.checkpoint.name();
    let failed = |error: &dyn std::error::Error| {
        let failure = Failure::new(Exit::Failed, format!("{name} is not fit to serve here"));
        let failure = failure.because(error);
        if name == EMBEDDED_NAME {
            failure.remedy("another of --devices, or --dtype f32, to see which of them is at fault")
        } else {
            let remedy = "to see whether the machine is at fault";
            failure.remedy(format!("tessera doctor --model {EMBEDDED_NAME}, {remedy}"))
        }
    };
    let mut line = StatusLine::new(term);
    // All of them at once: each takes its memory, as when they serve.
    let mut replicas = Vec::new();
    for loader in Loader::new(config).shares() {
        match loader.load_runner(&mut |step| line.draw(step)) {
            Ok(replica) => replicas.push(replica),
            Err(error) => {
                line.clear();
                return Err(failed(error.as_ref()));
            }
        }
    }
    line.clear();
    let specs: Vec<_> = replicas.iter().map(|one| Arc::new(one.spec().clone())).collect();
    Ok(ModelSpec::of_replicas(&specs))
}
