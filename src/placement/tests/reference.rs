//! accelerate's strategies against recorded placements.

use super::*;

/// Recorded with `device_map` strategies of accelerate, re-implemented in Python; see its header.
const RECORDED: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/placement/accelerate.txt"));

/// `v e 0-3`: the modules of a device, in the reference's order.
fn shown(cost: &ModelCost, plan: &Plan, device: usize) -> String {
    let here = |kind: ModuleKind, name: &str| {
        let index = cost.modules.iter().position(|module| module.kind == kind).unwrap();
        (plan.placements[index].device == device).then(|| name.to_owned())
    };
    let placed = plan.placements.iter().filter(|placed| placed.device == device);
    let layers = ranges(placed.filter_map(|placed| layer_number(&placed.module)));
    let words = [
        here(ModuleKind::Vision, "v"),
        here(ModuleKind::Embedding, "e"),
        Some(layers).filter(|layers| !layers.is_empty()),
        here(ModuleKind::Norm, "n"),
        here(ModuleKind::Head, "h"),
        here(ModuleKind::Projector, "p"),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

#[test]
fn placements_are_accelerate_s() {
    let mut checked = 0;
    for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split(" | ");
        let case: Vec<&str> = columns.next().unwrap().split(' ').collect();
        let cost = match case[0] {
            "8B" => internvl3(3584, 28, 28, 4, 18_944),
            "2B" => internvl3(1536, 28, 12, 2, 8_960),
            _ => internvl3(896, 24, 14, 2, 4_864),
        };
        let memory: Vec<u64> = case[2].split(',').map(|bytes| bytes.parse().unwrap()).collect();
        let devices = gpus(&memory);
        let plan = planned(&cost, &devices, &case[1].parse().unwrap());
        check_accounts(&cost, &devices, &plan);
        let found: Vec<String> =
            (0..devices.len()).map(|device| shown(&cost, &plan, device)).collect();
        assert_eq!(found, columns.collect::<Vec<_>>(), "{line}");
        checked += 1;
    }
    assert!(checked > 50, "{checked} cases were read");
}

#[test]
fn the_host_comes_after_the_gpus() {
    let cost = internvl3(3584, 28, 28, 4, 18_944);
    let mut devices = cpus(&[100 * GIB]);
    devices.extend(gpus(&[8 * GIB]));
    let plan = planned(&cost, &devices, &DeviceMap::Sequential);
    check_accounts(&cost, &devices, &plan);
    assert_eq!(shown(&cost, &plan, 1), "v e 0-11");
    assert_eq!(shown(&cost, &plan, 0), "12-27 n h p");
}

#[test]
fn a_tied_head_follows_the_embedding() {
    let cost = ModelCost { tied_head: true, ..internvl3(896, 24, 14, 2, 4_864) };
    let devices = gpus(&[2 * GIB; 2]);
    let plan = planned(&cost, &devices, &DeviceMap::Balanced);
    check_accounts(&cost, &devices, &plan);
    assert!(shown(&cost, &plan, 0).contains('h') && shown(&cost, &plan, 0).contains('e'));
}
