//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The other end of a connection; in the extensions of each of its requests.
#[derive(Debug, Clone)]
pub struct Peer {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// Names in the certificate that it proved to own: `spiffe://…` and `dns:…`. Empty without one.
    pub names: Arc<[String]>,
}

impl Peer {
    pub(super) fn plain(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { local, remote, names: Arc::default() }
    }

    /// `leaf` has been verified by the handshake.
    pub(super) fn with_certificate(mut self, leaf: &CertificateDer<'_>) -> Self {
        self.names = names(leaf).into();
        self
    }
}

/// Names that rules can be about. A SPIFFE id counts only where it is the one URI, as SPIFFE demands.
fn names(leaf: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(leaf) else { return Vec::new() };
    let uris: Vec<&str> = certificate.valid_uri_names().collect();
    let spiffe = match uris[..] {
        [one] if one.starts_with("spiffe://") => Some(one.to_owned()),
        _ => None,
    };
    let dns = certificate.valid_dns_names().map(|name| format!("dns:{}", name.to_lowercase()));
    spiffe.into_iter().chain(dns).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn of(names_in: &[SanType]) -> Vec<String> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names_in.to_vec();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        names(certificate.der())
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn names_of_a_certificate() {
        let id = "spiffe://shop.example/ns/till/sa/reader";
        assert_eq!(of(&[uri(id)]), [id]);
        assert_eq!(of(&[dns("Reader.Example"), uri(id)]), [id, "dns:reader.example"]);
        assert_eq!(of(&[uri("https://shop.example/")]), [""; 0]);
        assert_eq!(of(&[uri(id), uri("spiffe://other.example/a")]), [""; 0], "two ids are none");
        assert_eq!(of(&[]), [""; 0]);
    }
}
