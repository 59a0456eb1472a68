//! Files, tokens and rules together: what a caller shows, and what comes of it.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use expect_test::{Expect, expect};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::*;

const METHODS: [&str; 3] = ["Extract", "ModelInfo", "reflection"];

/// An issuer: a key pair, and the JWKS file that tells others of it.
struct Issuer {
    key: rcgen::KeyPair,
}

impl Issuer {
    fn new() -> Self {
        Self { key: rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap() }
    }

    fn jwks(&self) -> String {
        // The key itself is the end of its SubjectPublicKeyInfo.
        let raw = self.key.public_key_raw();
        json!({"keys": [
            {"kty": "unknown", "kid": "x"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "one", "use": "sig", "x": base64url(raw)},
            {"kty": "oct", "kid": "shared", "k": base64url(b"a secret that all verifiers know")},
        ]})
        .to_string()
    }

    fn token(&self, claims: &serde_json::Value) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some("one".to_owned());
        let key = EncodingKey::from_ed_der(&self.key.serialize_der());
        encode(&header, claims, &key).unwrap()
    }
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(DIGITS[(bits >> (18 - 6 * at) & 63) as usize] as char);
        }
    }
    text
}

fn in_seconds(seconds: i64) -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 + seconds
}

fn claims() -> serde_json::Value {
    json!({"iss": "https://login.example", "aud": "tessera", "sub": "reader-7", "exp": in_seconds(600)})
}

fn with(key: &str, value: serde_json::Value) -> serde_json::Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn without(key: &str) -> serde_json::Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().shift_remove(key);
    claims
}

fn write(dir: &Path, access: &str, jwks: &str) -> PathBuf {
    std::fs::write(dir.join("jwks.json"), jwks).unwrap();
    let path = dir.join("access.toml");
    std::fs::write(&path, access).unwrap();
    path
}

fn access(rules: &str) -> String {
    let sha256 = digest_of_key("tsr_billing");
    format!(
        r#"
        [jwt]
        issuers = ["https://login.example"]
        audiences = ["tessera"]
        jwks-file = "jwks.json"
        [[key]]
        name = "billing"
        sha256 = "{sha256}"
        {rules}"#
    )
}

const RULES: &str = r#"
    [[rule]]
    callers = ["key:billing", "spiffe://shop.example/ns/till/*"]
    methods = ["Extract", "ModelInfo"]
    in-flight = 1
    [[rule]]
    callers = ["jwt:*", "dns:reader.example"]
    methods = ["*"]
    [[rule]]
    callers = ["anonymous"]
    methods = ["ModelInfo"]
"#;

struct Door {
    gate: Gate,
    dir: tempfile::TempDir,
}

impl Door {
    fn new(issuer: &Issuer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = Some(write(dir.path(), &access(RULES), &issuer.jwks()));
        let gate = Gate::open(Config { file, ..Config::default() }, &METHODS).unwrap();
        Self { gate, dir }
    }

    fn try_in(
        &self,
        token: Option<&str>,
        certificate: &[&str],
        method: &str,
    ) -> Result<Admitted, Refusal> {
        let certificate: Vec<String> = certificate.iter().map(|&name| name.to_owned()).collect();
        let credentials = Credentials { token, certificate: &certificate, address: None };
        let counted = match method {
            "Extract" => Counted::Call,
            "BatchExtract" => Counted::Documents,
            _ => Counted::Nothing,
        };
        let action = Action { name: method, counted };
        self.gate.admit(&credentials, action, Instant::now())
    }

    fn caller(&self, token: Option<&str>, certificate: &[&str], method: &str) -> String {
        match self.try_in(token, certificate, method) {
            Ok(admitted) => admitted.caller.unwrap(),
            Err(refusal) => format!("refused: {refusal}"),
        }
    }
}

#[test]
fn keys_certificates_and_strangers_have_their_rules() {
    let door = Door::new(&Issuer::new());
    assert_eq!(door.caller(Some("tsr_billing"), &[], "Extract"), "key:billing");
    assert_eq!(
        door.caller(Some("tsr_billing"), &[], "reflection"),
        "refused: key:billing may not call reflection"
    );
    let till = "spiffe://shop.example/ns/till/sa/reader";
    assert_eq!(door.caller(None, &[till], "Extract"), till);
    assert_eq!(
        door.caller(None, &["spiffe://other.example/x", "dns:reader.example"], "reflection"),
        "dns:reader.example"
    );
    assert_eq!(
        door.caller(None, &["spiffe://other.example/x"], "Extract"),
        "refused: spiffe://other.example/x may not call Extract"
    );
    assert_eq!(door.caller(None, &[], "ModelInfo"), "anonymous");
    assert_eq!(door.try_in(None, &[], "Extract").unwrap_err(), Refusal::Missing);
    // A wrong key is not made good by a right certificate.
    assert_eq!(
        door.try_in(Some("tsr_guess"), &[till], "Extract").unwrap_err(),
        Refusal::Invalid { why: "no such key" }
    );
}

#[test]
fn tokens_hold_only_as_a_whole() {
    let issuer = Issuer::new();
    let door = Door::new(&issuer);
    let verdict =
        |claims: &serde_json::Value| door.caller(Some(&issuer.token(claims)), &[], "Extract");
    assert_eq!(verdict(&claims()), "jwt:reader-7");
    assert_eq!(verdict(&with("aud", json!(["other", "tessera"]))), "jwt:reader-7");
    for (claims, why) in [
        (with("aud", json!("other")), "the token is for another audience"),
        (with("iss", json!("https://evil.example")), "the token is from another issuer"),
        (with("exp", json!(in_seconds(-120))), "the token has expired"),
        (with("nbf", json!(in_seconds(600))), "the token is not valid yet"),
        (without("exp"), "the token lacks one of exp, iss, aud, sub"),
        (without("aud"), "the token lacks one of exp, iss, aud, sub"),
    ] {
        assert_eq!(verdict(&claims), format!("refused: the credentials are not valid: {why}"));
    }
    let forged = Issuer::new().token(&claims());
    assert!(door.caller(Some(&forged), &[], "Extract").contains("signature does not hold"));
}

#[test]
fn a_shared_secret_and_no_signature_at_all_are_no_ways_in() {
    let door = Door::new(&Issuer::new());
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("shared".to_owned());
    let secret = EncodingKey::from_secret(b"a secret that all verifiers know");
    let token = encode(&header, &claims(), &secret).unwrap();
    assert!(door.caller(Some(&token), &[], "Extract").contains("not in the JWKS file"));
    let head = base64url(br#"{"alg":"none","typ":"JWT"}"#);
    let body = base64url(claims().to_string().as_bytes());
    assert!(door.caller(Some(&format!("{head}.{body}.")), &[], "Extract").contains("is no JWT"));
}

#[test]
fn quotas_count_metered_calls_of_one_caller() {
    let door = Door::new(&Issuer::new());
    let running = door.try_in(Some("tsr_billing"), &[], "Extract").unwrap();
    let refusal = door.try_in(Some("tsr_billing"), &[], "Extract").unwrap_err();
    assert!(matches!(refusal, Refusal::InFlight { limit: 1, .. }), "{refusal}");
    door.try_in(Some("tsr_billing"), &[], "ModelInfo").unwrap();
    drop(running);
    door.try_in(Some("tsr_billing"), &[], "Extract").unwrap();
}

#[test]
fn quotas_count_documents_of_batches_with_calls_and_not_the_batches() {
    let issuer = Issuer::new();
    let dir = tempfile::tempdir().unwrap();
    let rules = RULES.replacen("\"Extract\"", "\"Extract\", \"BatchExtract\"", 1);
    let file = Some(write(dir.path(), &access(&rules), &issuer.jwks()));
    let methods = ["Extract", "BatchExtract", "ModelInfo"];
    let gate = Gate::open(Config { file, ..Config::default() }, &methods).unwrap();
    let door = Door { gate, dir };
    let key = Some("tsr_billing");
    let batches = [(); 3].map(|()| door.try_in(key, &[], "BatchExtract").unwrap());
    assert!(batches.iter().all(|admitted| admitted.permit.is_none()));
    let enter = |batch: usize| batches[batch].meter.as_ref().unwrap().enter(Instant::now());
    let document = enter(0).unwrap();
    for refusal in [enter(1).unwrap_err(), door.try_in(key, &[], "Extract").unwrap_err()] {
        assert!(matches!(refusal, Refusal::InFlight { limit: 1, .. }), "{refusal}");
    }
    drop(document);
    let call = door.try_in(key, &[], "Extract").unwrap();
    assert!(enter(0).is_err());
    drop(call);
    enter(2).unwrap();
}

#[test]
fn a_changed_file_counts_and_a_broken_one_does_not() {
    let issuer = Issuer::new();
    let door = Door::new(&issuer);
    write(door.dir.path(), "no access file", &issuer.jwks());
    door.gate.reload();
    assert_eq!(door.caller(Some("tsr_billing"), &[], "Extract"), "key:billing");
    let later = Issuer::new();
    write(door.dir.path(), &access(RULES), &later.jwks());
    door.gate.reload();
    assert_eq!(door.caller(Some(&later.token(&claims())), &[], "Extract"), "jwt:reader-7");
    assert!(door.caller(Some(&issuer.token(&claims())), &[], "Extract").starts_with("refused"));
}

#[test]
fn without_a_file_addresses_have_quotas() {
    let quota = Quota { in_flight: Some(1), per_minute: None };
    let gate = Gate::open(Config { file: None, quota }, &METHODS).unwrap();
    let from = |address: &str| {
        let address = Some(address.parse().unwrap());
        let credentials = Credentials { token: Some("ignored"), certificate: &[], address };
        gate.admit(&credentials, Action { name: "Extract", counted: Counted::Call }, Instant::now())
    };
    let running = from("192.0.2.1").unwrap();
    assert_eq!(running.caller, None);
    let _other = from("192.0.2.2").unwrap();
    assert!(from("::ffff:192.0.2.1").is_err(), "the same address in the other family");
    let _six = from("2001:db8:0:1::1").unwrap();
    assert!(from("2001:db8:0:1::2").is_err(), "one network is one caller");
    let _next = from("2001:db8:0:2::1").unwrap();
}

fn check_mistake(file: &str, expected: &Expect) {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), file, r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#);
    let config = Config { file: Some(path), ..Config::default() };
    let error = config.check(&METHODS).unwrap_err().to_string();
    expected.assert_eq(&error.replace(&dir.path().display().to_string(), "DIR"));
}

#[test]
fn mistakes_say_where_they_are() {
    check_mistake(
        "[[key]]\nname = 5",
        &expect![
            "DIR/access.toml is no access file: line 2: invalid type: integer `5`, expected a string"
        ],
    );
    check_mistake(
        "[[keys]]\nname = \"a\"",
        &expect![
            "DIR/access.toml is no access file: line 1: unknown field `keys`, expected one of `jwt`, `key`, `rule`"
        ],
    );
    check_mistake(
        "",
        &expect!["DIR/access.toml: rule is missing: without one nobody may call anything"],
    );
    check_mistake(
        "[[key]]\nname = \"a\"\nsha256 = \"secret\"",
        &expect![
            "DIR/access.toml: key[0] has a sha256 that is not 64 hex digits; `tessera key NAME` makes one"
        ],
    );
    check_mistake(
        "[[rule]]\ncallers = [\"*\"]\nmethods = [\"Extrac\"]",
        &expect![[
            r#"DIR/access.toml: rule[0] names the method "Extrac", which is not one of *, Extract, ModelInfo, reflection"#
        ]],
    );
    check_mistake(
        "[[rule]]\ncallers = [\"key:*b\"]\nmethods = [\"*\"]",
        &expect!["DIR/access.toml: rule[0] has a `*` that is not at the end of a caller"],
    );
    check_mistake(
        &access(RULES),
        &expect![
            "DIR/jwks.json is no access file: no key that can verify a signature: RSA, P-256, P-384 or Ed25519"
        ],
    );
    check_mistake(
        &access(RULES).replace("[\"tessera\"]", "[]"),
        &expect![
            "DIR/access.toml: jwt.audiences is empty: a token for anybody would be one for here"
        ],
    );
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let door = Door::new(&Issuer::new());
    let credentials = Credentials { token: Some("tsr_billing"), certificate: &[], address: None };
    let text = format!("{:?} {credentials:?}", door.gate);
    assert!(
        !text.contains("tsr_billing") && !text.contains(&digest_of_key("tsr_billing")),
        "{text}"
    );
}

#[test]
fn what_has_no_effect_is_said_with_its_remedy() {
    let warnings = |file: &str, certificates: bool| {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), file, &Issuer::new().jwks());
        let config = Config { file: Some(path), ..Config::default() };
        let warnings = config.warnings(&METHODS, certificates).join("\n");
        warnings.replace(&format!("{}/", dir.path().display()), "")
    };
    assert_eq!(warnings(&access(RULES), true), "");
    expect![[r#"
        access.toml: rule[0] "spiffe://shop.example/ns/till/*" names nobody without client certificates: give --tls-client-ca
        access.toml: rule[1] "dns:reader.example" names nobody without client certificates: give --tls-client-ca"#]]
    .assert_eq(&warnings(&access(RULES), false));
    let sha256 = digest_of_key("tsr_till");
    let file = format!(
        r#"
        [[key]]
        name = "till"
        sha256 = "{sha256}"
        [[rule]]
        callers = []
        methods = ["*"]
        [[rule]]
        callers = ["billing", "key:billing", "jwt:*", "k*"]
        methods = ["*"]
        [[rule]]
        callers = ["key:till", "anonymous"]
        methods = ["*"]"#
    );
    expect![[r#"
        access.toml: rule[0] has no callers: name them, or remove it
        access.toml: rule[1] "billing" names nobody: names begin with key:, jwt:, spiffe:// or dns:, or are anonymous
        access.toml: rule[1] "key:billing" names no key of this file: add a [[key]] with this name, which `tessera key NAME` prints
        access.toml: rule[1] "jwt:*" names nobody without a section [jwt]: add it, with issuers, audiences and jwks-file
        access.toml: rule[2] "key:till" never counts: rule[1] names the same callers and comes first; move it up, or remove it"#]]
    .assert_eq(&warnings(&file, false));
    let all = "[[rule]]\ncallers = [\"*\"]\nmethods = [\"ModelInfo\"]\n[[rule]]\ncallers = [\"anonymous\"]\nmethods = [\"*\"]";
    assert_eq!(warnings(all, false), "", "`*` is nobody without a name");
    let unnamed = access("[[rule]]\ncallers = [\"jwt:reader-7\"]\nmethods = [\"*\"]");
    expect![[r#"access.toml: no rule names "key:billing": it may call nothing; add it to a rule, or remove the key"#]]
        .assert_eq(&warnings(&unnamed, false));
}
