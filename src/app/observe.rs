//! What metrics show of the engine and of the loaded model: its status as plain values.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use tokio::sync::watch;

use crate::device::LinkRoute;
use crate::engine::{ModelState, Status};
use crate::model::ModelSpec;
use crate::placement::WeightFormat;
use crate::telemetry::metrics::{DeviceMemory, Fallback, LinkUse, Snapshot, Source};

const STATES: &[&str] = &["loading", "ready", "leaving", "draining", "poisoned", "failed"];

/// Reads `status` whenever it is asked. `model` is the name to show before the model is loaded.
pub(super) fn source(model: String, status: watch::Receiver<Status>) -> Source {
    // A copy: the engine does not wait for what devices say of their memory.
    let now = move || status.borrow().clone();
    Arc::new(move || snapshot(&model, &now()))
}

fn snapshot(model: &str, status: &Status) -> Snapshot {
    let spec = status.spec.as_deref();
    Snapshot {
        model: spec.map_or(model, |spec| &spec.name).to_owned(),
        state: state(status.state),
        states: STATES,
        running: status.load.running,
        waiting: status.load.queued,
        slots: spec.map_or(0, |spec| spec.slots),
        kv_utilization: status.load.kv_utilization,
        devices: spec.map(devices).unwrap_or_default(),
        links: spec.map(links).unwrap_or_default(),
        fallbacks: spec.map(fallbacks).unwrap_or_default(),
    }
}

fn state(state: ModelState) -> &'static str {
    match state {
        ModelState::Loading => "loading",
        ModelState::Ready => "ready",
        ModelState::Leaving => "leaving",
        ModelState::Draining => "draining",
        ModelState::Poisoned => "poisoned",
        ModelState::Failed => "failed",
    }
}

fn devices(spec: &ModelSpec) -> Vec<DeviceMemory> {
    let memory = spec.devices.iter().map(|device| DeviceMemory {
        device: device.id.clone(),
        total: device.total_bytes,
        free: device.free_bytes(),
        weights: device.weight_bytes,
        kv_cache: device.kv_cache_bytes,
    });
    memory.collect()
}

fn links(spec: &ModelSpec) -> Vec<LinkUse> {
    let links = spec.links.iter().map(|link| LinkUse {
        from: link.from.clone(),
        to: link.to.clone(),
        route: match link.route {
            LinkRoute::Host => "host",
            LinkRoute::Peer => "peer",
            LinkRoute::Staged => "staged",
        },
        bytes_per_second: link.bytes_per_second,
    });
    links.collect()
}

/// Modules that are not in the dtype that was asked for, or whose weights are not, counted by device and dtypes.
fn fallbacks(spec: &ModelSpec) -> Vec<Fallback> {
    let mut counts: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    let mut count = |device: &str, requested: &dyn Display, used: &dyn Display| {
        let key = (device.to_owned(), requested.to_string(), used.to_string());
        *counts.entry(key).or_default() += 1;
    };
    let format = spec.policy.quantization.map(WeightFormat::Quantized);
    for placement in &spec.placements {
        let (requested, used) = (placement.requested_dtype, placement.compute_dtype);
        if used != requested {
            count(&placement.device_id, &requested, &used);
        }
        // Some modules have other weights by design, and no reason then.
        let is_other = matches!(placement.weights, WeightFormat::Quantized(_))
            && !placement.dtype_reason.is_empty();
        if let Some(format) = format.filter(|format| is_other && *format != placement.weights) {
            count(&placement.device_id, &format, &placement.weights);
        }
    }
    let fallbacks = counts.into_iter().map(|((device, requested, used), modules)| Fallback {
        device,
        requested,
        used,
        modules,
    });
    fallbacks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{ComputeCapability, Dtype};
    use crate::model::Placement;
    use crate::placement::{DtypePolicy, Quantization};

    /// What a policy gives on `capability`, for a layer and the output matrix.
    fn counted(policy: DtypePolicy, capability: Option<(u32, u32)>) -> Vec<(String, String, u64)> {
        let capability = capability.map(|(major, minor)| ComputeCapability { major, minor });
        let placement = |module: &str| {
            let decision = policy.decide(module, capability).unwrap();
            Placement {
                replica: 0,
                module: module.to_owned(),
                device_id: "cuda:0".to_owned(),
                requested_dtype: decision.requested,
                weights: decision.weights,
                compute_dtype: decision.compute,
                residual_dtype: decision.residual(),
                dtype_reason: decision.reason,
                weight_bytes: 1,
                tensors: 1,
                is_shared: false,
            }
        };
        let modules = ["vision_model", "language_model.model.layers.0", "language_model.lm_head"];
        let placements = modules.map(placement).to_vec();
        let spec = ModelSpec { policy, placements, ..ModelSpec::default() };
        fallbacks(&spec).into_iter().map(|one| (one.requested, one.used, one.modules)).collect()
    }

    #[test]
    fn weights_that_are_not_as_asked_are_counted_too() {
        let row =
            |requested: &str, used: &str, modules| (requested.to_owned(), used.to_owned(), modules);
        let fp8 = DtypePolicy { quantization: Some(Quantization::Fp8), ..DtypePolicy::default() };
        assert_eq!(counted(fp8.clone(), Some((8, 9))), [row("fp8", "q8", 2)]);
        // The output matrix has integers in any case.
        assert_eq!(counted(fp8.clone(), Some((9, 0))), []);
        let bf16 = DtypePolicy { requested: Some(Dtype::Bf16), ..fp8 };
        assert_eq!(counted(bf16, Some((7, 0))), [row("bf16", "f16", 3), row("fp8", "q8", 2)]);
        assert_eq!(counted(DtypePolicy::default(), Some((7, 0))), []);
    }
}
