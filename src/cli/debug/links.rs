//! `tessera debug links`: many patterns over every copy between devices, beside the tensor library's
//! own copy, which does not order its consumer.

use clap::Args;

use crate::cli::failure::{Exit, Failure};
use crate::cli::term::print;
use crate::device::{self, DeviceRequest, DeviceSelection, LinkRoute, LinkTrial, Links};

/// Copy patterns between devices and compare them bit for bit
///
/// Exit code 1 if any copy was wrong.
#[derive(Debug, Args)]
pub(in crate::cli) struct LinksArgs {
    /// `cuda:0,cuda:1`, `cpu,cpu` or auto: all GPUs
    #[arg(long, value_name = "LIST", default_value = "auto")]
    devices: String,
    /// Patterns in each direction
    #[arg(long, value_name = "N", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..))]
    checks: u32,
    /// Also the tensor library's own copy between GPUs, which is known to be wrong
    #[arg(long)]
    library: bool,
}

pub(super) fn run(args: &LinksArgs) -> Result<(), Failure> {
    let usage = |error: &dyn std::error::Error| Failure::new(Exit::Usage, error.to_string());
    let failed =
        |error: &dyn std::error::Error| Failure::new(Exit::Failed, "copies fail").because(error);
    let selection: DeviceSelection = args.devices.parse().map_err(|error| usage(&error))?;
    let devices = device::open(&selection).map_err(|error| usage(&error))?;
    let count = devices.len();
    if count < 2 {
        return Err(Failure::new(Exit::Usage, "there is one device only")
            .remedy("--devices with two or more, for example cuda:0,cuda:1"));
    }
    let pairs: Vec<(usize, usize)> = (0..count)
        .flat_map(|from| (0..count).map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
        .collect();
    let links = Links::open(&devices, &pairs).map_err(|error| failed(&error))?;
    let mut wrong = 0;
    for (link, (from, to)) in links.used().iter().zip(&pairs) {
        let route = match link.route {
            LinkRoute::Host => "host",
            LinkRoute::Peer => "peer",
            LinkRoute::Staged => "staged",
        };
        let trial = links.trial(*from, *to, args.checks).map_err(|error| failed(&error))?;
        wrong += trial.wrong;
        print(&line(&link.from, &link.to, route, &trial))?;
    }
    if args.library {
        library(&devices, args.checks.min(400)).map_err(|error| failed(&error))?;
    }
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::new(Exit::Failed, format!("{wrong} copies were wrong"))),
    }
}

fn line(from: &str, to: &str, route: &str, trial: &LinkTrial) -> String {
    format!(
        "{from} -> {to} {route:<8} {} of {} wrong, {:.1} GB/s, hop {:.1} us",
        trial.wrong,
        trial.checks,
        trial.bytes_per_second / 1e9,
        trial.hop_seconds * 1e6,
    )
}

/// The first two GPUs, without our links. What is wrong there is no failure of this program.
fn library(devices: &[device::DeviceHandle], checks: u32) -> candle_core::Result<()> {
    let ordinals: Vec<usize> = devices
        .iter()
        .filter_map(|device| match device.id.parse() {
            Ok(DeviceRequest::Cuda(ordinal)) => Some(ordinal),
            _ => None,
        })
        .collect();
    if let [from, to, ..] = ordinals[..] {
        let trial = LinkTrial::of_library(from, to, checks)?;
        let (from, to) = (format!("cuda:{from}"), format!("cuda:{to}"));
        // A closed stdout is no reason to fail.
        let _ = print(&line(&from, &to, "library", &trial));
    }
    Ok(())
}
