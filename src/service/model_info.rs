//! What is loaded, where, in which dtype and why, and what would be accepted: the engine's status as
//! the wire has it. Answers while the model loads, with what is known by then.

mod placements;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::State;
use crate::device::{Dtype, Link, LinkRoute};
use crate::engine::{self, ModelState, Reload, ReloadState};
use crate::fields::Calibration;
use crate::limits;
use crate::model::{DeviceUse, ModelSpec, SiteRange};
use crate::pb::v1;
use crate::placement::{DtypePolicy, PolicyMode, Quantization, WeightFormat};
use crate::preprocess::DecodeLimits;
use crate::schema::{self, DocumentKind, Schema};
use placements::placements;

/// Load changes with every request; a watcher is told at most this often.
const INTERVAL: Duration = Duration::from_millis(100);

const MEDIA_TYPES: [&str; 5] =
    ["image/png", "image/jpeg", "image/webp", "image/tiff", "application/pdf"];

pub(super) type WatchStream = ReceiverStream<Result<v1::WatchModelInfoResponse, Status>>;

/// The current answer at once, then a new one after each change, until the server drains.
pub(super) fn watch(state: Arc<State>) -> WatchStream {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(follow(state, sender));
    ReceiverStream::new(receiver)
}

async fn follow(
    state: Arc<State>,
    sender: mpsc::Sender<Result<v1::WatchModelInfoResponse, Status>>,
) {
    let mut changes = state.engine.status();
    let mut sent = None;
    let mut ending = false;
    loop {
        let status = changes.borrow_and_update().clone();
        let answer = model_status(&state, &status);
        if sent.as_ref() != Some(&answer) {
            sent = Some(answer.clone());
            let message = v1::WatchModelInfoResponse { status: Some(answer) };
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
        }
        if ending || matches!(status.state, ModelState::Draining | ModelState::Failed) {
            return;
        }
        // The last change is told even where the end comes with it.
        tokio::select! {
            changed = changes.changed() => ending = changed.is_err(),
            () = state.shutdown.cancelled() => ending = true,
            () = sender.closed() => return,
        }
        // Changes that come meanwhile are told together. A drain is not made to wait.
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = state.shutdown.cancelled() => {}
        }
    }
}

/// The whole answer at `status`.
pub(super) fn model_status(state: &State, status: &engine::Status) -> v1::ModelStatus {
    let spec = status.spec.as_deref();
    v1::ModelStatus {
        model: state.model_name(status).to_owned(),
        revision: spec.map(|spec| spec.revision.clone()).unwrap_or_default(),
        server_version: server_version(),
        state: serving_state(status.state).into(),
        state_message: status.message.clone(),
        placements: spec.map(|spec| placements(&spec.placements)).unwrap_or_default(),
        kv_cache_dtype: spec.map_or(v1::Dtype::Unspecified, |spec| dtype(spec.kv_dtype)).into(),
        devices: spec.map(|spec| spec.devices.iter().map(device).collect()).unwrap_or_default(),
        limits: Some(limits(state, status)),
        capabilities: Some(capabilities(state, status)),
        load: Some(v1::Load {
            running_requests: status.load.running as u32,
            queued_requests: status.load.queued as u32,
            kv_cache_utilization: status.load.kv_utilization,
            queued_tokens: status.load.queued_tokens as u64,
        }),
        dtype_policy: spec.map(|spec| dtype_policy(&spec.policy)),
        links: spec.map(|spec| spec.links.iter().map(link).collect()).unwrap_or_default(),
        verification: spec.map(verification),
        kv_capacity_tokens: spec.map_or(0, |spec| spec.kv_tokens() as u64),
        reload: status.reload.as_ref().map(reload),
        replicas: spec.map_or(0, |spec| spec.replicas.max(1) as u32),
    }
}

fn reload(reload: &Reload) -> v1::ModelReload {
    let state = match reload.state {
        ReloadState::Loading => v1::ReloadState::Loading,
        ReloadState::Draining => v1::ReloadState::Draining,
        ReloadState::Done => v1::ReloadState::Done,
        ReloadState::Failed => v1::ReloadState::Failed,
    };
    v1::ModelReload { number: reload.number, state: state.into(), message: reload.message.clone() }
}

/// Release and commit: `0.3.1+4f2c9ab`.
pub(super) fn server_version() -> String {
    format!("{}+{}", env!("CARGO_PKG_VERSION"), env!("TESSERA_COMMIT"))
}

fn serving_state(state: ModelState) -> v1::ServingState {
    match state {
        ModelState::Loading => v1::ServingState::Loading,
        ModelState::Ready => v1::ServingState::Ready,
        ModelState::Leaving | ModelState::Draining => v1::ServingState::Draining,
        ModelState::Poisoned => v1::ServingState::Poisoned,
        ModelState::Failed => v1::ServingState::Failed,
    }
}

fn limits(state: &State, status: &engine::Status) -> v1::Limits {
    let spec = status.spec.as_deref();
    let bounds = state.bounds(spec, status.tiles_per_page_max);
    let decode = DecodeLimits::default();
    let fetcher = state.config.fetcher.as_deref();
    v1::Limits {
        max_request_bytes: limits::REQUEST_BYTES_MAX as u64,
        max_pages: bounds.pages_max as u32,
        max_page_pixels: limits::PAGE_PIXELS_MAX,
        max_tiles_per_page: bounds.tiles_per_page_max,
        max_input_tokens: spec.map_or(0, input_tokens_max),
        max_output_tokens: bounds.output_tokens_max as u32,
        max_running_requests: spec.map_or(0, |spec| spec.slots as u32),
        max_queued_requests: state.config.queued_max as u32,
        max_queued_tokens: state.config.queued_tokens_max as u64,
        max_schema_bytes: limits::SCHEMA_BYTES_MAX as u32,
        max_batch_in_flight: state.config.batch_in_flight_max as u32,
        max_file_bytes: limits::FILE_BYTES_MAX as u64,
        max_prompt_bytes: limits::PROMPT_BYTES_MAX as u32,
        max_stop_sequences: limits::STOP_SEQUENCES_MAX as u32,
        max_stop_sequence_bytes: limits::STOP_SEQUENCE_BYTES_MAX as u32,
        max_page_side: limits::PAGE_SIDE_PX_MAX,
        max_file_pixels: decode.file_pixels_max,
        max_decode_bytes: decode.memory_bytes_max(),
        max_render_ms: decode.pdf_page_ms_max,
        max_render_bytes: limits::PDF_MEMORY_BYTES_MAX,
        max_request_memory_bytes: state.config.request_memory_bytes as u64,
        max_bytes_besides_files: limits::REQUEST_BESIDES_FILES_BYTES_MAX as u64,
        max_event_bytes: limits::EVENT_BYTES_MAX as u64,
        max_uri_bytes: limits::URI_BYTES_MAX as u32,
        max_fetched_bytes: fetcher.map_or(0, |_| limits::FETCHED_BYTES_MAX as u64),
        max_fetch_ms: fetcher.map_or(0, |fetcher| fetcher.timeout().as_millis() as u64),
    }
}

/// A prompt has to leave room for one token of the answer.
fn input_tokens_max(spec: &ModelSpec) -> u32 {
    spec.slot_tokens.saturating_sub(1) as u32
}

fn capabilities(state: &State, status: &engine::Status) -> v1::Capabilities {
    let schema = |(document_type, kind): (v1::DocumentType, DocumentKind)| v1::BuiltInSchema {
        document_type: document_type.into(),
        fields: kind.fields().map(str::to_owned).collect(),
        json_schema: Schema::of(kind).to_json_schema().to_string(),
    };
    let kinds = [
        (v1::DocumentType::Receipt, DocumentKind::Receipt),
        (v1::DocumentType::Invoice, DocumentKind::Invoice),
        (v1::DocumentType::BankStatement, DocumentKind::BankStatement),
    ];
    v1::Capabilities {
        media_types: MEDIA_TYPES.map(str::to_owned).to_vec(),
        built_in_schemas: kinds.into_iter().map(schema).collect(),
        calibration: status.calibration.as_deref().map(calibration),
        confidence_method: match status.calibration {
            Some(_) => v1::ConfidenceMethod::Calibrated.into(),
            None => v1::ConfidenceMethod::TokenProbability.into(),
        },
        constrained_decoding: true,
        json_schema_keywords: schema::KEYWORDS.iter().map(ToString::to_string).collect(),
        uri_origins: state
            .config
            .fetcher
            .as_ref()
            .map(|fetcher| fetcher.origins().texts().collect())
            .unwrap_or_default(),
    }
}

fn calibration(calibration: &Calibration) -> v1::Calibration {
    let checks = calibration.checks.iter().map(|(rule, evidence)| v1::CheckEvidence {
        rule: rule.clone(),
        passed: evidence.passed,
        failed: evidence.failed,
    });
    v1::Calibration {
        documents: calibration.documents as u32,
        kinds: calibration.kinds.keys().cloned().collect(),
        checks: checks.collect(),
    }
}

fn dtype(dtype: Dtype) -> v1::Dtype {
    match dtype {
        Dtype::F32 => v1::Dtype::F32,
        Dtype::Bf16 => v1::Dtype::Bf16,
        Dtype::F16 => v1::Dtype::F16,
    }
}

fn weight_dtype(format: WeightFormat) -> v1::Dtype {
    match format {
        WeightFormat::Dense(dense) => dtype(dense),
        WeightFormat::Quantized(Quantization::Q8) => v1::Dtype::Q8,
        WeightFormat::Quantized(Quantization::Fp8) => v1::Dtype::Fp8,
    }
}

fn dtype_policy(policy: &DtypePolicy) -> v1::DtypePolicy {
    let mode = match policy.mode {
        PolicyMode::Fallback => v1::PolicyMode::Fallback,
        PolicyMode::Strict => v1::PolicyMode::Strict,
    };
    let quantization = policy.quantization.map(WeightFormat::Quantized);
    v1::DtypePolicy {
        requested: policy.requested.map_or(v1::Dtype::Unspecified, dtype).into(),
        mode: mode.into(),
        overrides: policy.overrides.iter().map(ToString::to_string).collect(),
        quantization: quantization.map_or(v1::Dtype::Unspecified, weight_dtype).into(),
    }
}

fn link(link: &Link) -> v1::DeviceLink {
    let route = match link.route {
        LinkRoute::Host => v1::LinkRoute::Host,
        LinkRoute::Peer => v1::LinkRoute::Peer,
        LinkRoute::Staged => v1::LinkRoute::Staged,
    };
    v1::DeviceLink {
        from_device_id: link.from.clone(),
        to_device_id: link.to.clone(),
        route: route.into(),
        reason: link.reason.clone(),
        checks: link.checks,
        bytes_per_second: link.bytes_per_second,
    }
}

fn verification(spec: &ModelSpec) -> v1::Verification {
    let site = |site: &SiteRange| v1::SiteRange {
        module: site.module.clone(),
        site: site.site.to_owned(),
        dtype: dtype(site.dtype).into(),
        max_abs: site.max_abs,
    };
    v1::Verification {
        tensors: spec.placements.iter().map(|placement| placement.tensors as u32).sum(),
        tensors_compared: spec.verification.tensors_compared as u32,
        probe: spec.verification.probe.iter().map(site).collect(),
    }
}

fn device(device: &DeviceUse) -> v1::Device {
    v1::Device {
        id: device.id.clone(),
        name: device.name.clone(),
        compute_capability: device.compute_capability.clone(),
        total_bytes: device.total_bytes,
        free_bytes: device.free_bytes(),
        weight_bytes: device.weight_bytes,
        kv_cache_bytes: device.kv_cache_bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    use prost::Message as _;
    use prost_types::{FieldDescriptorProto, FileDescriptorSet};

    use super::*;
    use crate::device::{DeviceMemory, MemoryGauge};

    /// A caller that is refused for a limit finds it in `ModelInfo` under the name that the refusal gives.
    #[test]
    fn every_limit_that_a_refusal_names_is_told() {
        let files = FileDescriptorSet::decode(crate::pb::DESCRIPTOR_SET).unwrap();
        let messages = files.file.iter().flat_map(|file| &file.message_type);
        let told: BTreeSet<&str> = messages
            // A few of the names that follow are of fields of a schema.
            .filter(|message| ["Limits", "FieldSpec"].contains(&message.name()))
            .flat_map(|message| message.field.iter().map(FieldDescriptorProto::name))
            .collect();
        let sources = [
            include_str!("error.rs"),
            include_str!("validate.rs"),
            include_str!("validate/schema.rs"),
            include_str!("../preprocess/decode/pdf/mod.rs"),
        ];
        let named: BTreeSet<&str> = sources
            .iter()
            .flat_map(|source| source.split('"'))
            .filter(|text| text.starts_with("max_"))
            .filter(|text| text.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .collect();
        assert!(named.len() >= 15, "{named:?}");
        let missing: Vec<_> = named.difference(&told).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    /// What a model that was loaded says of itself, all the way to the wire.
    #[test]
    fn a_loaded_model_is_described() {
        use crate::model::Runner as _;
        use crate::model::internvl::{LayoutOptions, LoadOptions, load};
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/micro-a");
        let dtypes = DtypePolicy {
            requested: Some(Dtype::F16),
            overrides: vec!["vision=f32".parse().unwrap()],
            quantization: Some(Quantization::Q8),
            ..DtypePolicy::default()
        };
        let options = LoadOptions {
            devices: "cpu,cpu".parse().unwrap(),
            layout: LayoutOptions { map: "internvl".parse().unwrap(), ..LayoutOptions::default() },
            dtypes,
            slots: 2,
            slot_tokens: Some(128),
            compare_weights: true,
            image_token_id: Some(3),
            ..LoadOptions::default()
        };
        let checkpoint = crate::checkpoint::Checkpoint::Dir(dir);
        let model = load(&checkpoint, &options, &mut |_| {}).unwrap();
        let spec = model.spec();
        let (f32, f16) = (v1::Dtype::F32, v1::Dtype::F16);
        let told: Vec<_> = placements(&spec.placements)
            .into_iter()
            .map(|told| {
                let dtypes = [
                    told.requested_dtype(),
                    told.weight_dtype(),
                    told.compute_dtype(),
                    told.accumulate_dtype(),
                    told.residual_dtype(),
                ];
                (told.module, told.device_id, dtypes)
            })
            .collect();
        let entry =
            |module: &str, device: &str, dtypes| (module.to_owned(), device.to_owned(), dtypes);
        let (whole, half) = ([f32; 5], [f16, f16, f16, f32, f32]);
        let eight = [f16, v1::Dtype::Q8, f16, f32, f32];
        let expected = [
            entry("vision_model", "cpu:0", whole),
            entry("mlp1", "cpu:0", half),
            entry("language_model.model.embed_tokens", "cpu:0", half),
            entry("language_model.model.layers.0-1", "cpu:0", eight),
            entry("language_model.model.norm", "cpu:0", half),
            entry("language_model.lm_head", "cpu:0", eight),
        ];
        assert_eq!(told, expected);
        let policy = dtype_policy(&spec.policy);
        assert_eq!((policy.requested(), policy.quantization()), (f16, v1::Dtype::Q8));
        assert_eq!(policy.overrides, ["vision=f32"]);
        let verified = verification(spec);
        let tensors: usize = spec.placements.iter().map(|placement| placement.tensors).sum();
        assert_eq!(verified.tensors as usize, tensors);
        assert!(verified.tensors_compared > 40, "{}", verified.tensors_compared);
        let [one] = &spec.devices[..] else { panic!("{:?}", spec.devices) };
        let told = device(one);
        let weights: u64 = spec.placements.iter().map(|placement| placement.weight_bytes).sum();
        assert_eq!((told.id.as_str(), told.weight_bytes), ("cpu:0", weights));
        let kv_tokens = (spec.kv_blocks * spec.block_tokens) as u64;
        assert_eq!((kv_tokens, told.kv_cache_bytes), (256, 256 * spec.kv_bytes_per_token));
        assert!(told.total_bytes >= told.free_bytes && told.free_bytes > 0, "{told:?}");

        // Free is what is free when it is asked for, not when the model was loaded.
        let free = Arc::new(AtomicU64::new(700));
        let asked = Arc::clone(&free);
        let memory = MemoryGauge::of(move || DeviceMemory {
            total_bytes: 1000,
            free_bytes: asked.load(Ordering::Relaxed),
        });
        let one = DeviceUse { memory, ..one.clone() };
        let before = device(&one).free_bytes;
        free.store(300, Ordering::Relaxed);
        assert_eq!((before, device(&one).free_bytes), (700, 300));
    }
}
