//! The planner on models and devices that are made of numbers.

mod auto;
mod reference;

use super::*;
use crate::device::ComputeCapability;

const GIB: u64 = 1 << 30;

fn module(kind: ModuleKind, name: &str, parts: Vec<Part>) -> ModuleCost {
    ModuleCost {
        kind,
        name: name.to_owned(),
        parts,
        kv_values: 0,
        held_values: 0,
        standing: Vec::new(),
        phases: Vec::new(),
        fused: None,
    }
}

/// A model of these parts, without activations.
fn model(
    vision: Vec<Part>,
    layer: Vec<Part>,
    layers: usize,
    embedding: Part,
    projector: Vec<Part>,
) -> ModelCost {
    let hidden = embedding.columns as usize;
    let mut modules = vec![
        module(ModuleKind::Vision, "vision_model", vision),
        module(ModuleKind::Projector, "mlp1", projector),
        module(ModuleKind::Embedding, "language_model.model.embed_tokens", vec![embedding]),
    ];
    modules.extend((0..layers).map(|index| {
        let name = format!("language_model.model.layers.{index}");
        ModuleCost { kv_values: 8, ..module(ModuleKind::Layer, &name, layer.clone()) }
    }));
    let norm = vec![Part::vectors(hidden)];
    modules.push(module(ModuleKind::Norm, "language_model.model.norm", norm));
    modules.push(module(ModuleKind::Head, "language_model.lm_head", vec![embedding]));
    ModelCost {
        modules,
        tied_head: false,
        host_embedding: false,
        tokens_per_tile: 256,
        context_max: None,
        query_block_rows: 512,
        quantized_rows: (64, 8),
    }
}

/// A model of a few hundred values.
pub(super) fn tiny_cost(layers: usize) -> ModelCost {
    let part = Part::matrix(10, 10, 0);
    model(vec![part], vec![part], layers, Part::matrix(20, 10, 0), vec![part])
}

/// An InternVL3 of this size, its weights alone, as published.
fn internvl3(
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    inner: usize,
) -> ModelCost {
    let kv = kv_heads * (hidden / heads);
    let wide = 1024;
    let mut vision = vec![Part::matrix(wide, 588, wide), Part::vectors(1026 * wide)];
    for _ in 0..24 {
        vision.extend([
            Part::matrix(3 * wide, wide, 3 * wide),
            Part::matrix(wide, wide, wide),
            Part::matrix(4 * wide, wide, 4 * wide),
            Part::matrix(wide, 4 * wide, wide),
            Part::vectors(2 * wide),
            Part::vectors(2 * wide),
            Part::vectors(2 * wide),
        ]);
    }
    let layer = vec![
        Part::matrix(hidden, hidden, hidden),
        Part::matrix(kv, hidden, kv),
        Part::matrix(kv, hidden, kv),
        Part::matrix(hidden, hidden, 0),
        Part::matrix(inner, hidden, 0),
        Part::matrix(inner, hidden, 0),
        Part::matrix(hidden, inner, 0),
        Part::vectors(hidden),
        Part::vectors(hidden),
    ];
    let projector = vec![
        Part::vectors(8 * wide),
        Part::matrix(hidden, 4 * wide, hidden),
        Part::matrix(hidden, hidden, hidden),
    ];
    model(vision, layer, layers, Part::matrix(151_674, hidden, 0), projector)
}

/// GPUs with bf16 and this much memory.
fn gpus(memory: &[u64]) -> Vec<DeviceSpec> {
    let gpu = |(index, memory_bytes): (usize, &u64)| DeviceSpec {
        id: format!("cuda:{index}"),
        name: "gpu".to_owned(),
        capability: Some(ComputeCapability { major: 8, minor: 0 }),
        memory_bytes: *memory_bytes,
    };
    memory.iter().enumerate().map(gpu).collect()
}

fn cpus(memory: &[u64]) -> Vec<DeviceSpec> {
    let cpu = |(index, memory_bytes): (usize, &u64)| DeviceSpec {
        id: format!("cpu:{index}"),
        name: "cpu".to_owned(),
        capability: None,
        memory_bytes: *memory_bytes,
    };
    memory.iter().enumerate().map(cpu).collect()
}

fn demand(slots: usize, slot_tokens: usize) -> Demand {
    Demand { slots, slot_tokens, kv_tokens: None, tiles: 1, prefill_rows: 1 }
}

fn planned(cost: &ModelCost, devices: &[DeviceSpec], map: &DeviceMap) -> Plan {
    plan(cost, devices, map, &DtypePolicy::default(), &demand(1, 1)).unwrap()
}

/// What holds of every plan.
#[track_caller]
fn check_accounts(cost: &ModelCost, devices: &[DeviceSpec], plan: &Plan) {
    let names: Vec<&str> = plan.placements.iter().map(|placed| placed.module.as_str()).collect();
    let modules: Vec<&str> = cost.modules.iter().map(|module| module.name.as_str()).collect();
    assert_eq!(names, modules, "every module once");
    assert_eq!(plan.devices.len(), devices.len());
    for (index, device) in plan.devices.iter().enumerate() {
        let here = plan.placements.iter().filter(|placed| placed.device == index);
        assert_eq!(device.weight_bytes, here.map(|placed| placed.bytes).sum::<u64>());
        if plan.fits {
            assert!(device.used_bytes() <= devices[index].memory_bytes, "{device:?}");
        }
    }
    assert_eq!(plan.fits, plan.problems.is_empty());
}

#[test]
fn published_sizes_are_met() {
    let bytes = |cost: &ModelCost| {
        planned(cost, &gpus(&[200 * GIB]), &DeviceMap::Auto).devices[0].weight_bytes
    };
    assert_eq!(bytes(&internvl3(3584, 28, 28, 4, 18_944)), 15_888_747_520);
    assert_eq!(bytes(&internvl3(1536, 28, 12, 2, 8_960)), 4_177_914_880);
    assert_eq!(bytes(&internvl3(896, 24, 14, 2, 4_864)), 1_876_386_048);
}

#[test]
fn dtypes_follow_the_device_that_a_module_lands_on() {
    let cost = tiny_cost(2);
    let mut devices = gpus(&[GIB, GIB]);
    devices[1].capability = Some(ComputeCapability { major: 7, minor: 0 });
    let map = r#"{"vision_model": 0, "mlp1": 0, "language_model": 1}"#;
    let map = DeviceMap::from_json(map).unwrap();
    let plan = planned(&cost, &devices, &map);
    check_accounts(&cost, &devices, &plan);
    let dtypes: Vec<String> =
        plan.placements.iter().map(|placed| placed.decision.compute.to_string()).collect();
    assert_eq!(dtypes, ["bf16", "bf16", "f16", "f16", "f16", "f16", "f16"]);
}

#[test]
fn strict_refuses_only_where_something_is_placed() {
    let cost = tiny_cost(2);
    let mut devices = gpus(&[GIB, GIB]);
    devices[0].capability = Some(ComputeCapability { major: 7, minor: 0 });
    let policy = DtypePolicy {
        requested: Some(crate::device::Dtype::Bf16),
        mode: PolicyMode::Strict,
        ..DtypePolicy::default()
    };
    let on = |map: DeviceMap| plan(&cost, &devices, &map, &policy, &demand(1, 1));
    let refused = on(DeviceMap::Single("cuda:0".to_owned())).unwrap_err();
    assert!(matches!(refused, PlanError::Dtype(_)), "{refused}");
    // A strategy with a choice takes the device that can.
    let chosen = on(DeviceMap::Auto).unwrap();
    assert!(chosen.placements.iter().all(|placed| placed.device == 1), "{chosen:?}");
}

#[test]
fn a_tied_head_is_free_beside_its_embedding() {
    let cost = ModelCost { tied_head: true, ..tiny_cost(1) };
    let devices = gpus(&[GIB, GIB]);
    let head = |map: &str| {
        let map = DeviceMap::from_json(map).unwrap();
        let plan = planned(&cost, &devices, &map);
        check_accounts(&cost, &devices, &plan);
        plan.placements.last().unwrap().bytes
    };
    assert_eq!(head(r#"{"": 0}"#), 0);
    assert_eq!(head(r#"{"model": 0, "lm_head": 1}"#), 400);
}

#[test]
fn a_gpu_has_nothing_of_a_table_that_stays_on_the_host() {
    let cost = ModelCost { tied_head: true, host_embedding: true, ..tiny_cost(1) };
    let embedding = |plan: &Plan| plan.placements[2].clone();
    let gpu = planned(&cost, &gpus(&[GIB]), &DeviceMap::Auto);
    let beside = planned(
        &ModelCost { host_embedding: false, ..cost.clone() },
        &gpus(&[GIB]),
        &DeviceMap::Auto,
    );
    assert_eq!((embedding(&gpu).bytes, embedding(&gpu).on_host), (400, true));
    // The output matrix cannot share it then, and the GPU has as much as before.
    assert_eq!(gpu.placements.last().unwrap().bytes, 400);
    assert_eq!(gpu.devices[0].weight_bytes, beside.devices[0].weight_bytes);
    let own = ModelCost { tied_head: false, ..cost.clone() };
    let untied = planned(&own, &gpus(&[GIB]), &DeviceMap::Auto);
    let both =
        planned(&ModelCost { host_embedding: false, ..own }, &gpus(&[GIB]), &DeviceMap::Auto);
    assert_eq!(both.devices[0].weight_bytes - untied.devices[0].weight_bytes, 400);
    // On the CPU it is where it always was.
    let cpu = DeviceSpec { id: "cpu".to_owned(), capability: None, ..gpus(&[GIB])[0].clone() };
    let on_cpu = planned(&cost, std::slice::from_ref(&cpu), &DeviceMap::Auto);
    assert!(!embedding(&on_cpu).on_host);
    check_accounts(&cost, &[cpu], &on_cpu);
}

#[test]
fn unknown_devices_are_named() {
    let on = |map: DeviceMap| {
        plan(&tiny_cost(1), &gpus(&[GIB]), &map, &DtypePolicy::default(), &demand(1, 1))
            .unwrap_err()
            .to_string()
    };
    let error = on(DeviceMap::Single("cuda:1".to_owned()));
    assert!(error.contains("cuda:1") && error.contains("are cuda:0"), "{error}");
    let error = on(DeviceMap::from_json(r#"{"": "cpu"}"#).unwrap());
    assert!(error.contains("cpu"), "{error}");
}

#[test]
fn a_device_over_its_budget_is_a_problem_with_its_numbers() {
    let cost = internvl3(3584, 28, 28, 4, 18_944);
    let devices = gpus(&[12 * GIB]);
    let plan = planned(&cost, &devices, &DeviceMap::Auto);
    check_accounts(&cost, &devices, &plan);
    let [problem] = &plan.problems[..] else { panic!("{:?}", plan.problems) };
    let text = problem.to_string();
    assert!(text.contains("cuda:0 (gpu) has 12.0 GiB"), "{text}");
    assert!(text.contains("weights 14.8 GiB") && text.contains("4.8 GiB more"), "{text}");
    assert_eq!(plan.kv_tokens, 0);
}

#[test]
fn advice_is_the_nearest_change_that_is_enough() {
    let cost = internvl3(3584, 28, 28, 4, 18_944);
    let policy = DtypePolicy::default();
    let page = 4096;
    let advice = |devices: &[DeviceSpec], map: &DeviceMap, demand: &Demand| -> Vec<String> {
        advise(&cost, devices, map, &policy, demand, page).iter().map(ToString::to_string).collect()
    };
    let small = gpus(&[12 * GIB]);
    let one = advice(&small, &DeviceMap::Auto, &demand(1, 4096));
    assert_eq!(one, ["--quantize q8", "1 more gpu"]);
    assert_eq!(
        advice(&small, &DeviceMap::Single("cuda:0".to_owned()), &demand(1, 4096)),
        ["--quantize q8"]
    );
    // 8 values of 2 bytes by 28 layers: 448 bytes a token.
    let tight = gpus(&[17 * GIB]);
    assert_eq!(advice(&tight, &DeviceMap::Auto, &demand(4, 4096)), Vec::<String>::new());
    let slots = advice(&tight, &DeviceMap::Auto, &demand(400, 8192));
    assert!(slots[0].starts_with("--slots "), "{slots:?}");
    let fewer: usize = slots[0]["--slots ".len()..].parse().unwrap();
    let fits =
        |slots| plan(&cost, &tight, &DeviceMap::Auto, &policy, &demand(slots, 8192)).unwrap().fits;
    assert!(fits(fewer) && !fits(fewer + 1), "{fewer}");
    // A map that wastes a device is told of one that does not.
    let two = gpus(&[12 * GIB, 12 * GIB]);
    let single = advice(&two, &DeviceMap::Single("cuda:0".to_owned()), &demand(1, 4096));
    assert_eq!(single[0], "--device-map auto");
}

#[test]
fn numbers_are_told_as_ranges() {
    assert_eq!(ranges([0, 1, 2, 27]), "0-2,27");
    assert_eq!(ranges([5]), "5");
    assert_eq!(ranges([]), "");
}

/// The decoder's fused kernels are for all layers or none: one in f32 gives the others their plain operations back.
#[test]
fn one_layer_without_kernels_leaves_the_others_without() {
    let work = |values| Work { per: Unit::Row, values, residuals: 0, floats: 0, scores: false };
    let mut cost = tiny_cost(2);
    for layer in cost.modules.iter_mut().filter(|module| module.kind == ModuleKind::Layer) {
        layer.phases = vec![vec![work(1000)]];
        layer.fused = Some(vec![vec![work(10)]]);
    }
    let demand =
        Demand { slots: 1, slot_tokens: 64, kv_tokens: None, tiles: 1, prefill_rows: 2047 };
    let activations = |overrides: &[&str]| -> Vec<u64> {
        let policy = DtypePolicy {
            overrides: overrides.iter().map(|one| one.parse().unwrap()).collect(),
            ..DtypePolicy::default()
        };
        let modules = cost.modules.iter().enumerate().map(|(index, module)| {
            let last = index > 3;
            (module.name.clone(), format!("cuda:{}", u32::from(last)))
        });
        let map = DeviceMap::Explicit(modules.collect());
        let devices = parse_devices("2xH100", 0).unwrap();
        let plan = plan(&cost, &devices, &map, &policy, &demand).unwrap();
        plan.devices.iter().map(|device| device.activation_bytes).collect()
    };
    let probe = 513 * 1000 * 2;
    assert_eq!(activations(&[]), [probe; 2]);
    assert_eq!(activations(&["layers.0=f32"]), [2048 * 1000 * 4, 2048 * 1000 * 2]);
    assert_eq!(activations(&["vision=f32"]), [probe; 2]);
}
