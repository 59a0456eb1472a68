//! A whole answer: what comes, in which order, and what it says.

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tonic::Code;

use crate::support::{MODEL, file};
use crate::support::{Setup, collect, completed, open, png, question, receipt, tokens};

#[tokio::test]
async fn accepted_first_completed_last() {
    let setup = Setup::default();
    let answer = setup.answer.clone();
    let server = setup.start().await;
    let request = v1::ExtractRequest { request_id: "doc-7".to_owned(), ..receipt() };
    let (events, status) = collect(open(&server, request).await).await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");

    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!(accepted.request_id, "doc-7");
    assert_eq!(accepted.model, MODEL);
    assert_eq!(accepted.model_revision, "fake");
    assert_eq!(accepted.trace_id, "", "nothing is exported");
    assert_eq!(accepted.tiles_per_page, [1]);
    assert!(accepted.input_tokens > 4);

    let completed = completed(&events);
    assert_eq!(completed.text, answer);
    assert_eq!(completed.document_json.as_deref(), Some(answer.as_str()));
    assert_eq!(completed.document_error, "");
    assert_eq!(completed.finish_reason(), v1::FinishReason::Stop);
    let usage = completed.usage.unwrap();
    assert_eq!(usage.input_tokens, accepted.input_tokens);
    assert_eq!(usage.image_tokens, 4);
    let count = tokens(&answer).len() as u32;
    assert!(usage.output_tokens == count || usage.output_tokens == count + 1, "{usage:?}");
    assert!(completed.timings.unwrap().total.is_some());

    let others = events[1..events.len() - 1].iter();
    assert!(
        others.clone().all(|e| !matches!(e, Event::Accepted(_) | Event::Completed(_))),
        "{events:?}"
    );
    let joined: String = others
        .filter_map(|event| match event {
            Event::TokenDelta(delta) => Some(delta.text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(joined, answer);
}

#[tokio::test]
async fn a_request_without_a_name_gets_one() {
    let server = Setup::default().start().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (events, _) = collect(open(&server, question("Total?")).await).await;
        let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
        ids.push(accepted.request_id.clone());
    }
    assert!(!ids[0].is_empty());
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_prompt_has_no_document() {
    let server = Setup::default().start().await;
    let (events, _) = collect(open(&server, question("Total?")).await).await;
    let completed = completed(&events);
    assert_eq!((completed.document_json.as_ref(), completed.document_error.as_str()), (None, ""));
}

#[tokio::test]
async fn an_answer_that_is_no_object_says_so() {
    let setup = Setup { answer: "I see a receipt.".to_owned(), ..Setup::default() };
    let server = setup.start().await;
    let (events, status) = collect(open(&server, receipt()).await).await;
    assert_eq!(status.code(), Code::Ok);
    let completed = completed(&events);
    assert_eq!(completed.document_json, None);
    assert_eq!(completed.document_error, "there is no JSON object in the output");
}

#[tokio::test]
async fn a_cut_answer_says_so() {
    let server = Setup::default().start().await;
    let generation = v1::GenerationOptions { max_output_tokens: Some(3), ..Default::default() };
    let request = v1::ExtractRequest { generation: Some(generation), ..receipt() };
    let (events, status) = collect(open(&server, request).await).await;
    assert_eq!(status.code(), Code::Ok);
    let completed = completed(&events);
    assert_eq!(completed.finish_reason(), v1::FinishReason::Length);
    assert_eq!(completed.usage.unwrap().output_tokens, 3);
    assert!(completed.document_error.starts_with("the output was cut: "), "{completed:?}");
}

#[tokio::test]
async fn no_tokens_on_request() {
    let server = Setup::default().start().await;
    let event_kinds = vec![v1::EventKind::None.into()];
    let request = v1::ExtractRequest { event_kinds, ..receipt() };
    let (events, _) = collect(open(&server, request).await).await;
    assert!(!events.iter().any(|event| matches!(event, Event::TokenDelta(_))), "{events:?}");
    assert!(!completed(&events).text.is_empty());
}

#[tokio::test]
async fn pages_in_order() {
    let server = Setup::default().start().await;
    let files = vec![file(png()), file(png()), file(png())];
    let request = v1::ExtractRequest { files, ..receipt() };
    let (events, _) = collect(open(&server, request).await).await;
    let Event::Accepted(accepted) = &events[0] else { panic!("{events:?}") };
    assert_eq!(accepted.tiles_per_page.len(), 3);
}

#[tokio::test]
async fn requests_at_once_do_not_mix() {
    let server = Setup { slots: 4, ..Setup::default() }.start().await;
    let mut running = Vec::new();
    for _ in 0..12 {
        let stream = open(&server, receipt()).await;
        running.push(tokio::spawn(collect(stream)));
    }
    for run in running {
        let (events, status) = run.await.unwrap();
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        assert_eq!(completed(&events).text, r#"{"TOTAL_AMOUNT": "12.50"}"#);
    }
    server.until_idle().await;
}
