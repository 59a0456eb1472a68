//! The kind of a document that its caller does not know: found first, by a question of its own.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tonic::Code;

use crate::support::{Setup, collect, completed, open, receipt};

/// One page of a kind that is to be found.
fn unknown() -> v1::ExtractRequest {
    let mut request = receipt();
    request.generation = None;
    let Some(v1::extract_request::Task::Schema(schema)) = &mut request.task else { panic!() };
    schema.source =
        Some(v1::extraction_schema::Source::DocumentType(v1::DocumentType::Auto.into()));
    request
}

/// The fake says the same to both questions; each grammar takes its own from it.
fn saying(kind: &str) -> Setup {
    Setup { slot_tokens: 4000, answer: kind.to_owned(), ..Setup::default() }
}

/// The kind first, then the fields of that kind: two requests to the engine, one stream to the client.
#[tokio::test]
async fn an_unknown_kind_is_found_first() {
    let server = saying("bank_statement").start().await;
    let (events, status) = collect(open(&server, unknown()).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!(accepted.prompt_template, "classify@1");
    let at = events.iter().position(|event| matches!(event, Event::DocumentType(_))).unwrap();
    let Event::DocumentType(found) = &events[at] else { panic!() };
    assert_eq!(found.document_type(), v1::DocumentType::BankStatement);
    assert_eq!(found.prompt_template, "bank_statement.json@1");
    assert!(found.confidence.is_some_and(|confidence| confidence > 0.9), "{found:?}");
    let is_content = |event: &Event| {
        matches!(event, Event::TokenDelta(_) | Event::FieldDelta(_) | Event::FieldCompleted(_))
    };
    assert!(!events[..at].iter().any(is_content), "nothing comes before the kind");
    let completed = completed(&events);
    let document: serde_json::Value =
        serde_json::from_str(completed.document_json.as_deref().unwrap()).unwrap();
    assert!(document.get("STATEMENT_DATE_RANGE").is_some(), "{document}");
    let said: String = events
        .iter()
        .filter_map(|event| match event {
            Event::TokenDelta(delta) => Some(delta.text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said, completed.text, "the kind's own answer is no part of it");
    // What was taken in is of the prompt that is taken in, first the one and then the other.
    let counts = |events: &[Event]| -> Vec<(u32, u32)> {
        events
            .iter()
            .filter_map(|event| match event {
                Event::Progress(progress) => {
                    Some((progress.prefilled_tokens, progress.input_tokens))
                }
                _ => None,
            })
            .collect()
    };
    let (first, second) = (counts(&events[..at]), counts(&events[at..]));
    assert!(first.iter().all(|(taken, of)| taken <= of && *of == accepted.input_tokens));
    let input_tokens = completed.usage.unwrap().input_tokens;
    assert_ne!(input_tokens, accepted.input_tokens);
    let is_known = |(taken, of): &(u32, u32)| taken <= of && *of == input_tokens;
    assert!(second.iter().all(|count| *count == (0, 0) || is_known(count)), "{second:?}");
    assert!(second.iter().any(is_known), "{second:?}");
    server.until_idle().await;
}

/// What was begun may end: the second question is no new request.
#[tokio::test]
async fn an_unknown_kind_is_read_to_its_end_while_the_server_drains() {
    let setup = Setup { step_delay: Duration::from_millis(20), ..saying("receipt") };
    let server = setup.start().await;
    let mut request = unknown();
    // Of the fields; the kind's own name is not bounded by it.
    request.generation =
        Some(v1::GenerationOptions { max_output_tokens: Some(1), ..Default::default() });
    let stream = open(&server, request).await;
    server.engine.drain();
    let (events, status) = collect(stream).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    assert!(events.iter().any(|event| matches!(event, Event::DocumentType(_))), "{events:?}");
    let end = events.iter().find_map(|event| match event {
        Event::Completed(completed) => Some(completed.finish_reason()),
        _ => None,
    });
    assert_eq!(end, Some(v1::FinishReason::Length));
}

/// The second question begins with the same pages: none is encoded again, and of what they became in the
/// KV cache all whole blocks are taken as they are.
#[tokio::test]
async fn an_unknown_kind_takes_its_pages_in_once() {
    let server = saying("receipt").start().await;
    let tiles = || server.probe.tiles.load(Ordering::SeqCst);
    let before = tiles();
    let mut request = unknown();
    // Of equal files, one that is read after another was encoded would not be.
    let page = request.files[0].content.clone();
    let unlike = |index: u8| v1::InputFile {
        content: [&page[..], &[index]].concat().into(),
        ..v1::InputFile::default()
    };
    request.files = (0..8).map(unlike).collect();
    let (events, status) = collect(open(&server, request).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
    let first = events.iter().find_map(|event| match event {
        Event::DocumentType(found) => found.usage,
        _ => None,
    });
    let (first, second) = (first.unwrap(), completed(&events).usage.unwrap());
    assert_eq!((first.image_tokens, second.image_tokens), (32, 32));
    assert_eq!(first.cached_input_tokens, 0);
    // Blocks of 16 tokens: all that hold nothing but pages, whatever stands before them.
    assert!(second.cached_input_tokens >= 32, "{second:?}");
    assert!(second.cached_input_tokens < second.input_tokens, "{second:?}");
    assert_eq!(tiles() - before, 8, "each page is encoded once");
    server.until_idle().await;
}
