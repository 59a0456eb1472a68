//! What metrics show of the engine and of the loaded model: its status as plain values.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::device::LinkRoute;
use crate::engine::{ModelState, Status};
use crate::model::ModelSpec;
use crate::telemetry::metrics::{DeviceMemory, Fallback, LinkUse, Snapshot, Source};

const STATES: &[&str] = &["loading", "ready", "leaving", "draining", "poisoned", "failed"];

/// Reads `status` whenever it is asked. `model` is the name to show before the model is loaded.
pub(super) fn source(model: String, status: watch::Receiver<Status>) -> Source {
    Arc::new(move || snapshot(&model, &status.borrow()))
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
        free: device.free_bytes,
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

/// Modules that are not in the dtype that was asked for, counted by device and dtypes.
fn fallbacks(spec: &ModelSpec) -> Vec<Fallback> {
    let mut counts: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for placement in &spec.placements {
        if placement.compute_dtype != placement.requested_dtype {
            let requested = placement.requested_dtype.to_string();
            let used = placement.compute_dtype.to_string();
            *counts.entry((placement.device_id.clone(), requested, used)).or_default() += 1;
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
