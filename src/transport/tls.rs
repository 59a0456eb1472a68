//! The server's certificate, and whose certificates it trusts: read from files, and again when they
//! change. Open connections keep what they began with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use webpki::{EndEntityCert, KeyUsage};

/// A certificate that ends sooner than this is worth a warning.
const WARN_BEFORE_EXPIRY: Duration = Duration::from_hours(7 * 24);

/// A server that runs for months says it again: nobody renewed the certificate since.
const WARN_AGAIN: Duration = Duration::from_hours(24);

/// Where the server's identity is. All files are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and an authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// None: clients need no certificate, and none is asked for.
    pub clients: Option<ClientTrust>,
}

/// Whose client certificates count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTrust {
    /// Certificates of authorities.
    pub authorities: PathBuf,
    /// Without it a client may come without a certificate, but not with a wrong one.
    pub required: bool,
}

/// Why files cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} cannot be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no {what} in PEM: {message}", path = path.display())]
    Pem { path: PathBuf, what: &'static str, message: String },
    #[error("the certificate in {path} has expired", path = path.display())]
    Expired { path: PathBuf },
    #[error("certificate {certificate} and key {key} cannot be used together: {source}",
        certificate = certificate.display(), key = key.display())]
    Unusable { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("{path} holds no authority that can be trusted: {message}", path = path.display())]
    Authorities { path: PathBuf, message: String },
}

/// The configuration that new connections get.
#[derive(Debug)]
pub(super) struct Acceptor {
    files: TlsFiles,
    http1: bool,
    current: RwLock<Current>,
    /// When the certificate's end was last looked at.
    looked: Mutex<Instant>,
}

#[derive(Debug, Clone)]
struct Current {
    config: Arc<ServerConfig>,
    content: Content,
}

/// What the files held; a change of it is a reason to look.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

// === impl TlsFiles ===

impl TlsFiles {
    /// Whether a server can be made of these files now. Returns what is worth a warning.
    pub fn check(&self) -> Result<Option<String>, TlsError> {
        let content = Content::read(self)?;
        self.config(&content, false)?;
        Ok(self.expires_soon(&content))
    }

    /// The first DNS name of the server's certificate that is one of a single host.
    pub fn name(&self) -> Option<String> {
        let chain = self.chain()?;
        let leaf = EndEntityCert::try_from(chain.first()?).ok()?;
        leaf.valid_dns_names().find(|name| !name.starts_with('*')).map(str::to_owned)
    }

    /// Whether who trusts the certificates of the server's own file trusts the server.
    pub fn vouch_for_themselves(&self) -> bool {
        let Some(chain) = self.chain() else { return false };
        let Some(Ok(leaf)) = chain.first().map(EndEntityCert::try_from) else { return false };
        let anchors: Vec<_> =
            chain.iter().filter_map(|one| webpki::anchor_from_trusted_cert(one).ok()).collect();
        verify(&leaf, &anchors, &chain[1..], UnixTime::now()).is_ok()
    }

    fn chain(&self) -> Option<Vec<CertificateDer<'static>>> {
        certificates(&self.certificate, &read(&self.certificate).ok()?).ok()
    }

    fn config(&self, content: &Content, http1: bool) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.certificate, &content.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&content.key).map_err(|error| TlsError::Pem {
            path: self.key.clone(),
            what: "private key",
            message: error.to_string(),
        })?;
        if expired(&chain[0], Duration::ZERO) {
            return Err(TlsError::Expired { path: self.certificate.clone() });
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unusable = |source| TlsError::Unusable {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match (&self.clients, &content.authorities) {
            (Some(trust), Some(pem)) => {
                builder.with_client_cert_verifier(trust.verifier(pem, provider)?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        if http1 {
            config.alpn_protocols.push(b"http/1.1".to_vec());
        }
        Ok(config)
    }

    fn expires_soon(&self, content: &Content) -> Option<String> {
        let chain = certificates(&self.certificate, &content.certificate).ok()?;
        if expired(&chain[0], Duration::ZERO) {
            let path = self.certificate.clone();
            return Some(format!("{}: clients refuse it", TlsError::Expired { path }));
        }
        expired(&chain[0], WARN_BEFORE_EXPIRY).then(|| {
            format!("the certificate in {} expires within 7 days", self.certificate.display())
        })
    }
}

// === impl ClientTrust ===

impl ClientTrust {
    fn verifier(
        &self,
        pem: &[u8],
        provider: Arc<rustls::crypto::CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let wrong =
            |message: String| TlsError::Authorities { path: self.authorities.clone(), message };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities, pem)? {
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = if self.required { verifier } else { verifier.allow_unauthenticated() };
        verifier.build().map_err(|error| wrong(error.to_string()))
    }
}

// === impl Content ===

impl Content {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let authorities = files.clients.as_ref().map(|trust| read(&trust.authorities));
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            authorities: authorities.transpose()?,
        })
    }
}

impl std::fmt::Debug for Content {
    /// Never the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}

// === impl Acceptor ===

impl Acceptor {
    pub(super) fn load(files: TlsFiles, http1: bool) -> Result<Self, TlsError> {
        let content = Content::read(&files)?;
        let config = Arc::new(files.config(&content, http1)?);
        let current = RwLock::new(Current { config, content });
        Ok(Self { files, http1, current, looked: Mutex::new(Instant::now()) })
    }

    /// For the next connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).config)
    }

    /// Looks at the files again. What cannot be used is logged, and the last good one stays. Blocks.
    pub(super) fn reload(&self) {
        match self.changed() {
            Ok(None) => {
                if let Some(warning) = self.reminder(Instant::now()) {
                    tracing::warn!("{warning}");
                }
            }
            Ok(Some(current)) => {
                if let Some(warning) = self.files.expires_soon(&current.content) {
                    tracing::warn!("{warning}");
                }
                tracing::info!("new connections use the changed certificate files");
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
            }
            // Files are replaced one by one: the next look may find them whole.
            Err(error) => tracing::error!(%error, "certificate files changed and cannot be used"),
        }
    }

    /// That the certificate in force ends soon, or has ended: once a day.
    fn reminder(&self, now: Instant) -> Option<String> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(*looked) < WARN_AGAIN {
            return None;
        }
        *looked = now;
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        self.files.expires_soon(&current.content)
    }

    fn changed(&self) -> Result<Option<Current>, TlsError> {
        let content = Content::read(&self.files)?;
        if content == self.current.read().unwrap_or_else(PoisonError::into_inner).content {
            return Ok(None);
        }
        let config = Arc::new(self.files.config(&content, self.http1)?);
        Ok(Some(Current { config, content }))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// At least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong =
        |message: String| TlsError::Pem { path: path.to_owned(), what: "certificate", message };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("no CERTIFICATE section".to_owned())) } else { Ok(found) }
}

/// Whether `leaf` is past its end when `ahead` has passed.
fn expired(leaf: &CertificateDer<'_>, ahead: Duration) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(now + ahead);
    let Ok(certificate) = EndEntityCert::try_from(leaf) else { return false };
    // No path is asked for: the dates are looked at first, and nothing else of the answer counts.
    let verified = verify(&certificate, &[], &[], time);
    matches!(verified, Err(webpki::Error::CertExpired { .. }))
}

/// Whether `leaf` is the certificate of a server that `anchors` trust.
fn verify(
    leaf: &EndEntityCert<'_>,
    anchors: &[TrustAnchor<'_>],
    between: &[CertificateDer<'_>],
    time: UnixTime,
) -> Result<(), webpki::Error> {
    let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, KeyUsage::server_auth());
    leaf.verify_for_usage(algorithms, anchors, between, time, usage, None, None).map(drop)
}

#[cfg(test)]
mod tests;
