//! Files that requests name by URI, out of a real origin on loopback.

use std::sync::Arc;
use std::time::Duration;

use tessera::fetch::{Config, Fetcher};
use tessera::pb::v1;
use tessera::pb::v1::batch_extract_request::Message;
use tessera::pb::v1::batch_extract_response::Outcome;
use tessera::pb::v1::extract_response::Event;
use tessera::telemetry::Telemetry;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::origin::{Origin, SECRET};
use crate::support::{
    SOON, Server, Setup, assert_failure, collect, completed, fields, info, open, png, question,
    refuse,
};

fn config(origin: &Origin) -> Config {
    let listed = format!("http://{}", origin.address);
    Config {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..Config::new(vec![listed.parse().unwrap(), "https://docs.example.com".parse().unwrap()])
    }
}

/// A server that fetches from `origin`, and where its metrics are.
async fn fetching(origin: &Origin, change: impl FnOnce(&mut Setup)) -> (Server, Telemetry) {
    let telemetry = Telemetry::keeping_metrics();
    let mut setup = Setup::default();
    setup.service.telemetry = telemetry.clone();
    setup.service.fetcher = Some(Arc::new(Fetcher::new(&config(origin)).unwrap()));
    change(&mut setup);
    (setup.start().await, telemetry)
}

fn named(uris: &[String]) -> v1::ExtractRequest {
    let file = |uri: &String| v1::InputFile { uri: uri.clone(), ..Default::default() };
    v1::ExtractRequest { files: uris.iter().map(file).collect(), ..question("Total?") }
}

/// Waits for a line that has all of `parts` and ends with the last.
async fn until_all(telemetry: &Telemetry, parts: &[&str]) {
    let metrics = || telemetry.metrics().prometheus();
    let is_it = |line: &str| {
        parts.iter().all(|part| line.contains(part)) && line.ends_with(parts[parts.len() - 1])
    };
    let seen = tokio::time::timeout(SOON, async {
        while !metrics().lines().any(is_it) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(seen.await.is_ok(), "{parts:?} in\n{}", metrics());
}

async fn until(telemetry: &Telemetry, line: &str) {
    until_all(telemetry, &[line]).await;
}

/// That nothing a client sees of it has a signature.
fn without_secret(status: &Status) {
    let details = String::from_utf8_lossy(status.details());
    for text in [status.message().to_owned(), details.into_owned(), format!("{status:?}")] {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}

#[tokio::test]
async fn off_by_default() {
    let origin = Origin::start().await;
    let server = Setup::default().start().await;
    let status = refuse(&server, named(&[origin.uri("/page.png")])).await;
    assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["files[0].uri"]);
    assert!(status.message().contains("--fetch-from"), "{status:?}");
    without_secret(&status);
    let model = server.client().await.model_info(v1::ModelInfoRequest::default()).await.unwrap();
    let model = model.into_inner().status.unwrap();
    assert_eq!(model.capabilities.unwrap().uri_origins, [""; 0]);
    let limits = model.limits.unwrap();
    assert_eq!((limits.max_fetched_bytes, limits.max_fetch_ms), (0, 0));
}

#[tokio::test]
async fn pages_come_from_where_the_request_has_them() {
    let origin = Origin::start().await;
    let (server, telemetry) = fetching(&origin, |_| {}).await;
    let mut request = named(&[origin.uri("/page.png"), origin.uri("/page.png")]);
    request.files.push(crate::support::file(png()));
    let (events, status) = collect(open(&server, request).await).await;
    assert_eq!(status.code(), Code::Ok);
    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    let files: Vec<u32> = accepted.pages.iter().map(|page| page.file).collect();
    assert_eq!(files, [0, 1, 2]);
    assert!(!completed(&events).text.is_empty());
    until(&telemetry, "tessera_fetch_files_total 2").await;
    let bytes = 2 * png().len();
    until(&telemetry, &format!("tessera_fetch_size_bytes_total {bytes}")).await;
    assert!(!telemetry.metrics().prometheus().contains("s3cr3t"));

    let model = server.client().await.model_info(v1::ModelInfoRequest::default()).await.unwrap();
    let model = model.into_inner().status.unwrap();
    let origins = [format!("http://{}", origin.address), "https://docs.example.com".to_owned()];
    assert_eq!(model.capabilities.unwrap().uri_origins, origins);
    let limits = model.limits.unwrap();
    let found = (limits.max_uri_bytes, limits.max_fetched_bytes, limits.max_fetch_ms);
    assert_eq!(found, (4096, 64 << 20, 30_000));
}

#[tokio::test]
async fn what_is_wrong_with_a_uri_is_told_before_anything_is_fetched() {
    let origin = Origin::start().await;
    let (server, telemetry) = fetching(&origin, |_| {}).await;
    let both = v1::InputFile { uri: origin.uri("/page.png"), ..crate::support::file(png()) };
    let mut request = named(&[
        format!("https://docs.example.com/a?{SECRET}#part"),
        format!("https://evil.example/page.png?{SECRET}"),
        format!("https://user:pass@docs.example.com/?{SECRET}"),
        format!("https://docs.example.com/{}", "a".repeat(5000)),
        origin.uri("/page.png"),
    ]);
    request.files.push(both);
    let status = refuse(&server, request).await;
    assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    let names = [0, 1, 2, 3, 5].map(|file| format!("files[{file}].uri"));
    assert_eq!(fields(&status), names);
    assert_eq!(info(&status).1.metadata["limit"], "max_uri_bytes");
    assert!(status.message().contains("https://evil.example,"), "{status:?}");
    without_secret(&status);
    until(&telemetry, "tessera_fetch_files_total 0").await;
}

#[tokio::test]
async fn an_origin_that_gives_out_no_file_is_told_as_such() {
    let origin = Origin::start().await;
    let (server, telemetry) = fetching(&origin, |_| {}).await;
    for (path, why, http) in [("/none", "status", "404"), ("/moved", "redirect", "302")] {
        let status = refuse(&server, named(&[origin.uri("/page.png"), origin.uri(path)])).await;
        assert_failure(&status, Code::FailedPrecondition, "FETCH_FAILED");
        let metadata = info(&status).1.metadata;
        assert_eq!((metadata["why"].as_str(), metadata["http_status"].as_str()), (why, http));
        assert_eq!(fields(&status), ["files[1].uri"]);
        assert!(status.get_details_retry_info().is_none(), "again would fail again");
        without_secret(&status);
        until(&telemetry, &format!("tessera_fetch_files_total{{error_type=\"{why}\"}} 1")).await;
    }
    until(&telemetry, "tessera_rejections_total{error_type=\"FETCH_FAILED\"} 2").await;
    // What came is no page.
    let status = refuse(&server, named(&[origin.uri("/text")])).await;
    assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(fields(&status), ["files[0].uri"]);
}

/// It is listed as an origin, but not as a network.
#[tokio::test]
async fn this_machine_is_out_of_reach_where_it_is_not_listed() {
    let origin = Origin::start().await;
    let closed = Config { networks: Vec::new(), ..config(&origin) };
    let (server, _) = fetching(&origin, |setup| {
        setup.service.fetcher = Some(Arc::new(Fetcher::new(&closed).unwrap()));
    })
    .await;
    let status = refuse(&server, named(&[origin.uri("/page.png")])).await;
    assert_failure(&status, Code::Unavailable, "FETCH_FAILED");
    assert_eq!(status.message(), "files[0].uri: the origin is not reachable from here");
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn fetched_bytes_are_memory_of_requests() {
    let origin = Origin::start().await;
    let (server, _) = fetching(&origin, |setup| setup.service.request_memory_bytes = 200_000).await;
    let status = refuse(&server, named(&[origin.uri("/large")])).await;
    assert_failure(&status, Code::ResourceExhausted, "REQUEST_MEMORY_FULL");
    assert!(status.get_details_retry_info().is_some());
    drop(server);

    // There is room for one of them at a time: each is given back.
    let (server, _) = fetching(&origin, |setup| setup.service.request_memory_bytes = 400_000).await;
    for _ in 0..3 {
        let refused = async {
            loop {
                let status = refuse(&server, named(&[origin.uri("/large")])).await;
                // A status may be there a moment before what it is about is gone.
                if status.code() != Code::ResourceExhausted {
                    break status;
                }
            }
        };
        let status = tokio::time::timeout(SOON, refused).await.expect("room comes back");
        assert_failure(&status, Code::InvalidArgument, "INVALID_FIELD");
    }
    let status = refuse(&server, named(&[origin.uri("/large"), origin.uri("/large")])).await;
    assert_failure(&status, Code::ResourceExhausted, "REQUEST_MEMORY_FULL");
}

#[tokio::test]
async fn slow_origins_end_by_the_limit_or_the_deadline() {
    let origin = Origin::start().await;
    let hasty = Config { timeout: Duration::from_millis(200), ..config(&origin) };
    let (server, _) = fetching(&origin, |setup| {
        setup.service.fetcher = Some(Arc::new(Fetcher::new(&hasty).unwrap()));
    })
    .await;
    let status = refuse(&server, named(&[origin.uri("/slow")])).await;
    assert_failure(&status, Code::Unavailable, "FETCH_FAILED");
    origin.until_waiting(0).await;
    drop(server);

    let (server, telemetry) = fetching(&origin, |_| {}).await;
    let mut request = Request::new(named(&[origin.uri("/slow")]));
    request.set_timeout(Duration::from_millis(400));
    let status = server.client().await.extract(request).await.unwrap_err();
    // Where the machine is busy the client's own clock may be the first.
    if status.get_details_error_info().is_some() {
        assert_failure(&status, Code::DeadlineExceeded, "DEADLINE");
        assert_eq!(info(&status).1.metadata["phase"], "fetch");
    }
    origin.until_waiting(0).await;
    let ended = ["rpc_server_call_duration_seconds_count", "code=\"DEADLINE_EXCEEDED\"", "} 1"];
    until_all(&telemetry, &ended).await;
}

#[tokio::test]
async fn a_caller_that_leaves_takes_its_fetches_along() {
    let origin = Origin::start().await;
    let (server, telemetry) = fetching(&origin, |_| {}).await;
    let request = named(&[origin.uri("/slow"), origin.uri("/slow")]);
    let mut client = server.client().await;
    let calling = tokio::spawn(async move { client.extract(request).await.map(|_| ()) });
    origin.until_waiting(2).await;
    calling.abort();
    origin.until_waiting(0).await;
    until(&telemetry, "tessera_fetch_files_total{error_type=\"cancelled\"} 2").await;
}

#[tokio::test]
async fn nothing_is_fetched_for_what_is_not_taken() {
    let origin = Origin::start().await;
    let (server, telemetry) = fetching(&origin, |_| {}).await;
    server.engine.drain();
    let status = refuse(&server, named(&[origin.uri("/slow")])).await;
    assert_failure(&status, Code::Unavailable, "DRAINING");
    until(&telemetry, "tessera_fetch_files_total 0").await;
}

#[tokio::test]
async fn documents_of_a_batch_are_fetched_each_for_itself() {
    let origin = Origin::start().await;
    let (server, _) = fetching(&origin, |_| {}).await;
    let document = |id: &str, path: &str| {
        let request =
            v1::ExtractRequest { request_id: id.to_owned(), ..named(&[origin.uri(path)]) };
        v1::BatchExtractRequest { message: Some(Message::Extract(request)) }
    };
    let (sender, requests) = tokio::sync::mpsc::channel(8);
    for message in
        [document("slow", "/slow"), document("none", "/none"), document("well", "/page.png")]
    {
        sender.send(message).await.unwrap();
    }
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let answers = server.client().await.batch_extract(requests).await.unwrap().into_inner();
    let mut outcomes = answers.filter_map(|message| {
        let message = message.unwrap();
        match message.outcome.unwrap() {
            Outcome::Error(error) => Some((message.request_id, Some(error))),
            Outcome::Response(response) => matches!(response.event, Some(Event::Completed(_)))
                .then_some((message.request_id, None)),
        }
    });
    let mut next = async || tokio::time::timeout(SOON, outcomes.next()).await.unwrap().unwrap();
    let mut two = [next().await, next().await];
    two.sort_by(|one, other| one.0.cmp(&other.0));
    let [(none, Some(error)), (well, None)] = two else { panic!("{two:?}") };
    assert_eq!((none.as_str(), well.as_str()), ("none", "well"));
    assert_eq!((error.code, error.reason.as_str()), (9, "FETCH_FAILED"));
    assert_eq!(error.fields, ["files[0].uri"]);
    assert!(!format!("{error:?}").contains("s3cr3t"));

    origin.until_waiting(1).await;
    let cancel = Some(Message::CancelRequestId("slow".to_owned()));
    sender.send(v1::BatchExtractRequest { message: cancel }).await.unwrap();
    let (slow, error) = next().await;
    assert_eq!((slow.as_str(), error.unwrap().reason.as_str()), ("slow", "CANCELLED"));
    origin.until_waiting(0).await;
}
