//! Whose certificates count for origins: the machine's authorities, and those of an operator's file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why origins cannot be told from others.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    #[error("{path} cannot be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no authority in PEM: {message}", path = path.display())]
    Pem { path: PathBuf, message: String },
    #[error(
        "this machine has no authorities, by which https:// origins are known: install ca-certificates, or give \
        --fetch-ca"
    )]
    None,
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// How TLS is spoken to origins; `needed`: at least one of them is https.
pub(super) fn client(
    authorities: Option<&Path>,
    needed: bool,
) -> Result<Arc<ClientConfig>, RootsError> {
    let mut roots = RootCertStore::empty();
    // What of them cannot be read counts for nobody: an origin that it signed is refused.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = authorities {
        add(&mut roots, path)?;
    }
    if needed && roots.is_empty() {
        return Err(RootsError::None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), RootsError> {
    let pem =
        std::fs::read(path).map_err(|source| RootsError::Read { path: path.to_owned(), source })?;
    let wrong = |message: String| RootsError::Pem { path: path.to_owned(), message };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("no CERTIFICATE section".to_owned()));
    }
    for certificate in found {
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(())
}
