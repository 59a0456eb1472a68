//! Files out of real origins on loopback, which say all that an origin could say.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Above all that these tests need.
const SOON: Duration = Duration::from_secs(20);

/// What an origin does after it has read a request.
#[derive(Debug, Clone)]
enum Part {
    Send(Vec<u8>),
    Wait(Duration),
    /// Says nothing more, and waits until the other side is gone.
    Hang,
}

/// An origin on loopback.
#[derive(Debug)]
struct Origin {
    address: SocketAddr,
    /// Heads of the requests that came.
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    /// The other side went away while it hung.
    left: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Origin {
    async fn start(parts: Vec<Part>) -> Self {
        Self::start_with(parts, None).await
    }

    async fn saying(text: &str) -> Self {
        Self::start(vec![send(text)]).await
    }

    async fn start_with(parts: Vec<Part>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heads, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::default());
        let (sender, left) = oneshot::channel();
        let (came, counted) = (Arc::clone(&heads), Arc::<AtomicUsize>::clone(&connections));
        tokio::spawn(async move {
            let mut sender = Some(sender);
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let told = match &tls {
                    None => answer(stream, &parts, &came).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => answer(stream, &parts, &came).await,
                        Err(_) => false,
                    },
                };
                if told && let Some(sender) = sender.take() {
                    let _ = sender.send(());
                }
            }
        });
        Self { address, heads, connections, left: Mutex::new(Some(left)) }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn uri(&self, rest: &str) -> String {
        format!("http://{}{rest}", self.address)
    }
}

/// Says whether it hung and the other side left.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    parts: &[Part],
    heads: &Mutex<Vec<String>>,
) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return false };
        head.push(byte);
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    for part in parts {
        match part {
            Part::Send(bytes) => {
                if stream.write_all(bytes).await.is_err() || stream.flush().await.is_err() {
                    return false;
                }
            }
            Part::Wait(time) => tokio::time::sleep(*time).await,
            Part::Hang => return !matches!(stream.read(&mut [0]).await, Ok(1)),
        }
    }
    let _ = stream.shutdown().await;
    false
}

fn send(text: &str) -> Part {
    Part::Send(text.as_bytes().to_vec())
}

/// A resolver that says what the test wants, one answer for each time that it is asked.
#[derive(Debug, Default)]
struct Told {
    answers: Mutex<VecDeque<io::Result<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Told {
    fn addresses(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = answers
            .iter()
            .map(|answer| Ok(answer.iter().map(|address| address.parse().unwrap()).collect()));
        Arc::new(Self { answers: Mutex::new(parsed.collect()), asked: Mutex::default() })
    }
}

impl Resolve for Told {
    fn resolve(&self, name: &str) -> Resolving {
        self.asked.lock().unwrap().push(name.to_owned());
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into())) })
    }
}

fn config(origins: &[&str], networks: &[&str]) -> Config {
    Config {
        networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        timeout: SOON,
        ..Config::new(origins.iter().map(|text| text.parse().unwrap()).collect())
    }
}

/// For origins by their address on loopback.
fn fetcher(origin: &Origin) -> Fetcher {
    Fetcher::new(&config(&[&origin.uri("")], &["127.0.0.0/8"])).unwrap()
}

/// Far above what origins here send.
const BYTES_MAX: usize = 1 << 20;

async fn get(fetcher: &Fetcher, uri: &str) -> Result<Bytes, FetchError> {
    let target = Target::parse(uri, fetcher.origins()).unwrap();
    let got = fetcher.get(&target, Instant::now() + SOON, BYTES_MAX, |_| true);
    tokio::time::timeout(SOON, got).await.unwrap()
}

/// The answer of `get` to what an origin says.
async fn got(text: &str) -> Result<Bytes, FetchError> {
    let origin = Origin::saying(text).await;
    get(&fetcher(&origin), &origin.uri("/a")).await
}

#[tokio::test]
async fn a_file_comes_as_it_is_and_nothing_goes_along() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfile").await;
    let content = get(&fetcher(&origin), &origin.uri("/a%20b.png?X-Signature=1%2F2")).await;
    assert_eq!(content.unwrap(), "file");
    let head = origin.heads.lock().unwrap().concat().to_lowercase();
    let mut lines: Vec<&str> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "get /a%20b.png?x-signature=1%2f2 http/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", origin.address);
    let expected = [
        "accept-encoding: identity",
        "accept: */*",
        "connection: close",
        &host,
        "user-agent: tessera",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn files_may_come_in_chunks_or_until_the_end() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nle\r\n0\r\n\r\n";
    assert_eq!(got(chunked).await.unwrap(), "file");
    assert_eq!(got("HTTP/1.1 200 OK\r\n\r\nfile").await.unwrap(), "file");
    assert_eq!(
        got("HTTP/1.0 200 OK\r\nContent-Encoding: Identity\r\n\r\nfile").await.unwrap(),
        "file"
    );
}

#[tokio::test]
async fn this_machine_is_called_only_where_its_network_is_listed() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\n\r\nfile").await;
    let closed = Fetcher::new(&config(&[&origin.uri("")], &["10.0.0.0/8"])).unwrap();
    let error = get(&closed, &origin.uri("/a")).await.unwrap_err();
    let FetchError::Unreachable(Unreachable::Hidden(address)) = error else { panic!("{error:?}") };
    assert!(address.is_loopback());
    assert_eq!(origin.connections(), 0);
    assert!(get(&fetcher(&origin), &origin.uri("/a")).await.is_ok());
}

/// For `http://docs.example:PORT`, whose addresses `resolver` says.
fn named(port: u16, resolver: Arc<Told>) -> (Fetcher, String) {
    let uri = format!("http://docs.example:{port}");
    let fetcher = Fetcher::with_resolver(&config(&[&uri], &["127.0.0.1/32"]), resolver).unwrap();
    (fetcher, format!("{uri}/a"))
}

#[tokio::test]
async fn the_address_that_was_looked_at_is_the_one_that_is_called() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\n\r\nfile").await;
    // What is asked a second time points elsewhere (DNS rebinding).
    let resolver = Told::addresses(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let (fetcher, uri) = named(origin.address.port(), Arc::clone(&resolver));
    assert_eq!(get(&fetcher, &uri).await.unwrap(), "file");
    assert_eq!(*resolver.asked.lock().unwrap(), ["docs.example"], "nobody was asked again");
    assert_eq!(origin.heads.lock().unwrap()[0].matches("docs.example:").count(), 1);
    // The next file is asked for anew.
    let error = get(&fetcher, &uri).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable(Unreachable::Hidden(_))), "{error:?}");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn every_address_of_a_name_counts() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\n\r\nfile").await;
    for hidden in ["10.0.0.1", "169.254.169.254", "127.0.0.2", "::1", "::ffff:127.0.0.1", "fd00::1"]
    {
        for addresses in [[hidden, "127.0.0.1"], ["127.0.0.1", hidden]] {
            let (fetcher, uri) = named(origin.address.port(), Told::addresses(&[&addresses]));
            let error = get(&fetcher, &uri).await.unwrap_err();
            let FetchError::Unreachable(Unreachable::Hidden(found)) = error else {
                panic!("{hidden}: {error:?}")
            };
            assert_eq!(found.to_string(), hidden);
        }
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn addresses_are_tried_in_their_order() {
    let origin = Origin::saying("HTTP/1.1 200 OK\r\n\r\nfile").await;
    let uri = format!("http://docs.example:{}", origin.address.port());
    // Nobody listens at the first.
    let resolver = Told::addresses(&[&["127.0.0.9", "127.0.0.1"]]);
    let config = config(&[&uri], &["127.0.0.0/8"]);
    let fetcher = Fetcher::with_resolver(&config, resolver).unwrap();
    assert_eq!(get(&fetcher, &format!("{uri}/a")).await.unwrap(), "file");
}

/// Callers shall not find out what there is where they cannot reach.
#[tokio::test]
async fn whatever_stands_in_the_way_is_told_in_one_sentence() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mute = Origin::saying("SSH-2.0-OpenSSH_9.6\r\n").await;
    let mut told = Vec::new();
    for (port, addresses) in [
        (closed, vec!["127.0.0.1"]),
        (closed, vec!["10.0.0.1"]),
        (mute.address.port(), vec!["127.0.0.1"]),
        (mute.address.port(), vec!["127.0.0.2"]),
        (mute.address.port(), vec![]),
    ] {
        let (fetcher, uri) = named(port, Told::addresses(&[&addresses]));
        told.push(get(&fetcher, &uri).await.unwrap_err());
    }
    let (unknown, uri) = named(closed, Arc::default());
    told.push(get(&unknown, &uri).await.unwrap_err());
    for error in told {
        assert_eq!(error.to_string(), "the origin is not reachable from here", "{error:?}");
        assert_eq!((error.name(), error.may_pass()), ("unreachable", true));
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Origin::saying("HTTP/1.1 200 OK\r\n\r\nsecret").await;
    for status in [301, 302, 303, 307, 308] {
        let to = elsewhere.uri("/secret");
        let text =
            format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let error = got(&text).await.unwrap_err();
        let FetchError::Redirect(found) = &error else { panic!("{error:?}") };
        assert_eq!(found.as_u16(), status);
        assert!(!error.may_pass() && !error.to_string().contains("/secret"), "{error}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn only_200_is_a_file() {
    for (status, may_pass) in [
        (201, false),
        (204, false),
        (206, false),
        (401, false),
        (403, false),
        (404, false),
        (408, true),
        (410, false),
        (429, true),
        (500, true),
        (503, true),
    ] {
        let text = format!("HTTP/1.1 {status} So\r\nContent-Length: 4\r\n\r\nfile");
        let error = got(&text).await.unwrap_err();
        assert!(
            matches!(&error, FetchError::Status(found) if found.as_u16() == status),
            "{error:?}"
        );
        assert_eq!(error.may_pass(), may_pass, "{status}");
    }
}

#[tokio::test]
async fn nothing_is_unpacked() {
    for header in [
        "Content-Encoding: gzip",
        "Content-Encoding: br",
        "Content-Encoding: identity, gzip",
        "Content-Encoding: identity\r\nContent-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n4\r\nfile\r\n0\r\n\r\n");
        let error = got(&text).await.unwrap_err();
        assert!(matches!(error, FetchError::Encoded), "{header}: {error:?}");
    }
}

#[tokio::test]
async fn no_more_is_read_than_may_be() {
    let eleven = "0123456789x";
    for text in [
        // What is said is believed: nothing of it is waited for.
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n{eleven}\r\n"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n012345678\r\n2\r\n9x\r\n"
            .to_owned(),
        format!("HTTP/1.1 200 OK\r\n\r\n{eleven}"),
    ] {
        let origin = Origin::start(vec![send(&text), Part::Hang]).await;
        let fetcher = fetcher(&origin);
        let target = Target::parse(&origin.uri("/a"), fetcher.origins()).unwrap();
        let mut taken = 0;
        let room = |bytes| {
            taken += bytes;
            true
        };
        let got = fetcher.get(&target, Instant::now() + SOON, 10, room).await;
        let error = got.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { bytes_max: 10 }), "{text}: {error:?}");
        assert!(taken <= 10, "{taken}");
    }
    let fits = Origin::saying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789").await;
    let fetcher = fetcher(&fits);
    let target = Target::parse(&fits.uri("/a"), fetcher.origins()).unwrap();
    assert!(fetcher.get(&target, Instant::now() + SOON, 10, |_| true).await.is_ok());
}

#[tokio::test]
async fn room_is_asked_for_before_bytes_are_there() {
    for (head, asked) in [
        ("Content-Length: 5000", vec![5000]),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", vec![3]),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
        let origin = Origin::start(vec![send(&head), Part::Hang]).await;
        let fetcher = fetcher(&origin);
        let target = Target::parse(&origin.uri("/a"), fetcher.origins()).unwrap();
        let mut found = Vec::new();
        let room = |bytes| {
            found.push(bytes);
            false
        };
        let got = fetcher.get(&target, Instant::now() + SOON, BYTES_MAX, room).await;
        assert!(matches!(got, Err(FetchError::NoRoom)), "{got:?}");
        assert_eq!(found, asked);
    }
}

#[tokio::test]
async fn slow_origins_are_not_waited_for() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let drip = || [Part::Send(vec![b'x']), Part::Wait(Duration::from_millis(20))];
    let dripping = std::iter::once(send(head)).chain((0..900).flat_map(|_| drip())).collect();
    for (parts, late) in [
        (vec![Part::Hang], false),
        (vec![send("HTTP/1.1 200"), Part::Hang], false),
        (vec![send(head), Part::Hang], true),
        (dripping, true),
    ] {
        let origin = Origin::start(parts).await;
        let fetcher = fetcher(&origin);
        let target = Target::parse(&origin.uri("/a"), fetcher.origins()).unwrap();
        let until = Instant::now() + Duration::from_secs(1);
        let error = fetcher.get(&target, until, BYTES_MAX, |_| true).await.unwrap_err();
        assert!(until.elapsed() < SOON / 2);
        match error {
            FetchError::Late => assert!(late),
            FetchError::Unreachable(Unreachable::Silent) => assert!(!late),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_is_none() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfile",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfile\r\n",
    ] {
        let error = got(text).await.unwrap_err();
        assert!(matches!(error, FetchError::Broken(_)) && error.may_pass(), "{error:?}");
    }
}

#[tokio::test]
async fn who_does_not_wait_any_more_leaves_at_once() {
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfile"] {
        let origin = Origin::start(vec![send(said), Part::Hang]).await;
        let left = origin.left.lock().unwrap().take().unwrap();
        let (fetcher, uri) = (fetcher(&origin), origin.uri("/a"));
        let getting = tokio::spawn(async move { get(&fetcher, &uri).await });
        while origin.heads.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        getting.abort();
        tokio::time::timeout(SOON, left).await.expect("the connection is closed").unwrap();
    }
}

#[tokio::test]
async fn files_wait_for_their_turn_and_not_for_ever() {
    let origin = Origin::start(vec![Part::Hang]).await;
    let mut one = config(&[&origin.uri("")], &["127.0.0.0/8"]);
    one.at_once = 1;
    let fetcher = Fetcher::new(&one).unwrap();
    let (first, uri) = (fetcher.clone(), origin.uri("/a"));
    let hanging = tokio::spawn(async move { get(&first, &uri).await });
    while origin.connections() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let target = Target::parse(&origin.uri("/b"), fetcher.origins()).unwrap();
    let until = Instant::now() + Duration::from_millis(100);
    let error = fetcher.get(&target, until, BYTES_MAX, |_| true).await.unwrap_err();
    assert!(matches!(error, FetchError::NoTurn { at_once: 1 }), "{error:?}");
    assert_eq!(origin.connections(), 1);
    hanging.abort();
    assert!(hanging.await.unwrap_err().is_cancelled());
    let until = Instant::now() + Duration::from_millis(300);
    let error = fetcher.get(&target, until, BYTES_MAX, |_| true).await.unwrap_err();
    assert!(
        matches!(error, FetchError::Unreachable(Unreachable::Silent)),
        "its turn came: {error:?}"
    );
}

/// A certificate for this name, and the authority that signed it in PEM.
fn certified(name: &str) -> (TlsAcceptor, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

#[tokio::test]
async fn certificates_are_of_the_name_and_of_a_known_authority() {
    let (tls, authority) = certified("docs.example");
    let (_, stranger) = certified("docs.example");
    let said = vec![send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfile")];
    let origin = Origin::start_with(said, Some(tls)).await;
    let dir = tempfile::tempdir().unwrap();
    let port = origin.address.port();
    for (name, authority, well) in [
        ("docs.example", &authority, true),
        ("other.example", &authority, false),
        ("docs.example", &stranger, false),
    ] {
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, authority).unwrap();
        let uri = format!("https://{name}:{port}");
        let mut config = config(&[&uri], &["127.0.0.0/8"]);
        config.authorities = Some(path);
        let resolver = Told::addresses(&[&["127.0.0.1"]]);
        let fetcher = Fetcher::with_resolver(&config, resolver).unwrap();
        match get(&fetcher, &format!("{uri}/a")).await {
            Ok(content) => assert!(well && content == "file", "{name}"),
            Err(FetchError::Unreachable(Unreachable::Tls(_))) => assert!(!well, "{name}"),
            Err(error) => panic!("{name}: {error:?}"),
        }
    }
    assert_eq!(origin.heads.lock().unwrap().len(), 1, "no other was asked for anything");
}

#[test]
fn authorities_that_are_none_are_told_before_anything_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let mut config = config(&["https://docs.example"], &[]);
    config.authorities = Some(path.clone());
    let error = Fetcher::new(&config).unwrap_err();
    assert!(matches!(error, RootsError::Read { .. }), "{error}");
    std::fs::write(&path, "no certificate").unwrap();
    let error = Fetcher::new(&config).unwrap_err();
    assert!(matches!(error, RootsError::Pem { .. }), "{error}");
}

#[test]
fn what_an_operator_should_know_is_said() {
    let warnings = |origins: &[&str], networks: &[&str]| config(origins, networks).warnings();
    assert_eq!(warnings(&["https://docs.example.com"], &["10.0.0.0/8"]), [""; 0]);
    let found = warnings(
        &["https://*.s3.example.com", "http://minio.example.com:9000"],
        &["127.0.0.0/8", "169.254.0.0/16"],
    );
    for (warning, part) in found.iter().zip([
        "every name below s3.example.com",
        "is not encrypted",
        "this machine itself",
        "give out credentials",
    ]) {
        assert!(warning.contains(part), "{warning}");
    }
    assert_eq!(found.len(), 4);
}

#[tokio::test]
async fn the_machine_knows_addresses_of_names() {
    let found = resolve::System::new(1).resolve("localhost").await.unwrap();
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
}
