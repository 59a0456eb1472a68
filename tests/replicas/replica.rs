//! One server process.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const SERVICE: &str = "tessera.v1.ExtractionService";

/// The bound of every wait: far above what is needed, so that only a bug meets it.
pub(crate) const SOON: Duration = Duration::from_mins(2);

/// One server process.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Replica {
    pub(crate) async fn start(address: SocketAddr) -> Self {
        Self::with(address, &["--drain-propagation", "300ms"]).await
    }

    pub(crate) async fn with(address: SocketAddr, flags: &[&str]) -> Self {
        let process = Command::new(env!("CARGO_BIN_EXE_tessera"))
            .args(["serve", "--listen", &address.to_string(), "--verify", "none"])
            .args(["--drain-timeout", "60s", "--log-level", "warn"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let replica = Self { address, process };
        replica.until_serving().await;
        replica
    }

    async fn until_serving(&self) {
        let endpoint = endpoint(self.address);
        let serving = async {
            loop {
                if let Ok(channel) = endpoint.connect().await {
                    let asked = HealthCheckRequest { service: SERVICE.to_owned() };
                    let answer = HealthClient::new(channel).check(asked).await;
                    if answer.is_ok_and(|a| a.into_inner().status() == ServingStatus::Serving) {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(SOON, serving).await.expect("the replica serves");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// SIGTERM; returns how long it took to end, which it does by itself and well.
    pub(crate) async fn stop(mut self) -> Duration {
        let started = Instant::now();
        self.signal("-TERM");
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "a drained server ends with {status}");
                return started.elapsed();
            }
            assert!(started.elapsed() < SOON, "the drain ends");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}
