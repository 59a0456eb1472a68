//! What the server says of its model, before and after it is loaded.

use std::sync::mpsc;
use std::time::Duration;

use tessera::engine::ModelState;
use tessera::pb::v1;
use tonic::{Code, Streaming};
use tonic_types::StatusExt as _;

use crate::support::{MODEL, SOON, Server, Setup, assert_failure, first_token, open, question};

async fn info(server: &Server) -> v1::ModelStatus {
    let answer = server.client().await.model_info(v1::ModelInfoRequest::default()).await.unwrap();
    answer.into_inner().status.unwrap()
}

async fn watch(server: &Server) -> Streaming<v1::WatchModelInfoResponse> {
    let request = v1::WatchModelInfoRequest::default();
    server.client().await.watch_model_info(request).await.unwrap().into_inner()
}

/// Reads on to an answer that fits; none where the stream ends.
async fn until(
    watch: &mut Streaming<v1::WatchModelInfoResponse>,
    fits: impl Fn(&v1::ModelStatus) -> bool,
) -> Option<v1::ModelStatus> {
    loop {
        let message = tokio::time::timeout(SOON, watch.message()).await.unwrap().unwrap()?;
        let status = message.status.unwrap();
        if fits(&status) {
            return Some(status);
        }
    }
}

#[tokio::test]
async fn answers_while_loading() {
    let (open_gate, gate) = mpsc::channel();
    let server = Setup { gate: Some(gate), ..Setup::default() }.start().await;
    server.until(|status| status.message == "waiting for the gate").await;
    let status = info(&server).await;
    assert_eq!(status.state(), v1::ServingState::Loading);
    assert_eq!(status.state_message, "waiting for the gate");
    assert_eq!(status.model, MODEL);
    assert_eq!(status.placements, []);
    assert_eq!(status.limits.unwrap().max_request_bytes, 64 << 20);
    assert_eq!(status.capabilities.unwrap().built_in_schemas.len(), 3);

    let refused = crate::support::refuse(&server, question("Total?")).await;
    assert_failure(&refused, Code::Unavailable, "MODEL_LOADING");
    assert!(refused.get_details_retry_info().is_some());
    open_gate.send(()).unwrap();
    server.until(|status| status.state == ModelState::Ready).await;
}

#[tokio::test]
async fn says_what_is_loaded() {
    let server = Setup::default().start().await;
    let status = info(&server).await;
    assert_eq!(status.state(), v1::ServingState::Ready);
    assert_eq!(status.revision, "fake");
    assert!(status.server_version.starts_with(env!("CARGO_PKG_VERSION")), "{status:?}");
    assert_eq!(status.kv_cache_dtype(), v1::Dtype::F32);
    assert_eq!(status.placements.len(), 1);
    assert_eq!(status.placements[0].weight_dtype(), v1::Dtype::F32);
    assert_eq!(status.placements[0].accumulate_dtype(), v1::Dtype::F32);
    assert_eq!(status.devices[0].id, "cpu");
    assert_eq!(status.dtype_policy.unwrap().mode(), v1::PolicyMode::Fallback);
    assert_eq!(status.verification.unwrap().tensors_compared, 0);
    assert_eq!((status.links, status.kv_capacity_tokens), (Vec::new(), 2 * 512));
    let limits = status.limits.unwrap();
    assert_eq!((limits.max_running_requests, limits.max_queued_requests), (2, 256));
    assert_eq!((limits.max_input_tokens, limits.max_output_tokens), (511, 511));
    assert_eq!(limits.max_schema_bytes, 64 << 10);
    assert_eq!((limits.max_file_bytes, limits.max_prompt_bytes), (48 << 20, 64 << 10));
    assert_eq!((limits.max_stop_sequences, limits.max_stop_sequence_bytes), (4, 256));
    assert_eq!((limits.max_page_side, limits.max_file_pixels), (32_768, 256_000_000));
    // 16-bit RGBA for each pixel of the largest page, and 16 MiB.
    assert_eq!(limits.max_decode_bytes, 8 * 64_000_000 + (16 << 20));
    assert_eq!((limits.max_render_ms, limits.max_render_bytes), (20_000, 3 << 30));
    assert_eq!(limits.max_request_memory_bytes, 2 << 30);
    assert_eq!((limits.max_bytes_besides_files, limits.max_event_bytes), (256 << 10, 4_193_280));
    let capabilities = status.capabilities.unwrap();
    assert_eq!(capabilities.confidence_method(), v1::ConfidenceMethod::TokenProbability);
    assert!(capabilities.json_schema_keywords.contains(&"maxItems".to_owned()));
    for schema in &capabilities.built_in_schemas {
        let text: serde_json::Value = serde_json::from_str(&schema.json_schema).unwrap();
        let properties = text["properties"].as_object().unwrap();
        assert!(properties.keys().eq(&schema.fields), "{schema:?}");
    }
    assert!(capabilities.built_in_schemas[0].fields.contains(&"TOTAL_AMOUNT".to_owned()));
}

#[tokio::test]
async fn says_what_calibration_is_in_force() {
    let calibration: tessera::fields::Calibration = serde_json::from_str(
        r#"{"format": 1, "documents": 40, "kinds": {"money": {"temperature": 2.0}, "*": {"temperature": 1.5}},
            "checks": {"LIST_LENGTHS": {"passed": 0.75, "failed": 0.25}}}"#,
    )
    .unwrap();
    let calibration = Some(std::sync::Arc::new(calibration));
    let server = Setup { calibration, ..Setup::default() }.start().await;
    let capabilities = info(&server).await.capabilities.unwrap();
    assert_eq!(capabilities.confidence_method(), v1::ConfidenceMethod::Calibrated);
    let check = v1::CheckEvidence { rule: "LIST_LENGTHS".to_owned(), passed: 0.75, failed: 0.25 };
    let expected = v1::Calibration {
        documents: 40,
        kinds: vec!["*".to_owned(), "money".to_owned()],
        checks: vec![check],
    };
    assert_eq!(capabilities.calibration, Some(expected));
}

#[tokio::test]
async fn another_model_is_not_found() {
    let server = Setup::default().start().await;
    let request = v1::ModelInfoRequest { model: "other".to_owned() };
    let status = server.client().await.model_info(request).await.unwrap_err();
    assert_failure(&status, Code::NotFound, "MODEL_NOT_FOUND");
    assert_eq!(status.get_details_resource_info().unwrap().resource_name, "other");
    let request = v1::WatchModelInfoRequest { model: "other".to_owned() };
    let status = server.client().await.watch_model_info(request).await.unwrap_err();
    assert_failure(&status, Code::NotFound, "MODEL_NOT_FOUND");
}

#[tokio::test]
async fn a_watch_tells_changes_and_ends_at_drain() {
    let (open_gate, gate) = mpsc::channel();
    let setup = Setup::endless(Duration::from_millis(5));
    let server = Setup { gate: Some(gate), ..setup }.start().await;
    let mut watch = watch(&server).await;
    until(&mut watch, |s| s.state() == v1::ServingState::Loading).await.unwrap();
    open_gate.send(()).unwrap();
    until(&mut watch, |s| s.state() == v1::ServingState::Ready).await.unwrap();
    let mut stream = open(&server, question("Read on")).await;
    first_token(&mut stream).await;
    until(&mut watch, |s| s.load.unwrap().running_requests == 1).await.unwrap();
    drop(stream);
    until(&mut watch, |s| s.load.unwrap().running_requests == 0).await.unwrap();
    server.engine.drain();
    until(&mut watch, |s| s.state() == v1::ServingState::Draining).await.unwrap();
    assert_eq!(until(&mut watch, |_| true).await, None, "ends with OK");
}

#[tokio::test]
async fn a_watch_is_not_flooded() {
    let server = Setup::default().start().await;
    let mut watch = watch(&server).await;
    until(&mut watch, |_| true).await.unwrap();
    let busy = async {
        let until = tokio::time::Instant::now() + Duration::from_millis(600);
        while tokio::time::Instant::now() < until {
            crate::support::collect(open(&server, question("Total?")).await).await;
        }
        server.engine.drain();
    };
    let count = async {
        let mut count = 0;
        while until(&mut watch, |_| true).await.is_some() {
            count += 1;
        }
        count
    };
    let started = std::time::Instant::now();
    let (count, ()) = tokio::join!(count, busy);
    let most = started.elapsed().as_millis() / 100 + 3;
    assert!(count <= most, "{count} answers, the most is {most}");
}
