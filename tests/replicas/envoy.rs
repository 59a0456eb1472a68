//! A real Envoy with the configuration of deploy/.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::port::free;
use crate::replica::SOON;

const CONFIG: &str = include_str!("../../deploy/proxy/envoy.yaml");

/// The line of the replicas' name, which a cluster resolves.
const REPLICAS: &str = "              - endpoint: { address: { socket_address: { address: tessera, port_value: 50051 } } }\n";

/// On addresses of this test; ends with it.
pub(crate) struct Envoy {
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    process: Child,
    dir: TempDir,
}

/// Where `make envoy` puts it, or where packages do.
fn binary() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("envoy/bin/envoy");
    let places = [built, "/usr/local/bin/envoy".into(), "/usr/bin/envoy".into()];
    let found = places.into_iter().find(|path| path.exists());
    if found.is_none() {
        println!("skipped: Envoy is not installed; `make envoy` installs it");
    }
    found
}

fn address(of: SocketAddr) -> String {
    format!("address: {}, port_value: {}", of.ip(), of.port())
}

impl Envoy {
    /// None where Envoy is not installed. Each of `changes` must be of something in the configuration.
    pub(crate) async fn start(replicas: &[SocketAddr], changes: &[(&str, &str)]) -> Option<Self> {
        let binary = binary()?;
        let (front, admin) = (free(), free());
        let replica = |of: &SocketAddr| {
            REPLICAS.replace("address: tessera, port_value: 50051", &address(*of))
        };
        let replicas: String = replicas.iter().map(replica).collect();
        let front_was = "address: 0.0.0.0, port_value: 50051";
        let own = [(REPLICAS, replicas.as_str()), (front_was, &address(front))];
        let mut config = CONFIG.to_owned();
        for (from, to) in own.iter().chain(changes) {
            assert!(config.contains(from), "envoy.yaml has no {from:?}");
            config = config.replace(from, to);
        }
        let own_port =
            format!("admin:\n  address: {{ socket_address: {{ {} }} }}\n", address(admin));
        config.push_str(&own_port);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("envoy.yaml");
        std::fs::write(&path, config).unwrap();
        let log = std::fs::File::create(dir.path().join("envoy.log")).unwrap();
        let process = Command::new(binary)
            .arg("-c")
            .arg(&path)
            .args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"])
            .args(["--drain-time-s", "1", "--parent-shutdown-time-s", "2"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut envoy = Self { address: front, admin, process, dir };
        envoy.until_ready().await;
        Some(envoy)
    }

    async fn until_ready(&mut self) {
        let began = Instant::now();
        while !self.try_ask("/ready").is_some_and(|answer| answer.contains("LIVE")) {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < SOON, "{ended:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it warned of.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("envoy.log")).unwrap()
    }

    fn try_ask(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn ask(&self, path: &str) -> String {
        self.try_ask(path).expect("Envoy's own port answers")
    }

    /// A counter or gauge.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let answer = self.ask(&format!("/stats?filter=^{name}$"));
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {answer}")).trim().parse().unwrap()
    }

    /// What it knows of a replica: `rq_total`, `health_flags`, …
    pub(crate) fn host(&self, replica: SocketAddr, what: &str) -> String {
        let answer = self.ask("/clusters");
        let name = format!("tessera::{replica}::{what}::");
        let line = answer.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("no {name} in {answer}")).trim().to_owned()
    }

    /// Calls that it sent to a replica.
    pub(crate) fn sent(&self, replica: SocketAddr) -> u64 {
        self.host(replica, "rq_total").parse().unwrap()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
