//! Any text as a token: nobody gets in by it who has no key.
#![no_main]

use std::sync::LazyLock;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use tessera::access::{Action, Config, Counted, Credentials, Gate};

static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("tessera-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let jwks = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    std::fs::write(dir.join("jwks.json"), jwks).expect("a file");
    let access = "[jwt]\nissuers = [\"i\"]\naudiences = [\"a\"]\njwks-file = \"jwks.json\"\n\
                  [[rule]]\ncallers = [\"*\"]\nmethods = [\"*\"]";
    let file = dir.join("access.toml");
    std::fs::write(&file, access).expect("a file");
    Gate::open(Config { file: Some(file), ..Config::default() }, &["Extract"]).expect("a gate")
});

fuzz_target!(|token: &str| {
    let credentials = Credentials { token: Some(token), certificate: &[], address: None };
    let action = Action { name: "Extract", counted: Counted::Call };
    assert!(GATE.admit(&credentials, action, Instant::now()).is_err());
});
