//! Fields while the answer is still being written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prost_types::value::Kind;
use tessera::engine;
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tessera::prompt::Questions;
use tonic::{Code, Streaming};

use crate::support::{SOON, Setup, collect, completed, open, question, receipt};

const ANSWER: &str =
    r#"{"SUPPLIER_NAME": "ACME Pty Ltd", "ITEMS": [{"PRICE": 1.50}], "TOTAL_AMOUNT": "$1.50"}"#;

fn answering(answer: &str) -> Setup {
    Setup { answer: answer.to_owned(), ..Setup::default() }
}

fn asking_for(kinds: &[v1::EventKind], request: v1::ExtractRequest) -> v1::ExtractRequest {
    let event_kinds = kinds.iter().map(|&kind| kind.into()).collect();
    v1::ExtractRequest { event_kinds, ..request }
}

/// Pointer and JSON text of the fields that `events` complete.
fn fields(events: &[Event]) -> Vec<(&str, &str)> {
    let mut fields = Vec::new();
    for event in events {
        if let Event::FieldCompleted(field) = event {
            fields.push((field.pointer.as_str(), field.raw.as_str()));
        }
    }
    fields
}

/// Reads on until the field is complete.
async fn until_complete(stream: &mut Streaming<v1::ExtractResponse>, pointer: &str) {
    loop {
        let message = tokio::time::timeout(SOON, stream.message()).await.unwrap().unwrap();
        match message.expect("the stream goes on").event {
            Some(Event::FieldCompleted(field)) if field.pointer == pointer => return,
            Some(Event::Completed(completed)) => panic!("{pointer} came too late: {completed:?}"),
            _ => {}
        }
    }
}

/// The answer goes on until the client leaves: a field cannot wait for its end.
#[tokio::test]
async fn a_field_completes_before_the_answer_does() {
    let endless = Setup::endless(Duration::from_millis(1));
    let answer = format!(r#"{{"SUPPLIER_NAME": "ACME Pty Ltd", "NUMBERS": "{}"#, endless.answer);
    let server = Setup { answer, slot_tokens: 8000, ..endless }.start().await;
    let mut stream = open(&server, receipt()).await;
    until_complete(&mut stream, "/SUPPLIER_NAME").await;
    assert_eq!(server.engine.current().load.running, 1, "the model is still writing");
    drop(stream);
    server.until_idle().await;
}

#[tokio::test]
async fn completed_fields_rebuild_the_document() {
    let server = answering(&format!("```json\n{ANSWER}\n```")).start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    assert_eq!(
        fields(&events),
        [
            ("/SUPPLIER_NAME", "\"ACME Pty Ltd\""),
            ("/ITEMS/0/PRICE", "1.50"),
            ("/TOTAL_AMOUNT", "\"$1.50\"")
        ]
    );
    let completed = completed(&events);
    let again: Vec<_> =
        completed.fields.iter().map(|field| (field.pointer.as_str(), field.raw.as_str())).collect();
    assert_eq!(again, fields(&events));
    assert_eq!(completed.document_json.as_deref(), Some(ANSWER));

    // The script leaves the model no doubt.
    for field in &completed.fields {
        let sure = [field.confidence, field.min_token_probability];
        assert!(sure.iter().all(|p| p.is_some_and(|p| p > 0.99 && p <= 1.0)), "{field:?}");
    }

    let normalized = completed.fields[2].normalized.clone().unwrap().kind;
    assert_eq!(normalized, Some(Kind::StringValue("1.50".to_owned())));

    let deltas: String = events
        .iter()
        .filter_map(|event| match event {
            Event::FieldDelta(delta) if delta.pointer == "/SUPPLIER_NAME" => {
                Some(delta.text.as_str())
            }
            _ => None,
        })
        .collect();
    assert!(!deltas.is_empty() && "ACME Pty Ltd".starts_with(&deltas), "{deltas:?}");
}

/// The server's own schemas are texts that it takes, like anybody's.
#[tokio::test]
async fn a_schema_of_ones_own_names_the_values() {
    let answer =
        r#"{"id": 7, "total": "A$1,250.50", "lines": [{"on": "3/4/2028"}], "unit": "Box"}"#;
    let server = answering(answer).start().await;
    let text = r#"{"type": "object", "properties": {
        "id": {"type": "integer"},
        "total": {"type": "string", "format": "money"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"on": {"type": "string", "format": "page-date"}}}},
        "unit": {"enum": ["box", "each"]}}}"#;
    let mut request = receipt();
    let Some(v1::extract_request::Task::Schema(schema)) = &mut request.task else { panic!() };
    schema.source = Some(v1::extraction_schema::Source::JsonSchema(text.to_owned()));
    let (events, status) = collect(open(&server, request).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let normalized: Vec<_> = completed(&events)
        .fields
        .iter()
        .map(|field| {
            (field.pointer.as_str(), field.normalized.clone().and_then(|value| value.kind))
        })
        .collect();
    let text = |text: &str| Some(Kind::StringValue(text.to_owned()));
    assert_eq!(
        normalized,
        [
            ("/id", text("7")),
            ("/total", text("1250.50")),
            ("/lines/0/on", text("2028-04-03")),
            ("/unit", text("box"))
        ]
    );
}

#[tokio::test]
async fn values_that_do_not_agree_are_named() {
    let answer =
        r#"{"BUSINESS_ABN": "51 824 753 556", "GST_AMOUNT": "$2", "TOTAL_AMOUNT": "$11.00"}"#;
    let server = answering(answer).start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let checks: Vec<_> =
        completed(&events).checks.iter().map(|check| (check.rule(), check.passed)).collect();
    let expected = [(v1::CheckRule::AbnChecksum, true), (v1::CheckRule::GstShare, false)];
    assert_eq!(checks, expected);
    let failed = &completed(&events).checks[1];
    assert_eq!(failed.pointers, ["/GST_AMOUNT", "/TOTAL_AMOUNT"]);
    assert_eq!(failed.message, "GST of 2.00 is more than one eleventh of the total, 11.00");
    assert_eq!(completed(&events).document_json.as_deref(), Some(answer), "nothing is changed");
}

#[tokio::test]
async fn a_cut_answer_keeps_its_complete_fields() {
    let server = answering(r#"{"A": "x", "B": "never whole"#).start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    assert_eq!(fields(&events), [("/A", "\"x\"")]);
    assert_eq!(completed(&events).fields.len(), 1);
    assert_eq!(completed(&events).document_json, None);
}

#[tokio::test]
async fn fields_of_a_prompt_come_when_asked_for() {
    let server = answering(ANSWER).start().await;
    let (events, _) = collect(open(&server, question("Prices?")).await).await;
    assert_eq!(fields(&events), []);
    assert!(completed(&events).fields.is_empty());

    let request = asking_for(&[v1::EventKind::Fields], question("Prices?"));
    let (events, _) = collect(open(&server, request).await).await;
    assert_eq!(fields(&events).len(), 3);
    assert!(!events.iter().any(|event| matches!(event, Event::TokenDelta(_))), "{events:?}");
    assert_eq!(completed(&events).document_json, None, "only a schema makes a document");
}

#[tokio::test]
async fn fields_that_are_not_wanted_come_at_the_end() {
    let server = answering(ANSWER).start().await;
    let request = asking_for(&[v1::EventKind::None], receipt());
    let (events, _) = collect(open(&server, request).await).await;
    assert_eq!(fields(&events), []);
    assert_eq!(completed(&events).fields.len(), 3);
}

/// The model says something else; the answer is a document of the schema all the same.
#[tokio::test]
async fn an_answer_is_held_to_its_schema() {
    let server =
        Setup { slot_tokens: 2000, ..answering("Sorry, I cannot read this.") }.start().await;
    let text = r#"{"type": "object", "required": ["kind", "paid"], "properties": {
        "kind": {"enum": ["receipt", "letter"]}, "paid": {"type": "boolean"}}}"#;
    let mut request = receipt();
    request.generation = None;
    let Some(v1::extract_request::Task::Schema(schema)) = &mut request.task else { panic!() };
    schema.source = Some(v1::extraction_schema::Source::JsonSchema(text.to_owned()));
    let (events, status) = collect(open(&server, request).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let completed = completed(&events);
    assert_eq!(completed.finish_reason(), v1::FinishReason::Stop);
    assert_eq!(completed.document_json.as_deref(), Some(completed.text.as_str()));
    let document: serde_json::Value = serde_json::from_str(&completed.text).unwrap();
    assert!(["receipt", "letter"].contains(&document["kind"].as_str().unwrap()), "{document}");
    assert!(document["paid"].is_boolean(), "{document}");
    assert_eq!(fields(&events).len(), 2);
}

fn repairs(completed: &v1::Completed) -> Vec<v1::Repair> {
    completed.repairs().collect()
}

/// A model that was not held to anything writes what people write.
#[tokio::test]
async fn nearly_json_is_mended_and_says_so() {
    let answer = "Here:\n{'SUPPLIER_NAME': 'ACME', \"TOTAL_AMOUNT\": \"$2\",}";
    let server = answering(answer).start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    assert_eq!(fields(&events), [("/SUPPLIER_NAME", "\"ACME\""), ("/TOTAL_AMOUNT", "\"$2\"")]);
    let completed = completed(&events);
    let document = r#"{"SUPPLIER_NAME": "ACME", "TOTAL_AMOUNT": "$2"}"#;
    assert_eq!(completed.document_json.as_deref(), Some(document));
    assert_eq!(completed.text, answer);
    assert_eq!(repairs(completed), [v1::Repair::Quotes, v1::Repair::TrailingComma]);
    assert!(completed.fields.iter().all(|field| field.confidence.is_some()), "{completed:?}");
}

#[tokio::test]
async fn lines_with_keys_have_the_same_fields() {
    let answer = "**SUPPLIER_NAME**: ACME\nTOTAL_AMOUNT: $2.00\nPAYER_NAME: NOT_FOUND";
    let server = answering(answer).start().await;
    let mut request = receipt();
    let Some(v1::extract_request::Task::Schema(schema)) = &mut request.task else { panic!() };
    schema.answer_style = v1::AnswerStyle::KeyValue.into();
    let (events, status) = collect(open(&server, request).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!(accepted.prompt_template, "receipt.lines@1");
    let expected = [
        ("/SUPPLIER_NAME", "\"ACME\""),
        ("/TOTAL_AMOUNT", "\"$2.00\""),
        ("/PAYER_NAME", "\"NOT_FOUND\""),
    ];
    assert_eq!(fields(&events), expected);
    let completed = completed(&events);
    assert_eq!(repairs(completed), [v1::Repair::Lines]);
    assert_eq!(completed.document_json, None, "not all fields are there");
    let normalized = completed.fields[1].normalized.clone().unwrap().kind;
    assert_eq!(normalized, Some(Kind::StringValue("2.00".to_owned())));
}

/// By a model that wants to say something else.
#[tokio::test]
async fn lines_with_keys_are_held_to_the_schema() {
    let server = Setup { slot_tokens: 4000, ..answering("**SUPPLIER**: ACME") }.start().await;
    let text = r#"{"type": "object", "required": ["supplier", "count"], "properties": {
        "supplier": {"type": "string", "maxLength": 6}, "count": {"type": "integer"},
        "day": {"type": ["string", "null"], "format": "date"},
        "kinds": {"type": "array", "maxItems": 3, "items": {"enum": ["a", "b"]}}}}"#;
    let mut request = receipt();
    request.generation = None;
    let Some(v1::extract_request::Task::Schema(schema)) = &mut request.task else { panic!() };
    schema.source = Some(v1::extraction_schema::Source::JsonSchema(text.to_owned()));
    schema.answer_style = v1::AnswerStyle::KeyValue.into();
    let (events, status) = collect(open(&server, request).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let completed = completed(&events);
    assert_eq!(repairs(completed), [], "nothing had to be mended");
    assert!(completed.text.starts_with("supplier: "), "{}", completed.text);
    let document = completed.document_json.as_deref().expect("it is whole");
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    assert!(
        document["supplier"].as_str().is_some_and(|text| (1..=6).contains(&text.chars().count()))
    );
    assert!(
        document["count"].is_i64() && (document["day"].is_null() || document["day"].is_string())
    );
}

/// Fields are sent as they complete; what the others say of them is known at the end.
#[tokio::test]
async fn checks_raise_and_lower_confidence_at_the_end() {
    let answer = r#"{"BUSINESS_ABN": "51 824 753 556", "SUPPLIER_NAME": "ACME", "GST_AMOUNT": "$2", "TOTAL_AMOUNT": "$11.00"}"#;
    let server = answering(answer).start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let sent: Vec<f32> = events
        .iter()
        .filter_map(|event| match event {
            Event::FieldCompleted(field) => field.confidence,
            _ => None,
        })
        .collect();
    let last: Vec<f32> =
        completed(&events).fields.iter().map(|field| field.confidence.unwrap()).collect();
    assert_eq!((sent.len(), last.len()), (4, 4));
    // The check digits are right; nothing looked at the name; GST is too much for the total.
    assert!(last[0] >= sent[0], "{sent:?} {last:?}");
    assert!((last[1] - sent[1]).abs() < 1e-6, "{sent:?} {last:?}");
    for index in [2, 3] {
        assert!((last[index] - sent[index] / 2.0).abs() < 1e-4, "{sent:?} {last:?}");
    }
}

/// While nobody reads, pieces of strings are joined into fewer and longer ones. What is complete is told one by one
/// all the same, each once and in order.
#[tokio::test]
async fn a_slow_reader_gets_longer_deltas_and_every_completion() {
    const READ_AT_ONCE: usize = 10;
    let expected: Vec<(String, String)> = (0..60)
        .map(|number| (format!("/F{number}"), format!("a text that is no other, number {number}")))
        .collect();
    let pairs: Vec<String> = expected
        .iter()
        .map(|(pointer, text)| format!("\"{}\": \"{text}\"", &pointer[1..]))
        .collect();
    let setup = Setup {
        slot_tokens: 4000,
        engine: engine::Config { events_buffered: 2, ..engine::Config::default() },
        ..answering(&format!("{{{}}}", pairs.join(", ")))
    };
    let server = setup.start().await;
    // A window this small is full after a few messages.
    let endpoint = server.endpoint().initial_stream_window_size(512);
    let mut client = ExtractionServiceClient::new(endpoint.connect().await.unwrap());
    let request = asking_for(
        &[v1::EventKind::Fields],
        v1::ExtractRequest {
            generation: Some(v1::GenerationOptions {
                max_output_tokens: Some(2000),
                ..receipt().generation.unwrap()
            }),
            ..receipt()
        },
    );
    let mut stream = client.extract(request).await.unwrap().into_inner();
    let steps = || server.probe.steps.load(std::sync::atomic::Ordering::SeqCst);
    let mut events = Vec::new();
    // A few at a time, and then nothing until the model has written what it may while nobody reads, and stands still: so
    // the reader is slower than the model however fast the machine is.
    'reading: loop {
        let mut before = usize::MAX;
        while before != steps() {
            before = steps();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for _ in 0..READ_AT_ONCE {
            let Some(message) = stream.message().await.unwrap() else { break 'reading };
            events.push(message.event.unwrap());
        }
    }
    let told: Vec<(String, String)> = fields(&events)
        .into_iter()
        .map(|(pointer, raw)| (pointer.to_owned(), raw.trim_matches('"').to_owned()))
        .collect();
    assert_eq!(told, expected);
    let mut grown: HashMap<&str, String> = HashMap::new();
    let mut deltas = 0;
    for event in &events {
        if let Event::FieldDelta(delta) = event {
            grown.entry(&delta.pointer).or_default().push_str(&delta.text);
            deltas += 1;
        }
    }
    for (pointer, text) in &expected {
        assert!(text.starts_with(grown.get(pointer.as_str()).map_or("", String::as_str)));
    }
    let tokens = completed(&events).usage.unwrap().output_tokens;
    assert!(tokens > 600 && deltas * 4 < tokens, "{deltas} deltas of {tokens} tokens");
    assert_eq!(completed(&events).fields.len(), expected.len());
}

/// However a model that is not held says that the page has no value, the raw text stays and the normalised value is
/// null. A field that it leaves out is no field.
#[tokio::test]
async fn what_the_page_does_not_have_is_null_in_free_answers() {
    let answer = r#"{"BUSINESS_ABN": "NOT_FOUND", "INVOICE_DATE": null, "SUPPLIER_NAME": "N/A", "LINE_ITEM_PRICES": "Not Found", "GST_AMOUNT": "-", "TOTAL_AMOUNT": "$0.00"}"#;
    let server = answering(answer).start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let completed = completed(&events);
    let (total, absent) = completed.fields.split_last().unwrap();
    assert_eq!(absent.len(), 5);
    for field in absent {
        let normalized = field.normalized.clone().unwrap().kind;
        assert_eq!(normalized, Some(Kind::NullValue(0)), "{field:?}");
    }
    let zero = total.normalized.clone().unwrap().kind;
    assert_eq!(zero, Some(Kind::StringValue("0.00".to_owned())), "nothing is not absence");
    assert_eq!(absent[0].raw, "\"NOT_FOUND\"");
    assert_eq!(completed.document_json.as_deref(), Some(answer), "nothing is changed");
    assert!(completed.checks.is_empty(), "{:?}", completed.checks);
}

/// A template of one's own is asked, and named with its version.
#[tokio::test]
async fn a_prompt_of_ones_own_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let text = "{# version: 12 #}\nRead {{ noun }} {{ instructions }}";
    std::fs::write(dir.path().join("receipt.json.jinja"), text).unwrap();
    let mut setup = answering(ANSWER);
    setup.service.questions = Some(Arc::new(Questions::load(Some(dir.path())).unwrap()));
    let server = setup.start().await;
    let (events, _) = collect(open(&server, receipt()).await).await;
    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!(accepted.prompt_template, "receipt.json@12");
    let own = completed(&events).usage.unwrap().input_tokens;
    let built_in = answering(ANSWER).start().await;
    let (events, _) = collect(open(&built_in, receipt()).await).await;
    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!(accepted.prompt_template, "receipt.json@1");
    let asked = completed(&events).usage.unwrap().input_tokens;
    assert!(own + 50 < asked, "a few words against a list of fields: {own}, {asked}");
}
