//! What there is without any backend: files, the terminal, the log.

use std::io::{BufRead as _, BufReader};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::support::{
    Process, TRACE_ID, extract, free_port, http, options, read, receipt, shown, spans, start_server,
};

#[tokio::test]
async fn without_a_collector_files_and_the_terminal_have_the_trace() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let (_server, port) = start_server(&["--trace-dir".to_owned(), path.to_owned()]);
    let completed = extract(port, TRACE_ID, "2").await;
    spans(&directory.path().join("spans.jsonl"), TRACE_ID);
    let steps = format!("decode_step ×{}", completed.usage.unwrap().output_tokens);
    for arguments in [&["--trace-dir", path, "--last"][..], &[path, "--id", "4bf92f"]] {
        let (success, text) = shown(arguments);
        assert!(success && text.contains(&steps) && text.contains("field /TOTAL_"), "{text}");
    }
    let (success, text) = shown(&[path, "--list"]);
    assert!(success && text.contains(TRACE_ID), "{text}");
    assert!(!shown(&[path, "--id", "ffff"]).0, "there is no such trace");
}

#[tokio::test]
async fn what_is_logged_changes_while_the_server_runs() {
    let admin = free_port();
    let (_server, _) = start_server(&["--admin-listen".to_owned(), format!("127.0.0.1:{admin}")]);
    assert!(http(admin, "GET /log-level", "").ends_with("\r\n\r\ninfo\n"));
    let answer = http(admin, "PUT /log-level", "warn,tessera::engine=debug");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(http(admin, "GET /log-level", "").ends_with("warn,tessera::engine=debug\n"));
    let answer = http(admin, "PUT /log-level", "tessera=loud");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("tessera=loud"), "{answer}");
    assert!(http(admin, "GET /log-level", "").ends_with("warn,tessera::engine=debug\n"));
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let pair = span.attributes.iter().find(|pair| pair.key == key)?;
    match pair.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::DoubleValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

#[tokio::test]
async fn content_is_in_a_trace_only_where_the_operator_wants_it() {
    for content in ["off", "redacted", "whole"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let (_server, port) =
            start_server(&options(&["--trace-dir", path, "--trace-content", content]));
        let completed = extract(port, TRACE_ID, "3").await;
        let all = spans(&directory.path().join("spans.jsonl"), TRACE_ID);
        let generate = all.iter().find(|s| s.name.starts_with("generate_content")).unwrap();
        let (asked, answered) = ("gen_ai.input.messages", "gen_ai.output.messages");
        let (asked, answered) = (attribute(generate, asked), attribute(generate, answered));
        let everything = format!("{all:?}");
        // Words: figures may be those of a time stamp.
        let is_word = |raw: &&str| raw.chars().filter(|c| c.is_alphabetic()).count() > 5;
        let raws = completed.fields.iter().map(|field| field.raw.trim_matches('"'));
        let values: Vec<&str> = raws.filter(is_word).collect();
        assert!(values.len() > 2, "{values:?}");
        let shows = |text: &str| values.iter().filter(|value| text.contains(**value)).count();
        match content {
            "off" => assert_eq!((asked, answered, shows(&everything)), (None, None, 0)),
            "redacted" => {
                let answered = answered.unwrap();
                assert_eq!((asked, shows(&everything)), (None, 0), "{answered}");
                assert!(answered.contains("TOTAL_AMOUNT"), "{answered}");
            }
            _ => {
                let answered = answered.unwrap();
                assert!(asked.is_some() && shows(&answered) > 0, "{answered}");
            }
        }
    }
}

/// Real time of the engine's thread: what the grammar takes of it is told apart from choosing.
#[tokio::test]
async fn steps_tell_the_time_on_each_device_and_of_the_grammar() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let devices = ["--devices", "cpu,cpu", "--device-map", "internvl", "--trace-dir", path];
    let (_server, port) = start_server(&options(&devices));
    let mut request = receipt();
    request.generation = None;
    read(port, request, TRACE_ID, "2").await;
    let all = spans(&directory.path().join("spans.jsonl"), TRACE_ID);
    let steps: Vec<&Span> = all.iter().filter(|span| span.name == "decode_step").collect();
    assert!(steps.len() > 10);
    let mut grammar = 0.0;
    for step in &steps {
        let ms = |key: &str| attribute(step, key).unwrap().parse::<f64>().unwrap();
        let devices: f64 = step
            .attributes
            .iter()
            .filter(|pair| pair.key.starts_with("tessera.device."))
            .map(|pair| ms(&pair.key))
            .sum();
        assert!(devices > 0.0 && ms("tessera.hop.ms") > 0.0, "{step:?}");
        assert!(devices + ms("tessera.hop.ms") <= ms("tessera.step.ms"), "{step:?}");
        assert!(ms("tessera.step.sample_ms") > 0.0, "{step:?}");
        grammar += ms("tessera.step.grammar_ms");
    }
    assert!(grammar > 0.0, "an answer that is held to a schema takes time for that");
}

/// One line per request, each a JSON object with the trace's id, and nothing of the document.
#[tokio::test]
async fn a_request_is_one_line_of_json() {
    let directory = tempfile::tempdir().unwrap();
    let (port, path) = (free_port(), directory.path().to_str().unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_tessera"))
        .args(["serve", "--devices", "cpu", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--log-format", "json", "--trace-dir", path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let log = child.stderr.take().unwrap();
    let mut server = Process(child);
    let completed = extract(port, TRACE_ID, "2").await;
    Command::new("kill").arg(server.0.id().to_string()).status().unwrap();
    let lines: Vec<String> = BufReader::new(log).lines().map(Result::unwrap).collect();
    server.0.wait().unwrap();
    let parsed: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fields = |line: &serde_json::Value| line.get("fields").unwrap_or(line).clone();
    let ended: Vec<serde_json::Value> =
        parsed.iter().map(fields).filter(|line| line["message"] == "call ended").collect();
    assert_eq!(ended.len(), 1, "{lines:#?}");
    assert_eq!((&ended[0]["trace_id"], &ended[0]["code"]), (&TRACE_ID.into(), &"OK".into()));
    assert_eq!(ended[0]["output_tokens"], completed.usage.unwrap().output_tokens);
    let everything = lines.concat();
    for field in completed.fields.iter().filter(|field| field.raw.len() > 8) {
        assert!(!everything.contains(field.raw.trim_matches('"')), "content in the log");
    }
}

#[tokio::test]
async fn a_call_that_ends_before_its_head_says_its_trace_too() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, port) = start_server(&options(&["--trace-dir", dir.path().to_str().unwrap()]));
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    // Its message never comes, and the client does not end it by itself.
    let request = ::http::Request::post(format!(
        "http://127.0.0.1:{port}/tessera.v1.ExtractionService/Extract"
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .header("grpc-timeout", "200m")
    .header("traceparent", format!("00-{TRACE_ID}-b7ad6b7169203331-01"))
    .body(tonic::body::Body::new(Silent))
    .unwrap();
    let head = client.send_request(request).await.unwrap();
    let code = head.headers()["grpc-status"].to_str().unwrap();
    assert_eq!(code, (tonic::Code::DeadlineExceeded as i32).to_string());
    let sent = head.headers()["traceresponse"].to_str().unwrap();
    assert!(sent.starts_with(&format!("00-{TRACE_ID}-")) && sent.ends_with("-01"), "{sent}");
}

/// A request body that nothing comes of.
struct Silent;

impl http_body::Body for Silent {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        Poll::Pending
    }
}
