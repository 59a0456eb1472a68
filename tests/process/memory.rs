//! Memory that runs out for real: the kernel kills the server, or the child that renders a PDF, because their
//! control group has no more. Needs the right to make one; skipped where there is none.

use std::fmt::Write as _;
use std::io::Cursor;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::server::{Call, SOON, Server, question, until};

const SIGKILL: i32 = 9;

/// A control group with a bound of memory.
struct Group {
    dir: PathBuf,
    /// Names of its files: those of version 2, or of version 1.
    limit: &'static str,
    usage: &'static str,
    events: &'static str,
}

impl Group {
    /// None where this process may not make one.
    fn new(name: &str) -> Option<Self> {
        let name = format!("tessera-test-{name}-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let two = Self {
            dir: root.join(&name),
            limit: "memory.max",
            usage: "memory.current",
            events: "memory.events",
        };
        let one = Self {
            dir: root.join("memory").join(&name),
            limit: "memory.limit_in_bytes",
            usage: "memory.usage_in_bytes",
            events: "memory.oom_control",
        };
        let made = |group: &Self| {
            let is_made = std::fs::create_dir(&group.dir).is_ok();
            is_made && group.dir.join(group.limit).exists()
        };
        let found = [one, two].into_iter().find(made);
        if found.is_none() {
            println!("skipped: no right to make a control group with a bound of memory");
        }
        found
    }

    /// What this process takes from now on counts.
    fn take_in(&self, process: u32) {
        std::fs::write(self.dir.join("cgroup.procs"), process.to_string()).unwrap();
    }

    fn bytes(&self) -> u64 {
        std::fs::read_to_string(self.dir.join(self.usage)).unwrap().trim().parse().unwrap()
    }

    /// No more than `more` above what is taken now.
    fn bound(&self, more: u64) {
        let limit = self.bytes() + more;
        std::fs::write(self.dir.join(self.limit), limit.to_string()).unwrap();
    }

    /// Processes that the kernel killed.
    fn kills(&self) -> usize {
        let events = std::fs::read_to_string(self.dir.join(self.events)).unwrap();
        let line = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.expect("the kernel counts them").trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has just ended is in it for a moment.
        for _ in 0..50 {
            if std::fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A page of one colour: small as a file, large in memory.
fn large_page() -> Bytes {
    let mut png = Cursor::new(Vec::new());
    image::RgbImage::new(6000, 6000).write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner().into()
}

/// How a call that has begun ends: its messages have no gaps, and it ends well only when it is whole.
async fn ending(mut call: Call) -> Result<(), Status> {
    let mut whole = false;
    while let Some(event) = call.next().await? {
        assert!(!whole, "nothing comes after `completed`");
        whole = matches!(event, Event::Completed(_));
    }
    assert!(whole, "a stream ended well without `completed`");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_kernel_kills_loses_nothing_silently() {
    const FLAGS: [&str; 6] = ["--weights", "fake:step=300ms", "--slots", "8", "--queue", "64"];
    let Some(group) = Group::new("server") else { return };
    let mut server = Server::start(&FLAGS).await;
    group.take_in(server.id());
    let channel = server.endpoint().connect_lazy();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut call = Call::open(&server, question(64)).await.unwrap();
        call.until(|event| !matches!(event, Event::Accepted(_) | Event::Progress(_))).await;
        running.spawn(ending(call));
    }
    group.bound(24 << 20);
    let page = large_page();
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut client = ExtractionServiceClient::new(channel.clone());
        let mut request = question(4);
        request.files[0].content = page.clone();
        flood.spawn(async move { client.extract(request).await.map(drop) });
    }
    let status = server.ended().await;
    assert_eq!(status.signal(), Some(SIGKILL), "{status}");
    assert!(group.kills() >= 1, "it was the kernel");
    // Everybody hears of it: whoever was being answered, and whoever waited.
    while let Some(ended) = running.join_next().await {
        let status = ended.unwrap().expect_err("a killed server must not look like success");
        assert_ne!(status.code(), Code::Ok);
    }
    while let Some(ended) = flood.join_next().await {
        let ended = tokio::time::timeout(SOON, async { ended }).await.unwrap();
        // One that was accepted before the end had its first message, and no more.
        if let Err(status) = ended.unwrap() {
            assert_ne!(status.code(), Code::Ok);
        }
    }
    // Whoever started it starts it anew, and the same client goes on.
    let again = Server::spawn_at(server.address, &FLAGS, |_| {});
    again.until_serving().await;
    until("the same client is answered", async || {
        let mut client = ExtractionServiceClient::new(channel.clone());
        client.extract(question(4)).await.is_ok()
    })
    .await;
    again.stop().await;
}

/// A PDF file of one empty page of `side` points.
fn large_pdf(side: usize) -> Bytes {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {side} {side}] /Resources << >> >>"),
    ];
    let mut out = "%PDF-1.7\n".to_owned();
    let mut table = "0000000000 65535 f \n".to_owned();
    for (index, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", out.len()).unwrap();
        write!(out, "{} 0 obj\n{object}\nendobj\n", index + 1).unwrap();
    }
    let start = out.len();
    write!(out, "xref\n0 4\n{table}trailer\n<< /Size 4 /Root 1 0 R >>\n").unwrap();
    write!(out, "startxref\n{start}\n%%EOF\n").unwrap();
    out.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_kills_the_renderer_and_not_the_server() {
    let Some(group) = Group::new("renderer") else { return };
    let server = Server::start(&["--weights", "fake:step=100ms"]).await;
    group.take_in(server.id());
    // What a call takes for the first time is taken.
    Call::open(&server, question(4)).await.unwrap().whole().await.unwrap();
    let mut running = Call::open(&server, question(64)).await.unwrap();
    running.until(|event| !matches!(event, Event::Accepted(_) | Event::Progress(_))).await;
    group.bound(96 << 20);
    let mut request = question(4);
    request.files[0].content = large_pdf(2800);
    let refused = Call::open(&server, request).await.err().expect("there is no memory for it");
    assert!(group.kills() >= 1, "the kernel killed something: {refused:?}");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "LIMIT_EXCEEDED", "{refused:?}");
    // The server is there, and so is the answer that it was giving.
    running.whole().await.unwrap();
    let next: v1::Completed =
        Call::open(&server, question(4)).await.unwrap().whole().await.unwrap();
    assert!(next.usage.unwrap().output_tokens > 0);
    server.stop().await;
}
