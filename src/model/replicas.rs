//! Equal models behind one endpoint, as one: what callers and operators see of them together.

use std::sync::Arc;

use super::runner::{DeviceUse, ModelSpec};

impl ModelSpec {
    /// What `replicas` are together: as much room as all of them have, each module where each of them has it.
    /// They are equal but for their places, so the rest is the first one's. At least one.
    pub(crate) fn of_replicas(replicas: &[Arc<Self>]) -> Self {
        let Some(first) = replicas.first() else { return Self::default() };
        let mut all = Self { replicas: replicas.len(), ..(**first).clone() };
        for (replica, spec) in replicas.iter().enumerate().skip(1) {
            all.slots += spec.slots;
            all.kv_blocks += spec.kv_blocks;
            all.placements.extend(spec.placements.iter().cloned().map(|mut placement| {
                placement.replica = replica;
                placement
            }));
            for device in &spec.devices {
                merge(&mut all.devices, device);
            }
            all.links.extend(spec.links.iter().cloned());
            all.verification.tensors_compared += spec.verification.tensors_compared;
        }
        all
    }
}

/// A device that several have stands in the list once.
fn merge(devices: &mut Vec<DeviceUse>, device: &DeviceUse) {
    match devices.iter_mut().find(|known| known.id == device.id) {
        Some(known) => {
            known.weight_bytes += device.weight_bytes;
            known.kv_cache_bytes += device.kv_cache_bytes;
            known.free_bytes = known.free_bytes.min(device.free_bytes);
        }
        None => devices.push(device.clone()),
    }
}
