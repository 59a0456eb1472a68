//! The planner's own strategy: against every split there is, and as properties of random fleets.

use proptest::prelude::*;

use super::*;

/// Every way to put the chain's links on some of the devices, in their order: the stages' ends.
fn splits(links: usize, devices: usize) -> Vec<Vec<usize>> {
    if devices == 0 {
        return if links == 0 { vec![Vec::new()] } else { Vec::new() };
    }
    (0..=links)
        .flat_map(|here| {
            let rest = splits(links - here, devices - 1);
            rest.into_iter().map(move |rest| [vec![here], rest].concat())
        })
        .collect()
}

/// The plan of one such split.
fn split_plan(cost: &ModelCost, devices: &[DeviceSpec], demand: &Demand, stages: &[usize]) -> Plan {
    let layers = cost.layers();
    let owners: Vec<usize> =
        stages.iter().enumerate().flat_map(|(device, links)| vec![device; *links]).collect();
    let map = cost
        .modules
        .iter()
        .map(|module| {
            let link = match layer_number(&module.name) {
                Some(layer) => layer as usize + 1,
                None if matches!(module.kind, ModuleKind::Norm | ModuleKind::Head) => layers + 1,
                None => 0,
            };
            (module.name.clone(), devices[owners[link]].id.clone())
        })
        .collect();
    plan(cost, devices, &DeviceMap::Explicit(map), &DtypePolicy::default(), demand).unwrap()
}

/// The same placement, asked for explicitly, under another demand.
fn placed_again(
    cost: &ModelCost,
    devices: &[DeviceSpec],
    placed: &Plan,
    policy: &DtypePolicy,
    demand: &Demand,
) -> Plan {
    let id = |placed: &PlannedModule| devices[placed.device].id.clone();
    let map = placed.placements.iter().map(|placed| (placed.module.clone(), id(placed))).collect();
    plan(cost, devices, &DeviceMap::Explicit(map), policy, demand).unwrap()
}

fn used(plan: &Plan) -> usize {
    plan.devices.iter().filter(|device| device.weight_bytes > 0).count()
}

/// A device is left for good.
fn is_contiguous(plan: &Plan) -> bool {
    let mut devices: Vec<usize> = plan.placements.iter().map(|placed| placed.device).collect();
    devices.dedup();
    let mut once = devices.clone();
    once.sort_unstable();
    once.dedup();
    once.len() == devices.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Fits exactly where some split does, on as few devices, and with several holds as many tokens.
    #[test]
    fn no_split_is_better(
        layers in 1usize..5,
        memory in prop::collection::vec(500u64..6000, 1..4),
        tokens in 1usize..20,
    ) {
        let cost = tiny_cost(layers);
        let (devices, demand) = (cpus(&memory), demand(1, tokens));
        let ours = plan(&cost, &devices, &DeviceMap::Auto, &DtypePolicy::default(), &demand).unwrap();
        check_accounts(&cost, &devices, &ours);
        prop_assert!(is_contiguous(&ours));
        let all: Vec<Plan> = splits(layers + 2, devices.len())
            .iter()
            .map(|stages| split_plan(&cost, &devices, &demand, stages))
            .collect();
        let fewest = all.iter().filter(|plan| plan.fits).map(used).min();
        prop_assert_eq!(ours.fits.then(|| used(&ours)), fewest);
        if let Some(fewest) = fewest.filter(|fewest| *fewest > 1) {
            let peers = all.iter().filter(|plan| plan.fits && used(plan) == fewest);
            let most = peers.map(|plan| plan.kv_tokens).max().unwrap();
            prop_assert_eq!(ours.kv_tokens, most);
        }
    }

    /// Whatever the fleet and the strategy: every module once, sums that agree, budgets kept.
    #[test]
    fn accounts_hold(
        layers in 1usize..8,
        memory in prop::collection::vec(0u64..4 * CUDA_RESERVE_BYTES, 1..6),
        host in prop::option::of(0u64..100_000),
        strategy in 0usize..5,
        tokens in 1usize..100_000,
        q8 in any::<bool>(),
        tied in any::<bool>(),
    ) {
        let cost = ModelCost { tied_head: tied, ..tiny_cost(layers) };
        let mut devices = gpus(&memory);
        devices.extend(host.map(|bytes| cpus(&[bytes]).remove(0)));
        let maps = [
            DeviceMap::Auto,
            DeviceMap::Balanced,
            DeviceMap::BalancedLow0,
            DeviceMap::Sequential,
            DeviceMap::InternVl,
        ];
        let policy = DtypePolicy {
            quantization: q8.then_some(Quantization::Q8),
            ..DtypePolicy::default()
        };
        let map = &maps[strategy];
        let plan = plan(&cost, &devices, map, &policy, &demand(2, tokens)).unwrap();
        check_accounts(&cost, &devices, &plan);
        if *map == DeviceMap::Auto {
            prop_assert!(is_contiguous(&plan));
            prop_assert_eq!(plan.crossings, used(&plan) - 1);
        }
        // As many tokens as are said to fit do, and not one more.
        let held = |tokens: u64| {
            let demand = demand(1, tokens as usize);
            placed_again(&cost, &devices, &plan, &policy, &demand).fits
        };
        prop_assert_eq!(plan.fits, held(2 * tokens as u64));
        if plan.fits {
            prop_assert!(held(plan.kv_tokens) && !held(plan.kv_tokens + 1));
        }
    }
}

#[test]
fn one_device_is_enough_where_it_is() {
    let cost = internvl3(3584, 28, 28, 4, 18_944);
    let devices = gpus(&[8 * GIB, 24 * GIB, 80 * GIB]);
    let plan = planned(&cost, &devices, &DeviceMap::Auto);
    assert!(plan.fits && plan.placements.iter().all(|placed| placed.device == 1), "{plan:?}");
    assert_eq!(plan.reason, "one device has room for everything");
}

#[test]
fn the_host_is_used_only_where_gpus_do_not_suffice() {
    let cost = internvl3(3584, 28, 28, 4, 18_944);
    let on = |gpu: u64| {
        let mut devices = cpus(&[200 * GIB]);
        devices.extend(gpus(&[gpu * GIB, gpu * GIB]));
        planned(&cost, &devices, &DeviceMap::Auto)
    };
    let both = on(10);
    assert!(both.fits && !both.devices[0].is_used() && both.devices[1].is_used(), "{both:?}");
    assert!(on(4).fits && on(4).devices[0].is_used());
}

#[test]
fn equal_devices_get_equal_shares() {
    let cost = internvl3(3584, 28, 28, 4, 18_944);
    let plan = planned(&cost, &gpus(&[13 * GIB / 2; 4]), &DeviceMap::Auto);
    assert!(plan.fits && plan.crossings == 3, "{plan:?}");
    let layers: Vec<usize> = (0..4)
        .map(|device| {
            let here = plan.placements.iter().filter(|placed| placed.device == device);
            here.filter(|placed| layer_number(&placed.module).is_some()).count()
        })
        .collect();
    assert_eq!(layers, [5, 8, 9, 6], "the ends have more than layers");
}

#[test]
fn a_split_that_does_not_fit_lacks_as_little_as_possible() {
    let cost = tiny_cost(3);
    let devices = cpus(&[1000, 1000, 1000]);
    let demand = demand(1, 1);
    let ours = planned(&cost, &devices, &DeviceMap::Auto);
    assert!(!ours.fits && is_contiguous(&ours));
    let missing = |plan: &Plan| {
        plan.devices.iter().map(|device| device.used_bytes().saturating_sub(1000)).max().unwrap()
    };
    let all = splits(5, 3);
    let least =
        all.iter().map(|stages| missing(&split_plan(&cost, &devices, &demand, stages))).min();
    assert_eq!(Some(missing(&ours)), least);
}
