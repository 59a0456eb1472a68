//! `tessera extract` as a client of a server with certificates and rules: who gets an answer, and what the
//! others are told.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use tempfile::TempDir;

const RECEIPT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/samples/receipt-01.png");

const RULES: &str = r#"
[[rule]]
callers = ["key:reader", "spiffe://cluster.local/ns/billing/*"]
methods = ["*"]

[[rule]]
callers = ["dns:*"]
methods = ["ModelInfo"]
"#;

fn tessera(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    // Whatever the machine's environment says, a test is always the same.
    command.env_clear().args(args);
    command
}

/// An authority and the files that it signed.
struct Files {
    dir: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    /// An API key that the rules know.
    key: String,
}

impl Files {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let made = tessera(&["key", "reader"]).output().unwrap();
        let key = stderr(&made).trim().to_owned();
        let files = Self { dir: tempfile::tempdir().unwrap(), authority, key };
        files.write("ca.pem", &files.authority.pem());
        files.sign("server", vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))]);
        files.write("access.toml", &(String::from_utf8(made.stdout).unwrap() + RULES));
        files
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(Path::new(&self.path(name)), text).unwrap();
    }

    /// `NAME.pem` and `NAME.key`.
    fn sign(&self, name: &str, names: Vec<SanType>) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        self.write(&format!("{name}.pem"), &params.signed_by(&key, &self.authority).unwrap().pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// On the fake model: this is about who may call.
    fn start(files: &Files, more: &[&str]) -> Self {
        let (cert, key, access) =
            (files.path("server.pem"), files.path("server.key"), files.path("access.toml"));
        let args = ["serve", "--listen", "127.0.0.1:0", "--log-level", "off", "--weights", "fake"];
        let secure = ["--tls-cert", &cert, "--tls-key", &key, "--access-file", &access];
        let mut child =
            tessera(&[&args[..], &secure, more].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line.split([' ', ',']).nth(3).unwrap().to_owned();
        // Whatever comes later is read, so that the server never waits for its reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Reads a receipt, with these flags and variables.
    fn extract(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let server = format!("https://{}", self.address);
        let all = [&["extract", RECEIPT, "--json", "--server", server.as_str()], args].concat();
        tessera(&all).envs(variables.iter().copied()).output().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn assert_read(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", stderr(output));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["fields"]["TOTAL_AMOUNT"], "$30.00", "{text}");
}

/// Says all of `words` on stderr, and ends with `exit`.
#[track_caller]
fn assert_told(output: &Output, exit: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(exit), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_key_over_tls() {
    let files = Files::new();
    let server = Server::start(&files, &[]);
    let (ca, key) = (files.path("ca.pem"), files.key.as_str());
    assert_read(&server.extract(&["--ca", &ca, "--api-key", key], &[]));
    assert_read(&server.extract(&["--ca", &ca, "--token", key], &[]));
    // All of it by variables.
    let url = format!("https://{}", server.address);
    let variables =
        [("TESSERA_CA", ca.as_str()), ("TESSERA_API_KEY", key), ("TESSERA_SERVER", &url)];
    assert_read(&tessera(&["extract", RECEIPT, "--json"]).envs(variables).output().unwrap());

    let nobody = server.extract(&["--ca", &ca], &[]);
    assert_told(&nobody, 1, &["UNAUTHENTICATED CREDENTIALS_MISSING", "try: TESSERA_TOKEN"]);
    let wrong = server.extract(&["--ca", &ca], &[("TESSERA_TOKEN", "a-wrong-key")]);
    assert_told(
        &wrong,
        1,
        &["UNAUTHENTICATED CREDENTIALS_INVALID", "a token or key that this server"],
    );
    assert!(!stderr(&wrong).contains("a-wrong-key"), "{}", stderr(&wrong));
    let answer: serde_json::Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!(answer["error"]["code"], "UNAUTHENTICATED");
    // Who gives a key of its own does not call with that of the environment.
    let typed = server.extract(&["--ca", &ca, "--api-key", "another"], &[("TESSERA_TOKEN", key)]);
    assert_told(&typed, 1, &["CREDENTIALS_INVALID"]);
}

#[test]
fn a_server_that_is_not_trusted_gets_no_page() {
    let files = Files::new();
    let server = Server::start(&files, &[]);
    let (stranger, key) = (Files::new(), files.key.as_str());
    let wrong = server.extract(&["--ca", &stranger.path("ca.pem"), "--api-key", key], &[]);
    assert_told(&wrong, 3, &["no trust in the server at https://", "try: --ca with"]);
    // Without --ca the system's authorities count, which do not know this one.
    assert_told(&server.extract(&["--api-key", key], &[]), 3, &["UnknownIssuer"]);
    let ca = files.path("ca.pem");
    let name = server.extract(&["--ca", &ca, "--server-name", "other.example"], &[]);
    assert_told(&name, 3, &["no trust in the server", "try: --server-name"]);
    assert_told(&server.extract(&["--ca", "/no/such/ca.pem"], &[]), 2, &["cannot read"]);
    let half = server.extract(&["--ca", &ca, "--client-cert", &ca], &[]);
    assert_told(&half, 2, &["--client-cert without --client-key"]);
    // And what is no TLS at all.
    let plain = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .env_clear()
        .args(["extract", RECEIPT, "--server", &server.address])
        .output()
        .unwrap();
    assert_told(&plain, 3, &["the connection broke", "a server with TLS needs https://"]);
}

#[test]
fn both_sides_prove_who_they_are() {
    let files = Files::new();
    let uri = |text: &str| vec![SanType::URI(text.try_into().unwrap())];
    files.sign("billing", uri("spiffe://cluster.local/ns/billing/sa/reader"));
    files.sign("guest", vec![SanType::DnsName("guest.example".try_into().unwrap())]);
    let stranger = Files::new();
    stranger.sign("billing", uri("spiffe://cluster.local/ns/billing/sa/reader"));
    let ca = files.path("ca.pem");
    let server = Server::start(&files, &["--tls-client-ca", &ca]);
    let as_one = |of: &Files, name: &str| {
        let (cert, key) = (of.path(&format!("{name}.pem")), of.path(&format!("{name}.key")));
        server.extract(&["--ca", &ca, "--client-cert", &cert, "--client-key", &key], &[])
    };
    assert_read(&as_one(&files, "billing"));
    // Known, but without the right.
    let guest = as_one(&files, "guest");
    assert_told(&guest, 1, &["PERMISSION_DENIED METHOD_NOT_ALLOWED", "try: another caller"]);
    // Of an authority that the server does not know, and without any.
    for output in [as_one(&stranger, "billing"), server.extract(&["--ca", &ca], &[])] {
        // By an alert, or where that was lost, by a connection that is closed.
        assert_told(&output, 3, &["--client-cert"]);
    }
    let variables = [
        ("TESSERA_CA", ca.as_str()),
        ("TESSERA_CLIENT_CERT", &files.path("billing.pem")),
        ("TESSERA_CLIENT_KEY", &files.path("billing.key")),
    ];
    assert_read(&server.extract(&[], &variables));
}

#[test]
fn what_a_server_says_to_try_works() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let files = Files::new();
    files.sign("named", vec![SanType::DnsName("reader.example".try_into().unwrap())]);
    std::fs::write(at("own.pem"), own.pem()).unwrap();
    std::fs::write(at("own.key"), key.serialize_pem()).unwrap();
    // With its own authority behind it the second file says all that callers need, too.
    let chain = std::fs::read_to_string(files.path("named.pem")).unwrap() + &files.authority.pem();
    std::fs::write(at("named.pem"), chain).unwrap();
    std::fs::write(at("named.key"), std::fs::read(files.path("named.key")).unwrap()).unwrap();
    for (name, page) in [("own", "https://localhost:"), ("named", "https://reader.example:")] {
        let (cert, key) = (at(&format!("{name}.pem")), at(&format!("{name}.key")));
        let (_server, hints) = hints(&["--tls-cert", &cert, "--tls-key", &key]);
        assert!(hints[1].starts_with(&format!("  or:  {page}")), "{hints:?}");
        assert_read(&tried(&hints[0]));
    }
    let (_server, told) = hints(&[]);
    assert!(told[1].starts_with("  or:  http://127.0.0.1:"), "{told:?}");
    assert_read(&tried(&told[0]));
    // Nobody but the authority's own file vouches for this one: that is not in the server's.
    let (cert, key) = (files.path("named.pem"), files.path("named.key"));
    let (_server, told) = hints(&["--tls-cert", &cert, "--tls-key", &key]);
    assert!(told[0].ends_with("--server-name reader.example --ca CA.pem"), "{told:?}");
    let real = told[0].replace("CA.pem", &files.path("ca.pem"));
    assert_read(&tried(&real));
}

/// A server, and the two lines after its first one.
fn hints(args: &[&str]) -> (Server, Vec<String>) {
    let serve = ["serve", "--listen", "127.0.0.1:0", "--log-level", "off", "--weights", "fake"];
    let mut child = tessera(&[&serve[..], args].concat()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let hints = lines.skip(1).take(2).map(Result::unwrap).collect();
    (Server { child, address: String::new() }, hints)
}

/// What comes of the command of a hint.
fn tried(hint: &str) -> Output {
    let command = hint.strip_prefix("  try: tessera extract receipt.png").unwrap();
    let args: Vec<&str> = command.split_whitespace().collect();
    tessera(&[&["extract", RECEIPT, "--json"], &args[..]].concat()).output().unwrap()
}
