//! Where each module is and in which dtype, in as few entries as say it.

use super::{dtype, weight_dtype};
use crate::model::Placement;
use crate::pb::v1;

/// Neighbouring layers that were placed alike share an entry: `layers.0`, `layers.1` become
/// `layers.0-1`.
pub(super) fn placements(placements: &[Placement]) -> Vec<v1::ModulePlacement> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for placement in placements {
        match groups.last_mut().filter(|group| group.takes(placement)) {
            Some(group) => group.add(placement),
            None => groups.push(Group::of(placement)),
        }
    }
    groups.into_iter().map(Group::into_message).collect()
}

/// Placements that become one entry.
struct Group<'a> {
    first: &'a Placement,
    /// First and last layer number, where the module's name ends with one.
    layers: Option<(u32, u32)>,
    weight_bytes: u64,
    tensors: usize,
}

impl<'a> Group<'a> {
    fn of(placement: &'a Placement) -> Self {
        let layers = split_layer(&placement.module).map(|(_, layer)| (layer, layer));
        Self {
            first: placement,
            layers,
            weight_bytes: placement.weight_bytes,
            tensors: placement.tensors,
        }
    }

    fn takes(&self, next: &Placement) -> bool {
        let follows = match (split_layer(&self.first.module), split_layer(&next.module)) {
            (Some((stem, _)), Some((next_stem, layer))) => {
                stem == next_stem && self.layers.is_some_and(|(_, last)| last + 1 == layer)
            }
            _ => false,
        };
        let alike = |p: &Placement| {
            (
                p.replica,
                p.device_id.clone(),
                p.requested_dtype,
                p.weights,
                p.compute_dtype,
                p.residual_dtype,
            )
        };
        follows && alike(self.first) == alike(next) && self.first.dtype_reason == next.dtype_reason
    }

    fn add(&mut self, next: &Placement) {
        self.weight_bytes += next.weight_bytes;
        self.tensors += next.tensors;
        if let Some((_, last)) = &mut self.layers {
            *last += 1;
        }
    }

    fn into_message(self) -> v1::ModulePlacement {
        let Placement { module, device_id, dtype_reason, .. } = self.first;
        let module = match (split_layer(module), self.layers) {
            (Some((stem, first)), Some((_, last))) if first < last => {
                format!("{stem}.{first}-{last}")
            }
            _ => module.clone(),
        };
        v1::ModulePlacement {
            module,
            device_id: device_id.clone(),
            requested_dtype: dtype(self.first.requested_dtype).into(),
            weight_dtype: weight_dtype(self.first.weights).into(),
            compute_dtype: dtype(self.first.compute_dtype).into(),
            dtype_reason: dtype_reason.clone(),
            weight_bytes: self.weight_bytes,
            accumulate_dtype: v1::Dtype::F32.into(),
            residual_dtype: dtype(self.first.residual_dtype).into(),
            tensors: self.tensors as u32,
            replica: self.first.replica as u32,
        }
    }
}

/// `model.layers.7` as `model.layers` and 7.
fn split_layer(module: &str) -> Option<(&str, u32)> {
    let (stem, number) = module.rsplit_once('.')?;
    Some((stem, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Dtype;
    use crate::placement::WeightFormat;

    fn placement(module: &str, device_id: &str) -> Placement {
        Placement {
            replica: 0,
            module: module.to_owned(),
            device_id: device_id.to_owned(),
            requested_dtype: Dtype::Bf16,
            weights: WeightFormat::Dense(Dtype::Bf16),
            compute_dtype: Dtype::Bf16,
            residual_dtype: Dtype::Bf16,
            dtype_reason: String::new(),
            weight_bytes: 10,
            tensors: 1,
            is_shared: false,
        }
    }

    #[test]
    fn neighbours_placed_alike_share_an_entry() {
        let merged = placements(&[
            placement("mlp1", "cuda:0"),
            placement("m.layers.0", "cuda:0"),
            placement("m.layers.1", "cuda:0"),
            placement("m.layers.2", "cuda:1"),
            placement("m.layers.4", "cuda:1"),
            placement("m.norm", "cuda:1"),
        ]);
        let names: Vec<_> = merged.iter().map(|p| (p.module.as_str(), p.weight_bytes)).collect();
        assert_eq!(
            names,
            [
                ("mlp1", 10),
                ("m.layers.0-1", 20),
                ("m.layers.2", 10),
                ("m.layers.4", 10),
                ("m.norm", 10)
            ]
        );
    }

    /// Layers that differ in why they have their dtype are told apart.
    #[test]
    fn a_reason_is_never_lost() {
        let reason = "its mlp_product reaches 40000 in f16; f32 is used".to_owned();
        let moved = Placement { dtype_reason: reason, ..placement("m.layers.1", "cuda:0") };
        let told = placements(&[
            placement("m.layers.0", "cuda:0"),
            moved.clone(),
            placement("m.layers.2", "cuda:0"),
        ]);
        let told: Vec<_> =
            told.iter().map(|told| (told.module.as_str(), told.dtype_reason.as_str())).collect();
        let expected =
            [("m.layers.0", ""), ("m.layers.1", &moved.dtype_reason), ("m.layers.2", "")];
        assert_eq!(told, expected);
    }
}
