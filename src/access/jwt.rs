//! Tokens of an issuer: signature, issuer, audience and time, by the keys of a JWKS file.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

/// What clocks may differ by.
const LEEWAY_S: u64 = 30;

/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Checks tokens against the keys that it was made with.
pub(super) struct Verifier {
    keys: Vec<Trusted>,
    issuers: Vec<String>,
    audiences: Vec<String>,
}

struct Trusted {
    id: Option<String>,
    key: DecodingKey,
    algorithms: &'static [Algorithm],
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Deserialize)]
struct KeySet {
    /// Each read alone: a set may hold kinds of keys that are not known here.
    keys: Vec<serde_json::Value>,
}

// === impl Verifier ===

impl Verifier {
    pub(super) fn new(
        issuers: &[String],
        audiences: &[String],
        jwks: &str,
    ) -> Result<Self, String> {
        let set: KeySet =
            serde_json::from_str(jwks).map_err(|error| format!("no JWKS: {error}"))?;
        let keys: Vec<Trusted> = set.keys.into_iter().filter_map(Trusted::read).collect();
        if keys.is_empty() {
            return Err(
                "no key that can verify a signature: RSA, P-256, P-384 or Ed25519".to_owned()
            );
        }
        Ok(Self { keys, issuers: issuers.to_vec(), audiences: audiences.to_vec() })
    }

    /// The subject of a token that holds, or why it does not.
    pub(super) fn subject(&self, token: &str) -> Result<String, &'static str> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err("the token is too long");
        }
        let header = decode_header(token).map_err(|_| "the token is no JWT")?;
        let named = header.kid.as_deref();
        let mut candidates =
            self.keys.iter().filter(|key| named.is_none() || key.id.as_deref() == named);
        let mut why = "the token is signed with a key that is not in the JWKS file";
        // Without a key id any of the keys may be the one.
        candidates
            .find_map(|key| match self.verify(token, header.alg, key) {
                Ok(subject) => Some(subject),
                Err(error) => {
                    why = error;
                    None
                }
            })
            .ok_or(why)
    }

    fn verify(
        &self,
        token: &str,
        algorithm: Algorithm,
        trusted: &Trusted,
    ) -> Result<String, &'static str> {
        use jsonwebtoken::errors::ErrorKind;

        if !trusted.algorithms.contains(&algorithm) {
            return Err("the token is signed in a way that its key is not for");
        }
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_issuer(&self.issuers);
        validation.set_audience(&self.audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = decode::<Claims>(token, &trusted.key, &validation);
        claims.map(|token| token.claims.sub).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => "the token has expired",
            ErrorKind::ImmatureSignature => "the token is not valid yet",
            ErrorKind::InvalidAudience => "the token is for another audience",
            ErrorKind::InvalidIssuer => "the token is from another issuer",
            ErrorKind::MissingRequiredClaim(_) => "the token lacks one of exp, iss, aud, sub",
            ErrorKind::InvalidSignature => "the token's signature does not hold",
            _ => "the token cannot be used",
        })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("keys", &self.keys.len())
            .field("issuers", &self.issuers)
            .field("audiences", &self.audiences)
            .finish()
    }
}

// === impl Trusted ===

impl Trusted {
    /// None for what cannot verify: unknown kinds, keys for encryption, shared secrets.
    fn read(value: serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
            return None;
        }
        let algorithms: &'static [Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(_) => &[Algorithm::EdDSA],
            // Whoever could verify could also sign.
            AlgorithmParameters::OctetKey(_) => return None,
        };
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, key, algorithms })
    }
}
