//! TLS with real certificates: who gets a connection, who gets in, and what changes while it runs.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType, date_time_ymd,
};
use tessera::pb::v1::ModelInfoRequest;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tessera::transport::{ClientTrust, TlsFiles};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::support::{
    SOON, Server, Setup, assert_failure, collect, completed, first_token, info, question,
};

const RELOAD: Duration = Duration::from_millis(20);

/// An authority that signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key in PEM.
    fn sign(&self, mut params: CertificateParams) -> (String, String) {
        let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    pub(crate) fn write_server(&self, dir: &Path) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        let (certificate, key) = self.sign(params);
        std::fs::write(dir.join("cert.pem"), certificate).unwrap();
        std::fs::write(dir.join("key.pem"), key).unwrap();
    }

    fn client(&self, spiffe: &str, expired: bool) -> Identity {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(spiffe.try_into().unwrap())];
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let (certificate, key) = self.sign(params);
        Identity::from_pem(certificate, key)
    }
}

pub(crate) fn files(dir: &Path) -> TlsFiles {
    TlsFiles { certificate: dir.join("cert.pem"), key: dir.join("key.pem"), clients: None }
}

fn mutual(dir: &Path, authority: &Authority, required: bool) -> TlsFiles {
    let authorities = dir.join("clients.pem");
    std::fs::write(&authorities, authority.pem()).unwrap();
    TlsFiles { clients: Some(ClientTrust { authorities, required }), ..files(dir) }
}

async fn start(setup: Setup, tls: TlsFiles) -> Server {
    let mut setup = setup;
    setup.service.transport.tls = Some(tls);
    setup.service.transport.reload_interval = RELOAD;
    setup.start().await
}

fn trusting(authority: &Authority) -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()))
}

async fn connect(server: &Server, tls: ClientTlsConfig) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("https://{}", server.address)).unwrap();
    let connected = endpoint.tls_config(tls).unwrap().connect().await;
    connected.map_err(|error| format!("{error:?}"))
}

/// Asks for the model: with TLS 1.3 a client learns only then that its certificate is not taken.
async fn ask(server: &Server, tls: ClientTlsConfig) -> Result<(), String> {
    let channel = connect(server, tls).await?;
    let mut client = ExtractionServiceClient::new(channel);
    let asked = client.model_info(ModelInfoRequest::default()).await;
    asked.map(|_| ()).map_err(|status| format!("{status:?}"))
}

#[tokio::test]
async fn a_whole_answer_over_tls() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.write_server(dir.path());
    let server = start(Setup::default(), files(dir.path())).await;
    let channel = connect(&server, trusting(&authority)).await.unwrap();
    let mut client = ExtractionServiceClient::new(channel);
    let (events, status) =
        collect(client.extract(question("Total?")).await.unwrap().into_inner()).await;
    assert_eq!(status.code(), Code::Ok);
    assert!(!completed(&events).text.is_empty());

    let stranger = ask(&server, trusting(&Authority::new())).await.unwrap_err();
    assert!(stranger.contains("InvalidCertificate"), "{stranger}");
    // Plaintext where TLS is spoken gets no answer, and does not hurt the others.
    let plain = server.endpoint().connect().await.unwrap();
    let asked = ExtractionServiceClient::new(plain).model_info(ModelInfoRequest::default()).await;
    assert!(asked.is_err());
    ask(&server, trusting(&authority)).await.unwrap();
}

#[tokio::test]
async fn mutual_tls_knows_its_clients() {
    let (dir, authority, clients) =
        (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    authority.write_server(dir.path());
    let server = start(Setup::default(), mutual(dir.path(), &clients, true)).await;
    let id = "spiffe://shop.example/ns/till/sa/reader";
    let with = |identity: Identity| trusting(&authority).identity(identity);
    ask(&server, with(clients.client(id, false))).await.unwrap();
    for (what, tls) in [
        ("no certificate", trusting(&authority)),
        ("another authority", with(Authority::new().client(id, false))),
        ("expired", with(clients.client(id, true))),
    ] {
        assert!(ask(&server, tls).await.is_err(), "{what}");
    }
    ask(&server, with(clients.client(id, false))).await.unwrap();
}

#[tokio::test]
async fn a_certificate_may_be_asked_for_and_not_given() {
    let (dir, authority, clients) =
        (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    authority.write_server(dir.path());
    let server = start(Setup::default(), mutual(dir.path(), &clients, false)).await;
    ask(&server, trusting(&authority)).await.unwrap();
    let id = "spiffe://shop.example/ns/till/sa/reader";
    let wrong = trusting(&authority).identity(Authority::new().client(id, false));
    assert!(ask(&server, wrong).await.is_err(), "a wrong certificate is worse than none");
}

#[tokio::test]
async fn rules_go_by_the_spiffe_id() {
    let (dir, authority, clients) =
        (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    authority.write_server(dir.path());
    let file = dir.path().join("access.toml");
    let rules =
        "[[rule]]\ncallers = [\"spiffe://shop.example/ns/till/*\"]\nmethods = [\"Extract\"]";
    std::fs::write(&file, rules).unwrap();
    let mut setup = Setup::default();
    setup.service.access.file = Some(file);
    let server = start(setup, mutual(dir.path(), &clients, true)).await;
    let as_client = |id: &str| trusting(&authority).identity(clients.client(id, false));

    let till = "spiffe://shop.example/ns/till/sa/reader";
    let mut client = ExtractionServiceClient::new(connect(&server, as_client(till)).await.unwrap());
    client.extract(question("Total?")).await.unwrap();
    let status = client.model_info(ModelInfoRequest::default()).await.unwrap_err();
    assert_failure(&status, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    let metadata = info(&status).1.metadata;
    assert_eq!((metadata["caller"].as_str(), metadata["method"].as_str()), (till, "ModelInfo"));

    let other = connect(&server, as_client("spiffe://shop.example/ns/office/sa/x")).await.unwrap();
    let status = ExtractionServiceClient::new(other).extract(question("Total?")).await.unwrap_err();
    assert_failure(&status, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn a_new_certificate_counts_for_new_connections_only() {
    let (dir, old, new) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    old.write_server(dir.path());
    let server = start(Setup::endless(Duration::from_millis(2)), files(dir.path())).await;
    let channel = connect(&server, trusting(&old)).await.unwrap();
    let mut client = ExtractionServiceClient::new(channel);
    let mut stream = client.extract(question("Read on")).await.unwrap().into_inner();
    first_token(&mut stream).await;

    new.write_server(dir.path());
    let renewed = async {
        while ask(&server, trusting(&new)).await.is_err() {
            tokio::time::sleep(RELOAD).await;
        }
    };
    tokio::time::timeout(SOON, renewed).await.unwrap();
    assert!(ask(&server, trusting(&old)).await.is_err());
    // The stream that was there goes on, and its connection takes new calls.
    first_token(&mut stream).await;
    client.model_info(ModelInfoRequest::default()).await.unwrap();
}
