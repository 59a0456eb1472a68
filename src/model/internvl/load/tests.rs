//! Models that are right, and models that are not.

use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;

use super::*;
use crate::device;
use crate::model::internvl::fault::with_wrong_kernels;
use crate::model::internvl::host_table::Host;

/// A tile of a pattern, and a prompt that has it.
fn probe(config: &Config, image_token_id: u32) -> ProbeInput {
    let side = config.vision.image_size;
    let pixels = (0..3 * side * side).map(|i| ((i * 7919) % 2003) as f32 / 1001.0 - 1.0);
    let mut tokens = vec![5, 9];
    tokens.extend(std::iter::repeat_n(image_token_id, config.tokens_per_tile()));
    tokens.extend([80, 7, 133]);
    ProbeInput { pixels: pixels.collect(), tiles: 1, tokens }
}

fn micro() -> Checkpoint {
    Checkpoint::Dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/micro-a"))
}

fn load_micro() -> Result<InternVl, LoadError> {
    load_micro_in(Dtype::F32)
}

fn load_micro_in(dtype: Dtype) -> Result<InternVl, LoadError> {
    let checkpoint = micro();
    let image_token_id = 3;
    let options = LoadOptions {
        devices: "cpu".parse()?,
        probe: Some(probe(&Config::load(&checkpoint)?, image_token_id)),
        slots: 1,
        slot_tokens: Some(256),
        image_token_id: Some(image_token_id),
        dtypes: DtypePolicy { requested: Some(dtype), ..DtypePolicy::default() },
        ..LoadOptions::default()
    };
    load(&checkpoint, &options, &mut |_| {})
}

/// On a CPU the vision tower has kernels of its own, in f32. The rest serves by what the probe ran, which is not
/// run again.
#[test]
fn only_what_serves_by_other_operations_is_run_again() {
    let served = |dtype| -> Vec<String> {
        let model = load_micro_in(dtype).unwrap();
        let sites = &model.spec.verification.probe;
        let served = sites.iter().filter(|site| site.site.starts_with("served_"));
        let mut modules: Vec<String> = served.map(|site| site.module.clone()).collect();
        modules.dedup();
        modules
    };
    assert_eq!(served(Dtype::F32), ["vision_model", "mlp1"]);
    assert_eq!(served(Dtype::F16), [""; 0]);
}

/// Kernels that are wrong where the model serves, and only there, are found before it does, and named.
#[test]
fn a_wrong_kernel_is_found_and_its_module_named() {
    load_micro().unwrap();
    for part in [Part::Vision, Part::Projector, Part::Layer(0), Part::Layer(1), Part::Head] {
        let error = with_wrong_kernels(part, load_micro).unwrap_err();
        match &error {
            LoadError::WaysDiffer { way, module, distance, tolerance } => {
                assert_eq!(*module, part.to_string());
                let of_pages = matches!(part, Part::Vision | Part::Projector);
                let expected = if of_pages { "vision kernels" } else { "prefill kernels" };
                assert_eq!(*way, expected, "{part}");
                assert!(distance > tolerance, "{part}: {distance}");
            }
            other => panic!("{part}: {other}"),
        }
        assert!(error.to_string().contains(&format!("{part} is the first")), "{error}");
    }
}

/// A graph of a decoding step is no part of a forward pass: the probe runs one, and finds it wrong before the model
/// serves. Needs a GPU; where there is none it says so and is over.
#[cfg(feature = "cuda")]
#[test]
fn a_wrong_decoding_step_is_found_on_a_gpu() {
    use crate::model::internvl::fault::with_wrong_decoding;
    use crate::prompt::{PromptOptions, Prompter};

    let checkpoint = Checkpoint::Embedded;
    let prompter = Prompter::load(&checkpoint, &PromptOptions::default()).unwrap();
    let image_token_id = prompter.image_token_id();
    let load_tiny = || {
        let options = LoadOptions {
            devices: "cuda:0".parse()?,
            probe: Some(probe(&Config::load(&checkpoint)?, image_token_id)),
            slots: 2,
            slot_tokens: Some(512),
            image_token_id: Some(image_token_id),
            ..LoadOptions::default()
        };
        load(&checkpoint, &options, &mut |_| {})
    };
    if device::open(&"cuda:0".parse().unwrap()).is_err() {
        eprintln!("not run: it needs a GPU");
        return;
    }
    load_tiny().unwrap();
    let error = with_wrong_decoding(load_tiny).unwrap_err();
    let is_found = matches!(&error, LoadError::WaysDiffer { way, .. } if *way == "decoding step");
    assert!(is_found, "{error}");
}

/// As on GPUs, whose rows come from the host: the planner leaves the table there only for them.
#[test]
fn replicas_read_one_table_in_the_host_s_memory() {
    let checkpoint = micro();
    let tables = HostTables::default();
    let specs = [Dtype::F32, Dtype::F32, Dtype::F16].map(|dtype| {
        let options = LoadOptions {
            devices: "cpu,cpu".parse().unwrap(),
            dtypes: DtypePolicy { requested: Some(dtype), ..DtypePolicy::default() },
            slots: 1,
            ..LoadOptions::default()
        };
        let config = Config::load(&checkpoint).unwrap();
        let room = room(&config, &options);
        let weights = Weights::open(&checkpoint, options.weights).unwrap();
        let mut layout = layout::decide(&config, &weights, &options).unwrap();
        let host = device::open(&"cpu".parse().unwrap()).unwrap().remove(0);
        layout.homes.host = Some(Host { device: host, tables: tables.clone() });
        let links = Links::open(&layout.devices, &layout.homes.crossings()).unwrap();
        let model = build(config, &layout.homes, links, &weights, room, &mut |_| {}).unwrap();
        assert!(weights.unused().is_empty(), "{:?}", weights.unused());
        let spec = spec(&checkpoint, &model, &weights, &layout, &options, room, 3).unwrap();
        (model, Arc::new(spec))
    });
    let table = |model: &InternVl| {
        let mut found = None;
        model.visit(Part::Embedding, &mut |_, tensor| found = Some(tensor.clone()));
        found.unwrap()
    };
    let [first, second, half] = [0, 1, 2].map(|index: usize| table(&specs[index].0));
    assert_eq!((first.id(), half.dtype()), (second.id(), candle_core::DType::F16));
    let bytes = |tensor: &Tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64;
    for (_, spec) in &specs {
        let [one, host] = &spec.devices[..] else { panic!("{:?}", spec.devices) };
        let on = |id: &str| -> u64 {
            let here = spec.placements.iter().filter(|placement| placement.device_id == id);
            here.map(|placement| placement.weight_bytes).sum()
        };
        assert_eq!((one.id.as_str(), one.weight_bytes), ("cpu:0", on("cpu:0")));
        assert_eq!(
            (host.id.as_str(), host.weight_bytes, host.kv_cache_bytes),
            ("cpu", on("cpu"), 0)
        );
        assert!(host.total_bytes > host.weight_bytes && one.kv_cache_bytes > 0);
    }
    let together = ModelSpec::of_replicas(&specs.map(|(_, spec)| spec));
    let host = together.devices.iter().find(|device| device.id == "cpu").unwrap();
    assert_eq!(host.weight_bytes, bytes(&first) + bytes(&half));
}

/// Whatever put it there: a tensor that is not what was planned stops the start with its name.
#[test]
fn a_module_in_another_dtype_than_planned_is_named() {
    let mut model = load_micro_in(Dtype::F16).unwrap();
    let weights = Weights::open(&micro(), WeightSource::Files).unwrap();
    assert!(verify::placements(&model).is_ok());
    let other = model.vision.home().in_f32(String::new());
    model.vision = VisionTower::load(&model.config.vision, &other, &weights).unwrap();
    let error = verify::placements(&model).unwrap_err();
    assert!(matches!(error, LoadError::Misplaced { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("what was loaded is not what was planned: vision_model."), "{text}");
    assert!(text.contains("weight is F32, not F16") && text.contains(" more"), "{text}");
}
