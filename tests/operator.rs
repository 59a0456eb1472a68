//! The binary as an operator meets it: checks before serving, keys, probes over HTTP, a watchdog, TLS from
//! the command line, and what packages are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "process/port.rs"]
mod port;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

use port::free;
use tessera::access::digest_of_key;

const RECEIPT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/models/tessera-tiny/samples/receipt-01.png");

fn tessera(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
    // Whatever the machine's environment says, a test is always the same.
    command.env_clear().args(args);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Ends with the test, also where that fails.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that takes requests, and its address.
fn serving(args: &[&str]) -> (Server, String) {
    let mut server = tessera(&["serve", "--listen", "127.0.0.1:0", "--log-level", "warn"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(server.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let address = line.split([' ', ',']).nth(3).unwrap().to_owned();
    (Server(server), address)
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn check_says_what_stands_against_serving() {
    let listen = free().to_string();
    let well = tessera(&["check", "--listen", &listen]).output().unwrap();
    let text = stdout(&well);
    assert!(well.status.success(), "{text}");
    for part in
        ["tessera-tiny: files are whole", "is free", "plaintext", "everybody may call", "ready:"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }

    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), "{}").unwrap();
    let model = dir.path().display().to_string();
    let wrong =
        tessera(&["check", "--model", &model, "--listen", "203.0.113.1:1"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    let text = stdout(&wrong);
    assert!(text.contains("cannot listen on 203.0.113.1:1"), "{text}");
    assert!(text.contains("everybody who reaches this address can call, unencrypted"), "{text}");
    assert!(stderr(&wrong).contains("checks failed"), "both are told: {text}");

    // What serve would need beside its own address, and what has no effect.
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = admin.local_addr().unwrap().to_string();
    let access = dir.path().join("access.toml");
    let rule = "[[rule]]\ncallers = [\"spiffe://a.example/*\"]\nmethods = [\"*\"]\n";
    std::fs::write(&access, rule).unwrap();
    let more = tessera(&["check", "--listen", &listen, "--admin-listen", &taken])
        .args(["--trace-dir", "/proc/nothing", "--access-file", &access.display().to_string()])
        .output()
        .unwrap();
    let text = stdout(&more);
    assert_eq!(more.status.code(), Some(1), "{text}");
    for part in [
        &format!("{taken} is in use"),
        "cannot write /proc/nothing/spans.jsonl",
        "names nobody without client certificates: give --tls-client-ca",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // Where files may be fetched from, and what is risky about it.
    let fetching =
        tessera(&["check", "--listen", &listen, "--fetch-from", "https://*.store.example"])
            .args(["--fetch-networks", "169.254.0.0/16"])
            .output()
            .unwrap();
    let text = stdout(&fetching);
    assert!(fetching.status.success(), "{text}");
    for part in [
        "from https://*.store.example, where they are public or in 169.254.0.0/16",
        "every name below store.example",
        "give out credentials",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let mistakes = tessera(&["check", "--slots", "0", "--tls-key", RECEIPT]).output().unwrap();
    assert_eq!(mistakes.status.code(), Some(2));
    assert!(stderr(&mistakes).contains("needs --tls-cert"), "{}", stderr(&mistakes));
}

#[test]
fn a_key_and_its_section_belong_together() {
    let made = tessera(&["key", "billing"]).output().unwrap();
    assert!(made.status.success());
    let (key, section) = (stderr(&made), stdout(&made));
    let key = key.trim();
    assert!(key.starts_with("tsr_") && key.len() == 68, "{key}");
    assert!(!section.contains(key) && section.contains(&digest_of_key(key)), "{section}");
    let again = tessera(&["key", "billing"]).output().unwrap();
    assert_ne!(stderr(&again).trim(), key, "each key is its own");
    assert!(!tessera(&["key", "no name"]).output().unwrap().status.success());
}

#[test]
fn pages_and_completions_name_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().display().to_string();
    assert!(tessera(&["man", "--out", &out]).status().unwrap().success());
    for name in ["tessera.1", "tessera-serve.1", "tessera-extract.1", "tessera-check.1"] {
        let page = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(page.contains(".TH"), "{name} is a page");
    }
    let page = std::fs::read_to_string(dir.path().join("tessera-serve.1")).unwrap();
    assert!(page.contains("access\\-file"), "options are on the page");
    for shell in ["bash", "zsh", "fish"] {
        let text = stdout(&tessera(&["completions", shell]).output().unwrap());
        assert!(text.contains("doctor") && text.contains("access-file"), "{shell}");
    }
}

#[test]
fn probes_over_http_follow_the_model() {
    let admin = free();
    let (_server, _) = serving(&["--admin-listen", &admin.to_string()]);
    for path in ["/livez", "/readyz"] {
        let answer = get(admin, path);
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}");
    }
    assert!(get(admin, "/metrics").contains("tessera_model_state"));
    let other = get(admin, "/other");
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    // It says what there is, and that is there.
    let told: Vec<&str> =
        other.split([' ', ',', '.', '\n']).filter(|word| word.starts_with('/')).collect();
    assert_eq!(told, ["/metrics", "/livez", "/readyz", "/log-level", "/reload"], "{other}");
    for path in told {
        assert!(get(admin, path).starts_with("HTTP/1.1 200 OK"), "{path}");
    }
}

#[test]
fn a_step_that_hangs_ends_the_process() {
    // Every step of this model is longer than that.
    let (mut server, address) = serving(&["--watchdog", "5ms"]);
    let failed = tessera(&["extract", RECEIPT, "--server", &address]).output().unwrap();
    assert!(!failed.status.success());
    let status = server.0.wait().unwrap();
    let mut said = String::new();
    server.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("a step has run for") && said.contains("does not end"), "{said}");
}

#[test]
fn a_server_with_certificate_and_rules() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    std::fs::write(at("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(at("key.pem"), key.serialize_pem()).unwrap();
    let rule = "[[rule]]\ncallers = [\"key:*\"]\nmethods = [\"*\"]\n";
    std::fs::write(at("access.toml"), rule).unwrap();
    let (cert, key, access) = (at("cert.pem"), at("key.pem"), at("access.toml"));
    let (_server, address) =
        serving(&["--tls-cert", &cert, "--tls-key", &key, "--access-file", &access]);
    // Plaintext is not spoken there.
    let plain = tessera(&["extract", RECEIPT, "--server", &address]).output().unwrap();
    assert!(!plain.status.success());
    // Half of the files is a mistake that is told before anything starts.
    let half = tessera(&["serve", "--tls-cert", &cert]).output().unwrap();
    assert!(stderr(&half).contains("needs --tls-key"), "{}", stderr(&half));
    let quota = tessera(&["serve", "--access-file", &access, "--client-in-flight", "3"]);
    let both = { quota }.output().unwrap();
    assert!(stderr(&both).contains("has no meaning beside --access-file"), "{}", stderr(&both));
}
