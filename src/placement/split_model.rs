//! The split that the model's authors publish as `split_model`.
//!
//! The first GPU counts as half, because it also has the vision tower, the projector, the embedding,
//! the final norm, the output matrix, and the last layer. Their function may name layers that do not
//! exist; those are left out here. It does not look at memory.

use super::auto::Choice;
use super::cost::ModuleKind;
use super::prices::Prices;

pub(super) fn choose(prices: &Prices<'_>) -> Choice {
    let gpus = prices.accelerators();
    let layers = layer_devices(prices.cost.layers(), gpus.len());
    let mut next = layers.iter();
    let devices = prices.cost.modules.iter().map(|module| match module.kind {
        ModuleKind::Layer => gpus[next.next().copied().unwrap_or(0)],
        _ => gpus[0],
    });
    Choice {
        devices: devices.collect(),
        reason: "as the model's authors split it: the first GPU counts as half".to_owned(),
    }
}

/// The GPU of each layer, by its number in the list.
fn layer_devices(layers: usize, gpus: usize) -> Vec<usize> {
    // ceil(layers / (gpus - 0.5)), and half of it for the first.
    let each = (2 * layers).div_ceil(2 * gpus - 1);
    let first = each.div_ceil(2);
    let mut devices: Vec<usize> = (0..layers)
        .map(|layer| if layer < first { 0 } else { 1 + (layer - first) / each.max(1) })
        .collect();
    if let Some(last) = devices.last_mut() {
        *last = 0;
    }
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layers of each GPU, as `0-9,27`.
    #[track_caller]
    fn check(layers: usize, gpus: usize, expected: &[&str]) {
        let devices = layer_devices(layers, gpus);
        let of = |gpu: usize| -> Vec<u32> {
            (0..layers).filter(|layer| devices[*layer] == gpu).map(|layer| layer as u32).collect()
        };
        let found: Vec<String> = (0..gpus).map(|gpu| crate::placement::ranges(of(gpu))).collect();
        assert_eq!(found, expected, "{layers} layers, {gpus} GPUs");
    }

    #[test]
    fn layers_lie_where_the_authors_put_them() {
        check(28, 1, &["0-27"]);
        check(28, 2, &["0-9,27", "10-26"]);
        check(28, 3, &["0-5,27", "6-17", "18-26"]);
        check(28, 4, &["0-3,27", "4-11", "12-19", "20-26"]);
        check(28, 8, &["0-1,27", "2-5", "6-9", "10-13", "14-17", "18-21", "22-25", "26"]);
        check(24, 2, &["0-7,23", "8-22"]);
        check(24, 4, &["0-3,23", "4-10", "11-17", "18-22"]);
    }
}
