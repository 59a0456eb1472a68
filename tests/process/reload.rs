//! A model directory exchanged for another while calls run: by SIGHUP, and by the admin port.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;

use crate::server::{Call, Server, question, until};

/// The built-in model's directory as `dir/name`, with a revision of its own.
fn model(dir: &Path, name: &str) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tessera-tiny");
    let to = dir.join(name);
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // A calibration is for one revision.
        if entry.path().is_file() && entry.file_name() != "calibration.json" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    // The revision is made of the configuration: another name in it is another revision.
    let file = to.join("config.json");
    let mut config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    config["_name_or_path"] = name.into();
    std::fs::write(file, config.to_string()).unwrap();
    to
}

/// Turns the link that the server was started with, as a rollout does: at once.
fn turn(dir: &Path, to: &Path) -> PathBuf {
    let (link, new) = (dir.join("current"), dir.join("new"));
    symlink(to, &new).unwrap();
    std::fs::rename(new, &link).unwrap();
    link
}

async fn info(server: &Server) -> v1::ModelStatus {
    let answer = server.client().await.model_info(v1::ModelInfoRequest::default()).await.unwrap();
    answer.into_inner().status.unwrap()
}

async fn until_reload(server: &Server, number: u32, state: v1::ReloadState) -> v1::ModelReload {
    until("the exchange", async || {
        let reload = info(server).await.reload;
        reload.is_some_and(|reload| (reload.number, reload.state()) == (number, state))
    })
    .await;
    info(server).await.reload.unwrap()
}

/// Calls all the time until told to stop; how many answers.
async fn caller(
    mut client: tessera::pb::v1::extraction_service_client::ExtractionServiceClient<
        tonic::transport::Channel,
    >,
    stop: Arc<AtomicBool>,
) -> usize {
    let mut answers = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut stream = client.extract(question(4)).await.expect("it is taken").into_inner();
        let mut whole = false;
        while let Some(message) = stream.message().await.expect("it is answered") {
            whole = matches!(message.event, Some(Event::Completed(_)));
        }
        assert!(whole);
        answers += 1;
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_directory_under_load_fails_no_call() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (model(dir.path(), "one"), model(dir.path(), "two"));
    let link = turn(dir.path(), &one);
    let server = Server::start(&["--model", link.to_str().unwrap()]).await;
    let first = info(&server).await;
    assert_eq!((first.model.as_str(), first.reload), ("one", None));

    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for _ in 0..3 {
        callers.push(tokio::spawn(caller(server.client().await, Arc::clone(&stop))));
    }
    turn(dir.path(), &two);
    server.signal("-HUP");
    until_reload(&server, 1, v1::ReloadState::Done).await;
    let second = info(&server).await;
    assert_eq!(second.model, "two");
    assert_ne!(second.revision, first.revision);
    assert_eq!(second.state(), v1::ServingState::Ready);

    // And back, by the admin port.
    turn(dir.path(), &one);
    let begun = server.http("POST", "/reload");
    assert!(begun.starts_with("HTTP/1.1 202") && begun.contains(r#""number":2"#), "{begun}");
    until_reload(&server, 2, v1::ReloadState::Done).await;
    assert_eq!(info(&server).await.revision, first.revision);
    let shown = server.http("GET", "/reload");
    assert!(shown.contains(r#""state":"done""#), "{shown}");

    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_directory_that_is_no_model_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (one, bad) = (model(dir.path(), "one"), model(dir.path(), "bad"));
    std::fs::write(bad.join("model.safetensors"), b"half a file").unwrap();
    let link = turn(dir.path(), &one);
    let server = Server::start(&["--model", link.to_str().unwrap()]).await;
    let before = info(&server).await;

    turn(dir.path(), &bad);
    server.signal("-HUP");
    let reload = until_reload(&server, 1, v1::ReloadState::Failed).await;
    assert!(reload.message.contains("model.safetensors"), "{reload:?}");
    std::fs::remove_file(link).unwrap();
    server.signal("-HUP");
    let reload = until_reload(&server, 2, v1::ReloadState::Failed).await;
    assert!(reload.message.contains("no model directory"), "{reload:?}");

    let after = info(&server).await;
    assert_eq!((after.model, after.revision), (before.model, before.revision));
    assert!(server.is_serving().await);
    Call::open(&server, question(4)).await.unwrap().whole().await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn what_runs_keeps_its_model_and_one_exchange_is_enough() {
    let flags = ["--weights", "fake:step=100ms"];
    let server = Server::start(&flags).await;
    let mut call = Call::open(&server, question(30)).await.unwrap();
    call.until(|event| matches!(event, Event::TokenDelta(_))).await;
    server.signal("-HUP");
    until_reload(&server, 1, v1::ReloadState::Draining).await;
    let refused = server.http("POST", "/reload");
    assert!(
        refused.starts_with("HTTP/1.1 409") && refused.contains("RELOAD_IN_PROGRESS"),
        "{refused}"
    );
    Call::open(&server, question(4)).await.unwrap().whole().await.unwrap();
    assert_eq!(call.whole().await.unwrap().usage.unwrap().output_tokens, 30);
    until_reload(&server, 1, v1::ReloadState::Done).await;
    server.stop().await;
}
