//! What the doctor found, as lines.

use crate::cli::term::{Style, Term};
use crate::config::{Config, Source};
use crate::device::{self, DeviceHandle, Dtype, Link, LinkRoute};
use crate::model::{ModelSpec, Placement, SiteRange};
use crate::placement::{Bytes, PolicyMode};

/// Largest finite number.
fn max_of(dtype: Dtype) -> f32 {
    match dtype {
        Dtype::F16 => 65_504.0,
        Dtype::Bf16 => 3.39e38,
        Dtype::F32 => f32::MAX,
    }
}

/// Which model this is about, and who said so: `from` names the flag, the variable, or the place in the file.
pub(super) fn configuration(config: &Config, from: &Source, term: &Term) -> Vec<String> {
    let model = &config.model.checkpoint;
    let mut lines = vec![term.paint(Style::Bold, "Configuration")];
    lines.push(format!("  model    {model}, by {from}"));
    // What a link leads to now is what is read.
    let resolved = model.resolved().ok().filter(|resolved| resolved != model);
    lines.extend(resolved.map(|resolved| format!("           which is {resolved}")));
    let warning = |warning: &String| format!("  {} {warning}", term.paint(Style::Bold, "!"));
    lines.extend(config.warnings.iter().map(warning));
    lines
}

pub(super) fn machine(devices: &[DeviceHandle], term: &Term) -> Vec<String> {
    let mut lines = vec![term.paint(Style::Bold, "Machine")];
    let build = if device::CUDA_COMPILED { "with CUDA" } else { "without CUDA: GPUs are not seen" };
    lines.push(format!("  build    {build}"));
    lines.push(format!("  driver   {}", device::driver().as_deref().unwrap_or("no NVIDIA driver")));
    if let Some(reason) = device::without_gpus() {
        lines.push(format!("  gpus     {}: {reason}", term.paint(Style::Bad, "none")));
    }
    for handle in devices {
        let memory = handle.memory();
        let ability = match handle.capability {
            None => "computes in f32".to_owned(),
            Some(capability) if capability.has_bf16() => {
                format!("compute capability {capability}, native bf16")
            }
            Some(capability) => {
                format!("compute capability {capability}, no bf16: f16 with f32 sums")
            }
        };
        lines.push(format!(
            "  {:<8} {}, {} free of {}, {ability}",
            handle.id,
            handle.name,
            Bytes(memory.free_bytes),
            Bytes(memory.total_bytes)
        ));
    }
    lines
}

pub(super) fn links(links: &[Link], term: &Term) -> Vec<String> {
    let mut lines = vec![term.paint(Style::Bold, "Copies between devices")];
    for link in links {
        let route = match link.route {
            LinkRoute::Host => "host memory".to_owned(),
            LinkRoute::Peer => term.paint(Style::Good, "peer"),
            LinkRoute::Staged => term.paint(Style::Bad, "staged through host memory"),
        };
        let speed = match link.bytes_per_second {
            0.0 => String::new(),
            speed => format!(", {:.0} GB/s", speed / 1e9),
        };
        let reason =
            if link.reason.is_empty() { String::new() } else { format!(" ({})", link.reason) };
        lines.push(format!(
            "  {} -> {}: {route}{speed}, {} of {} patterns right{reason}",
            link.from, link.to, link.checks, link.checks
        ));
    }
    lines
}

pub(super) fn model(spec: &ModelSpec, term: &Term) -> Vec<String> {
    let mut lines =
        vec![term.paint(Style::Bold, &format!("Model {} ({})", spec.name, spec.revision))];
    let policy = &spec.policy;
    let mode = match policy.mode {
        PolicyMode::Strict => "strict",
        PolicyMode::Fallback => "fallback",
    };
    let asked = policy.requested.map_or_else(|| "auto".to_owned(), |dtype| dtype.to_string());
    lines.push(format!("  dtype    {asked} asked for, policy {mode}"));
    for placement in grouped(&spec.placements) {
        lines.push(format!("  {placement}"));
    }
    let tensors: usize = spec.placements.iter().map(|placement| placement.tensors).sum();
    lines.push(format!(
        "  verified {tensors} tensors are on the device and in the dtype named above"
    ));
    if spec.verification.tensors_compared > 0 {
        let compared = spec.verification.tensors_compared;
        lines.push(format!("  compared {compared} tensors with the file, bit for bit"));
    }
    lines.extend(probe(&spec.verification.probe, term));
    lines
}

/// Neighbours with the same device and dtypes, as one entry.
fn grouped(placements: &[Placement]) -> Vec<String> {
    let alike = |a: &Placement, b: &Placement| {
        (&a.device_id, a.weights, a.compute_dtype, a.residual_dtype, &a.dtype_reason)
            == (&b.device_id, b.weights, b.compute_dtype, b.residual_dtype, &b.dtype_reason)
    };
    placements
        .chunk_by(alike)
        .map(|group| {
            let (first, last) = (&group[0], &group[group.len() - 1]);
            let bytes = group.iter().map(|placement| placement.weight_bytes).sum();
            let names = if group.len() == 1 {
                first.module.clone()
            } else {
                format!("{} ... {}", first.module, last.module)
            };
            let reason = if first.dtype_reason.is_empty() {
                String::new()
            } else {
                format!(", not {}: {}", first.requested_dtype, first.dtype_reason)
            };
            format!(
                "{:<8} {names}: weights {} ({}), products of {}, sums f32, residual {}{reason}",
                first.device_id,
                first.weights,
                Bytes(bytes),
                first.compute_dtype,
                first.residual_dtype,
            )
        })
        .collect()
}

/// What serves by other operations than those that show every place.
fn kernels(sites: &[SiteRange]) -> String {
    let served = sites.iter().filter(|site| site.site.starts_with("served_"));
    let mut modules: Vec<&str> = served.map(|site| site.module.as_str()).collect();
    modules.dedup();
    let of = match modules[..] {
        [] => return "  kernels  none of its own: the model serves by these operations".to_owned(),
        [first, _, .., last] => format!("{first} ... {last}"),
        _ => modules.join(", "),
    };
    format!("  kernels  of {of}: compared with these operations, alike")
}

/// The largest magnitude of each place, with the share of its dtype's range.
fn probe(sites: &[SiteRange], term: &Term) -> Vec<String> {
    if sites.is_empty() {
        return vec!["  probe    not run (--verify none)".to_owned()];
    }
    let mut lines =
        vec![term.paint(Style::Bold, "Probe: largest magnitudes while reading a receipt")];
    let mut worst: Vec<&SiteRange> = Vec::new();
    for site in sites {
        let same = |known: &&&SiteRange| known.site == site.site && known.dtype == site.dtype;
        match worst.iter().find(same) {
            None => worst.push(site),
            Some(known) if site.max_abs > known.max_abs => {
                worst.retain(|known| !(known.site == site.site && known.dtype == site.dtype));
                worst.push(site);
            }
            Some(_) => {}
        }
    }
    lines.push(kernels(sites));
    for site in worst {
        let share = f64::from(site.max_abs) / f64::from(max_of(site.dtype)) * 100.0;
        let share = if share < 0.001 { "<0.001".to_owned() } else { format!("{share:.3}") };
        lines.push(format!(
            "  {:<18} {:>12.3}  {share} % of {}, in {}",
            site.site, site.max_abs, site.dtype, site.module
        ));
    }
    lines
}
