//! A module that is not in the dtype that was asked for: the log, `ModelInfo` and the metrics say so, or, under
//! `--dtype-policy strict`, the server does not start.

use std::fs::File;
use std::path::Path;

use candle_core::{Device, safetensors};
use tempfile::TempDir;
use tessera::pb::v1;

use crate::server::{Call, Server, question};

const LAYER: &str = "language_model.model.layers.5";

/// The layer is to be in f16, and a tile is read to see whether it can.
const IN_F16: [&str; 6] =
    ["--dtype-override", "language.layers.5=f16", "--verify", "probe", "--max-tiles", "1"];

/// The built-in model, with products in one layer's MLP that are too large for f16, and that its last matrix makes
/// small again: by powers of two, so that the rest of the model sees the same numbers.
fn large_products() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tessera-tiny");
    for entry in std::fs::read_dir(source).unwrap().map(Result::unwrap) {
        // A calibration is of the weights that it was made with.
        let belongs = entry.file_name() != "calibration.json";
        if belongs && entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    let path = dir.path().join("model.safetensors");
    let mut weights = safetensors::load(&path, &Device::Cpu).unwrap();
    let factor = f64::from(1 << 14);
    for (matrix, factor) in [("up_proj", factor), ("down_proj", factor.recip())] {
        let weight = weights.get_mut(&format!("{LAYER}.mlp.{matrix}.weight")).unwrap();
        *weight = (&*weight * factor).unwrap();
    }
    safetensors::save(&weights, &path).unwrap();
    dir
}

#[tokio::test]
async fn a_module_in_another_dtype_is_told_everywhere() {
    let model = large_products();
    let log = model.path().join("log");
    let out = File::create(&log).unwrap();
    let flags = [&["--model", model.path().to_str().unwrap()][..], &IN_F16].concat();
    let server = Server::spawn(&flags, |command| {
        command.stderr(out);
    });
    server.until_serving().await;

    let answer = server.client().await.model_info(v1::ModelInfoRequest::default()).await.unwrap();
    let status = answer.into_inner().status.unwrap();
    for placed in &status.placements {
        let moved = placed.module == LAYER;
        let requested = if moved { v1::Dtype::F16 } else { v1::Dtype::F32 };
        assert_eq!(placed.requested_dtype(), requested, "{placed:?}");
        assert_eq!(placed.compute_dtype(), v1::Dtype::F32, "{placed:?}");
        assert_eq!(placed.weight_dtype(), v1::Dtype::F32, "{placed:?}");
        assert_eq!(placed.dtype_reason.contains("mlp_product"), moved, "{placed:?}");
    }
    assert!(status.placements.iter().any(|placed| placed.module == LAYER), "{status:?}");

    let metrics = server.http("GET", "/metrics");
    let told = metrics.lines().find(|line| line.starts_with("tessera_model_dtype_fallbacks{"));
    let told = told.unwrap_or_else(|| panic!("{metrics}"));
    for part in ["=\"cpu\"", "requested=\"f16\"", "used=\"f32\"", "} 1"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }

    // And it answers.
    Call::open(&server, question(4)).await.unwrap().whole().await.unwrap();
    server.stop().await;
    let log = std::fs::read_to_string(log).unwrap();
    let warned: Vec<&str> = log.lines().filter(|line| line.contains("moved to f32")).collect();
    let [warned] = warned[..] else { panic!("{log}") };
    assert!(warned.contains("WARN") && warned.contains(LAYER), "{warned}");
    assert!(warned.contains("mlp_product"), "{warned}");
}

#[tokio::test]
async fn strict_does_not_start_and_says_what_to_do() {
    let model = large_products();
    let log = model.path().join("log");
    let out = File::create(&log).unwrap();
    let strict = ["--model", model.path().to_str().unwrap(), "--dtype-policy", "strict"];
    let mut server = Server::spawn(&[&strict[..], &IN_F16].concat(), |command| {
        command.stderr(out);
    });
    assert!(!server.ended().await.success());
    let log = std::fs::read_to_string(log).unwrap();
    for part in [LAYER, "mlp_product", "--dtype-override", "--dtype-policy fallback"] {
        assert!(log.contains(part), "{part:?} is not in {log}");
    }
}
