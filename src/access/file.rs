//! The access file: who is known, as TOML.
//!
//! ```toml
//! [jwt]
//! issuers = ["https://login.example"]
//! audiences = ["tessera"]
//! jwks-file = "jwks.json"            # beside this file
//!
//! [[key]]
//! name = "billing"
//! sha256 = "…64 hex digits…"         # of the key; `tessera key billing` makes both
//!
//! [[rule]]                           # the first rule that names the caller counts
//! callers = ["key:billing", "jwt:reader-*", "spiffe://shop.example/ns/till/*"]
//! methods = ["Extract", "ModelInfo"]
//! in-flight = 8
//! per-minute = 600
//! ```

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::jwt::Verifier;
use super::policy::{Key, Policy, Rule};
use super::quota::Quota;

/// What is wrong with an access file, or with a file that it names.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("{path} cannot be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is no access file: {message}", path = path.display())]
    Syntax { path: PathBuf, message: String },
    #[error("{path}: {at} {message}", path = path.display())]
    Value { path: PathBuf, at: String, message: String },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    jwt: Option<JwtSection>,
    #[serde(default, rename = "key")]
    keys: Vec<KeySection>,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleSection>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct JwtSection {
    issuers: Vec<String>,
    audiences: Vec<String>,
    jwks_file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct KeySection {
    name: String,
    sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RuleSection {
    callers: Vec<String>,
    methods: Vec<String>,
    in_flight: Option<u32>,
    per_minute: Option<u32>,
}

/// The policy in the file at `path`, and a digest of all that it was made from. `methods` are the names
/// that rules may use.
pub(super) fn load(path: &Path, methods: &[&str]) -> Result<(Policy, [u8; 32]), AccessError> {
    let text = read(path)?;
    let mut digest = Sha256::new();
    digest.update(&text);
    let file: File = toml::from_str(&text).map_err(|error| AccessError::Syntax {
        path: path.to_owned(),
        // Its own display shows the line, which could hold what should not be shown.
        message: place(&text, &error),
    })?;
    let jwt = match &file.jwt {
        Some(section) => {
            let jwks_path = path.parent().unwrap_or(Path::new("")).join(&section.jwks_file);
            let jwks = read(&jwks_path)?;
            digest.update(&jwks);
            Some(verifier(path, section, &jwks_path, &jwks)?)
        }
        None => None,
    };
    let keys = file.keys.iter().enumerate();
    let keys = keys.map(|(index, section)| key(path, index, section)).collect::<Result<_, _>>()?;
    if file.rules.is_empty() {
        return Err(wrong(path, "rule", "is missing: without one nobody may call anything"));
    }
    let rules = file.rules.into_iter().enumerate();
    let rules = rules
        .map(|(index, section)| rule(path, index, section, methods))
        .collect::<Result<_, _>>()?;
    Ok((Policy::new(jwt, keys, rules), digest.finalize().into()))
}

fn verifier(
    path: &Path,
    section: &JwtSection,
    jwks_path: &Path,
    jwks: &str,
) -> Result<Verifier, AccessError> {
    for (name, list) in [("jwt.issuers", &section.issuers), ("jwt.audiences", &section.audiences)] {
        if list.is_empty() {
            return Err(wrong(path, name, "is empty: a token for anybody would be one for here"));
        }
    }
    Verifier::new(&section.issuers, &section.audiences, jwks)
        .map_err(|message| AccessError::Syntax { path: jwks_path.to_owned(), message })
}

fn key(path: &Path, index: usize, section: &KeySection) -> Result<Key, AccessError> {
    let at = format!("key[{index}]");
    if section.name.is_empty() {
        return Err(wrong(path, &at, "has an empty name"));
    }
    let sha256 = from_hex(&section.sha256).ok_or_else(|| {
        wrong(path, &at, "has a sha256 that is not 64 hex digits; `tessera key NAME` makes one")
    })?;
    Ok(Key { name: section.name.clone(), sha256 })
}

fn rule(
    path: &Path,
    index: usize,
    section: RuleSection,
    methods: &[&str],
) -> Result<Rule, AccessError> {
    let at = format!("rule[{index}]");
    for caller in &section.callers {
        if caller != "*" && caller.trim_end_matches('*').contains('*') {
            return Err(wrong(path, &at, "has a `*` that is not at the end of a caller"));
        }
    }
    for method in &section.methods {
        if method != "*" && !methods.contains(&method.as_str()) {
            let message = format!(
                "names the method {method:?}, which is not one of *, {}",
                methods.join(", ")
            );
            return Err(wrong(path, &at, &message));
        }
    }
    if [section.in_flight, section.per_minute].contains(&Some(0)) {
        return Err(wrong(path, &at, "has a quota of 0; leave the method out instead"));
    }
    Ok(Rule {
        callers: section.callers,
        methods: section.methods,
        quota: Quota { in_flight: section.in_flight, per_minute: section.per_minute },
    })
}

fn wrong(path: &Path, at: &str, message: &str) -> AccessError {
    AccessError::Value { path: path.to_owned(), at: at.to_owned(), message: message.to_owned() }
}

fn read(path: &Path) -> Result<String, AccessError> {
    std::fs::read_to_string(path)
        .map_err(|source| AccessError::Read { path: path.to_owned(), source })
}

/// The error with its line, without the line's text.
fn place(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .map_or(1, |span| text.get(..span.start).unwrap_or(text).matches('\n').count() + 1);
    format!("line {line}: {}", error.message())
}

/// How an access file names `key`: its SHA-256 in hexadecimal digits.
pub fn digest_of_key(key: &str) -> String {
    Sha256::digest(key).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}
