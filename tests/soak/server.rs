//! The server that is soaked, as a process of its own, and what can be seen of it.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tessera::pb::health::HealthCheckRequest;
use tessera::pb::health::health_check_response::ServingStatus;
use tessera::pb::health::health_client::HealthClient;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::calls::{PAGE, read, request};
use crate::port::free;

const SERVICE: &str = "tessera.v1.ExtractionService";

/// Calls at once, so many times, after which the allocator has given back what it will.
const SETTLING: (usize, usize) = (8, 16);

pub(crate) const SETTLING_CALLS: usize = SETTLING.0 * SETTLING.1;

/// Memory of a server that nobody calls, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// What the program holds, to the byte.
    pub(crate) heap: u64,
    /// What the system counts for the process: with what the allocator keeps.
    pub(crate) resident: u64,
}

pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    admin: SocketAddr,
    /// Spans of all calls, each step with its own.
    traces: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let (address, admin) = (free(), free());
        let traces = tempfile::tempdir().unwrap();
        let program = std::env::var_os("SOAK_SERVER");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_tessera").into());
        let process = Command::new(program)
            .args(["serve", "--listen", &address.to_string()])
            .args(["--admin-listen", &admin.to_string(), "--max-output-tokens", "256"])
            .args(["--log-level", "error", "--drain-timeout", "60s", "--trace-dir"])
            .arg(traces.path())
            .args(flags)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, address, admin, traces };
        let ready = async {
            loop {
                if let Ok(channel) = server.endpoint().connect().await {
                    let asked = HealthCheckRequest { service: SERVICE.to_owned() };
                    let answer = HealthClient::new(channel).check(asked).await;
                    if answer.is_ok_and(|a| a.into_inner().status() == ServingStatus::Serving) {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), ready).await.expect("it serves");
        server
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    /// Memory in use, in bytes.
    pub(crate) fn rss(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.process.id());
        let text = std::fs::read_to_string(path).unwrap();
        let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    /// Sum of the samples of metric `name` whose labels have all of `parts`.
    pub(crate) fn metric(&self, name: &str, parts: &[&str]) -> f64 {
        let mut stream = std::net::TcpStream::connect(self.admin).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains(name), "there is no {name}");
        let is_wanted = |line: &&str| {
            let labels = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']));
            labels.is_some_and(|labels| parts.iter().all(|part| labels.contains(part)))
        };
        let value = |line: &str| -> f64 { line.rsplit(' ').next().unwrap().parse().unwrap() };
        text.lines().filter(is_wanted).map(value).sum()
    }

    /// Calls of `Extract` that ended with `code`, as the server counted them.
    pub(crate) fn extracts(&self, code: &str) -> usize {
        let code = format!("rpc_response_status_code=\"{code}\"");
        let parts = ["ExtractionService/Extract\"", &code];
        self.metric("rpc_server_call_duration_seconds_count", &parts) as usize
    }

    /// Spans that were lost, however it was; every one else is in a file.
    pub(crate) fn lost_spans(&self) -> usize {
        let files = std::fs::read_dir(self.traces.path()).unwrap().count();
        assert!(files > 0, "nothing was traced");
        let lost = self.metric("otel_sdk_processor_span_processed_total", &["error_type"])
            + self.metric("otel_sdk_exporter_span_exported_total", &["error_type"]);
        lost as usize
    }

    /// Waits until no request runs or waits.
    pub(crate) async fn until_idle(&self) {
        let held = || {
            self.metric("tessera_engine_requests_running", &[])
                + self.metric("tessera_engine_requests_waiting", &[])
        };
        let idle = async {
            while held() > 0.0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let idle = tokio::time::timeout(Duration::from_mins(2), idle).await;
        assert!(idle.is_ok(), "{} requests are held by nobody", held());
    }

    /// Memory that the server keeps while nobody calls. The allocator gives memory back
    /// when it is next asked for some, by the thread that freed it: right after a crowd has left it has that of the
    /// whole crowd. So a few more calls are made, several at once for all threads, and the least counts.
    pub(crate) async fn kept(&self) -> Kept {
        let mut least = Kept { heap: u64::MAX, resident: u64::MAX };
        for _ in 0..SETTLING.1 {
            let calls: Vec<_> = (0..SETTLING.0)
                .map(|_| {
                    let endpoint = self.endpoint();
                    tokio::spawn(async move {
                        let channel = endpoint.connect().await.expect("a connection");
                        let asked = Request::new(request(PAGE, false, 2));
                        read(&channel, asked, u64::MAX).await.expect("an idle server answers");
                    })
                })
                .collect();
            for call in calls {
                call.await.expect("a call of an idle server ends");
            }
            self.until_idle().await;
            let heap = self.metric("tessera_process_heap_bytes", &[]) as u64;
            least.heap = least.heap.min(heap);
            least.resident = least.resident.min(self.rss());
        }
        least
    }

    /// Waits until as few files are open as `files`: a connection is closed a moment after its last call.
    pub(crate) async fn until_closed(&self, files: usize) {
        let closed = async {
            while self.open_files() > files {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let closed = tokio::time::timeout(Duration::from_mins(2), closed).await;
        assert!(closed.is_ok(), "{} files are open, {files} before", self.open_files());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
