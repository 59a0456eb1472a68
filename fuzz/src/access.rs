//! Any text as a token: nobody gets in by it who has no key.

use std::sync::LazyLock;
use std::time::Instant;

use tessera::access::{Action, Config, Counted, Credentials, Gate, Refusal};

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
    let gate = Gate::open(Config { file: Some(file), ..Config::default() }, &["Extract"]);
    // It has read both.
    std::fs::remove_dir_all(&dir).expect("its own directory");
    gate.expect("a gate")
});

/// Why `token` is refused.
pub fn refused(token: &str) -> Refusal {
    let credentials = Credentials { token: Some(token), certificate: &[], address: None };
    let action = Action { name: "Extract", counted: Counted::Call };
    match GATE.admit(&credentials, action, Instant::now()) {
        Ok(_) => panic!("{token:?} got in"),
        Err(refusal) => refusal,
    }
}
