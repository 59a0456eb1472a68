//! What there is without any backend: files, the terminal, the log.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tessera::pb::v1::extract_response::Event;

use crate::support::{
    PARENT_ID, Process, TRACE_ID, call, extract, finish, free_port, hex, http, options, read,
    receipt, shown, spans, start_server,
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
        Value::IntValue(number) => Some(number.to_string()),
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

/// How much is recorded, and of whom: what the operator set, where the caller did not decide.
#[tokio::test]
async fn the_operator_says_what_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let (_server, port) = start_server(&options(&[
        "--trace-dir",
        path,
        "--trace-sample-ratio",
        "0",
        "--trace-level",
        "1",
        "--trace-level-max",
        "4",
        "--trace-steps",
        "1",
    ]));
    // Of callers without a trace none is drawn.
    let mut stream = call(port, receipt(), &[]).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    let Some(Event::Accepted(accepted)) = first.event else { panic!("{first:?}") };
    assert_eq!(accepted.trace_id, "");
    while stream.message().await.unwrap().is_some() {}
    // A caller that records is followed, as far as the operator says.
    let parent = format!("00-{TRACE_ID}-{PARENT_ID}-01");
    let state = [("traceparent", parent.as_str()), ("tracestate", "vendor=7")];
    finish(call(port, receipt(), &state).await.unwrap(), TRACE_ID).await;
    let second = TRACE_ID.replace("4bf9", "5bf9");
    let usage = extract(port, &second, "4").await.usage.unwrap();

    let file = directory.path().join("spans.jsonl");
    spans(&file, TRACE_ID);
    let all = spans(&file, &second);
    let of = |id: &str| -> Vec<&Span> { all.iter().filter(|s| hex(&s.trace_id) == id).collect() };
    let steps = |id: &str| of(id).into_iter().filter(|s| s.name == "decode_step").count();
    assert_eq!(steps(TRACE_ID), 0, "phases only");
    assert!(of(TRACE_ID).iter().any(|s| s.name == "decode"));
    assert!(of(TRACE_ID).iter().all(|span| span.trace_state == "vendor=7"), "{:?}", of(TRACE_ID));
    let decode = of(&second).into_iter().find(|span| span.name == "decode").unwrap();
    let count = |key: &str| attribute(decode, key).unwrap();
    assert_eq!(count("tessera.decode.steps_in_trace"), format!("{}", steps(&second)));
    let elided = usage.output_tokens as usize - steps(&second);
    assert_eq!(count("tessera.decode.steps_elided"), elided.to_string());
    assert!(elided > 0, "a cap of one step and those that stand out");
    // At level 4 each says how probable its token was.
    for step in of(&second).into_iter().filter(|span| span.name == "decode_step") {
        let logprob: f64 = attribute(step, "tessera.step.logprob").unwrap().parse().unwrap();
        assert!(logprob <= 0.0, "{step:?}");
        let logit = |key: &str| attribute(step, key).unwrap().parse::<f64>().unwrap();
        let (chosen, all) = (logit("tessera.logits.chosen"), logit("tessera.logits.log_sum_exp"));
        assert!((chosen - all - logprob).abs() < 1e-3, "{step:?}");
    }
    // Those that wrote the first or the last character of a value are there, whatever the cap.
    let fields: Vec<&Span> =
        of(&second).into_iter().filter(|span| span.name.starts_with("field")).collect();
    assert!(fields.len() > 10);
    let shown: Vec<&Span> =
        of(&second).into_iter().filter(|span| span.name == "decode_step").collect();
    assert!(shown.len() >= fields.len(), "{} steps, {} fields", shown.len(), fields.len());
    for field in fields {
        let meets = |step: &&&Span| {
            step.start_time_unix_nano <= field.end_time_unix_nano
                && step.end_time_unix_nano >= field.start_time_unix_nano
        };
        assert!(shown.iter().any(|step| meets(&step)), "{field:?}");
    }
    // Steps of the engine are traces of their own.
    let passes = all.iter().filter(|span| span.name == "engine.step");
    let passes: BTreeSet<&[u8]> = passes.map(|span| &span.trace_id[..]).collect();
    let others = all.iter().filter(|span| !passes.contains(&span.trace_id[..]));
    let ids: BTreeSet<String> = others.map(|span| hex(&span.trace_id)).collect();
    assert_eq!(ids, BTreeSet::from([TRACE_ID.to_owned(), second]), "nothing of the first call");
}

/// Where the operator asks for it, and only there.
#[tokio::test]
async fn a_request_says_what_vllm_would_say() {
    for names in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let all = ["--trace-dir", path, "--trace-level", "1", "--trace-vllm-names"];
        let (_server, port) = start_server(&options(&all[..if names { 5 } else { 4 }]));
        let completed = extract(port, TRACE_ID, "1").await;
        let all = spans(&directory.path().join("spans.jsonl"), TRACE_ID);
        let named = |span: &&Span| span.name.starts_with("generate_content");
        let generate = all.iter().find(named).unwrap();
        let seconds = |key: &str| {
            let key = format!("gen_ai.latency.{key}");
            attribute(generate, &key).map(|value| value.parse::<f64>().unwrap())
        };
        if !names {
            assert_eq!(seconds("e2e"), None);
            continue;
        }
        let [queue, first, prefill, decode, inference, whole] = [
            "time_in_queue",
            "time_to_first_token",
            "time_in_model_prefill",
            "time_in_model_decode",
            "time_in_model_inference",
            "e2e",
        ]
        .map(|key| seconds(key).unwrap());
        assert!(queue >= 0.0 && prefill > 0.0 && decode > 0.0);
        assert!((prefill + decode - inference).abs() < 1e-6);
        assert!(first < whole && inference < whole, "{generate:?}");
        let usage = completed.usage.unwrap();
        let tokens = |key: &str| attribute(generate, &format!("gen_ai.usage.{key}_tokens"));
        assert_eq!(tokens("prompt"), Some(usage.input_tokens.to_string()));
        assert_eq!(tokens("completion"), Some(usage.output_tokens.to_string()));
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
