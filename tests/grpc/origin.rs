//! A real origin on loopback, for files that requests name by URI.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{SOON, png};

/// Of a signed URI: in nothing that the server says.
pub(crate) const SECRET: &str = "X-Signature=s3cr3t";

/// What an origin on loopback has: `/page.png`, `/large` of 300 kB, `/text`, which is no page, `/slow`, which never
/// comes, `/moved`; and nothing else.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    /// Requests for `/slow` that wait.
    pub(crate) waiting: Arc<AtomicUsize>,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = Arc::<AtomicUsize>::default();
        let slow = Arc::clone(&waiting);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, Arc::clone(&slow)));
            }
        });
        Self { address, waiting }
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("http://{}{path}?{SECRET}", self.address)
    }

    pub(crate) async fn until_waiting(&self, many: usize) {
        tokio::time::timeout(SOON, async {
            while self.waiting.load(Ordering::SeqCst) != many {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap();
    }
}

async fn answer(mut stream: TcpStream, waiting: Arc<AtomicUsize>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split([' ', '?']).nth(1).unwrap();
    let body = match path {
        "/page.png" => png().to_vec(),
        "/large" => vec![b'x'; 300_000],
        "/text" => b"no page".to_vec(),
        "/slow" => {
            waiting.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read_u8().await;
            waiting.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        "/moved" => {
            let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /page.png\r\n\r\n").await;
            return;
        }
        _ => {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
            return;
        }
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
}
