//! Equal models behind one endpoint, as one: what callers and operators see of them together.

use std::sync::Arc;

use super::runner::{DeviceUse, ModelSpec, Placement};

impl ModelSpec {
    /// What `replicas` are together: as much room as all of them have, each module where each of them has it.
    /// They are equal but for their places, so the rest is the first one's. At least one.
    pub(crate) fn of_replicas(replicas: &[Arc<Self>]) -> Self {
        let Some(first) = replicas.first() else { return Self::default() };
        let mut all = Self { replicas: replicas.len(), ..(**first).clone() };
        for (replica, spec) in replicas.iter().enumerate().skip(1) {
            all.slots += spec.slots;
            all.kv_blocks += spec.kv_blocks;
            let mut devices = spec.devices.clone();
            for placement in &spec.placements {
                let mut placement = Placement { replica, ..placement.clone() };
                // What is shared is there once, and counts where it came first.
                if all.placements.iter().any(|known| known.shares(&placement)) {
                    let holds = |device: &&mut DeviceUse| device.id == placement.device_id;
                    if let Some(device) = devices.iter_mut().find(holds) {
                        device.weight_bytes -= placement.weight_bytes;
                    }
                    placement.weight_bytes = 0;
                }
                all.placements.push(placement);
            }
            for device in &devices {
                merge(&mut all.devices, device);
            }
            all.links.extend(spec.links.iter().cloned());
            all.verification.tensors_compared += spec.verification.tensors_compared;
        }
        all
    }
}

impl Placement {
    /// Whether the weights of both are the same memory.
    fn shares(&self, other: &Self) -> bool {
        self.is_shared
            && other.is_shared
            && self.module == other.module
            && self.device_id == other.device_id
            && self.weights == other.weights
    }
}

/// A device that several have stands in the list once.
fn merge(devices: &mut Vec<DeviceUse>, device: &DeviceUse) {
    match devices.iter_mut().find(|known| known.id == device.id) {
        Some(known) => {
            known.weight_bytes += device.weight_bytes;
            known.kv_cache_bytes += device.kv_cache_bytes;
        }
        None => devices.push(device.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceMemory, Dtype, MemoryGauge};
    use crate::placement::WeightFormat;

    /// A replica on `gpu` whose embedding is in the host's memory.
    fn replica(gpu: &str, dtype: Dtype) -> Arc<ModelSpec> {
        let placement = |module: &str, device: &str, is_shared| Placement {
            replica: 0,
            module: module.to_owned(),
            device_id: device.to_owned(),
            requested_dtype: dtype,
            weights: WeightFormat::Dense(dtype),
            compute_dtype: dtype,
            residual_dtype: dtype,
            dtype_reason: String::new(),
            weight_bytes: 100,
            tensors: 1,
            is_shared,
        };
        let device = |id: &str| DeviceUse {
            id: id.to_owned(),
            name: String::new(),
            compute_capability: String::new(),
            total_bytes: 1000,
            memory: MemoryGauge::fixed(DeviceMemory { total_bytes: 1000, free_bytes: 500 }),
            weight_bytes: 100,
            kv_cache_bytes: 0,
        };
        Arc::new(ModelSpec {
            placements: vec![placement("embed", "cpu", true), placement("head", gpu, false)],
            devices: vec![device(gpu), device("cpu")],
            ..ModelSpec::default()
        })
    }

    #[test]
    fn what_replicas_share_counts_once() {
        let replicas = [
            replica("cuda:0", Dtype::Bf16),
            replica("cuda:1", Dtype::Bf16),
            // An older GPU: its replica reads a table of its own.
            replica("cuda:2", Dtype::F16),
        ];
        let all = ModelSpec::of_replicas(&replicas);
        let bytes: Vec<_> =
            all.placements.iter().map(|p| (p.replica, &*p.module, p.weight_bytes)).collect();
        let expected = [
            (0, "embed", 100),
            (0, "head", 100),
            (1, "embed", 0),
            (1, "head", 100),
            (2, "embed", 100),
            (2, "head", 100),
        ];
        assert_eq!(bytes, expected);
        let held: Vec<_> = all.devices.iter().map(|d| (&*d.id, d.weight_bytes)).collect();
        assert_eq!(held, [("cuda:0", 100), ("cpu", 200), ("cuda:1", 100), ("cuda:2", 100)]);
    }
}
