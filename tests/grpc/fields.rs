//! Fields while the answer is still being written.

use std::time::Duration;

use prost_types::value::Kind;
use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
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
