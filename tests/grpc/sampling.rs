//! What a request can ask about how its tokens are chosen, and what it is told of it.

use std::time::Duration;

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tonic::Code;

use crate::support::{Setup, collect, completed, first_token, open, question, tokens};

#[tokio::test]
async fn logprobs_come_with_the_tokens_that_they_are_of() {
    let server = Setup::default().start().await;
    let mut request = question("Read");
    request.generation = Some(v1::GenerationOptions { logprobs: true, ..Default::default() });
    let (events, status) = collect(open(&server, request).await).await;
    assert_eq!(status.code(), Code::Ok);
    let logprobs: Vec<f32> = events
        .iter()
        .filter_map(|event| match event {
            Event::TokenDelta(delta) => Some(delta.logprobs.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    let text = &completed(&events).text;
    assert_eq!(logprobs.len(), tokens(text).len());
    // The scripted token is far ahead of all others.
    assert!(logprobs.iter().all(|logprob| (-1e-3..=0.0).contains(logprob)), "{logprobs:?}");

    let (events, _) = collect(open(&server, question("Read")).await).await;
    let none = |event: &Event| match event {
        Event::TokenDelta(delta) => delta.logprobs.is_empty(),
        _ => true,
    };
    assert!(events.iter().all(none), "{events:?}");
}

#[tokio::test]
async fn the_same_request_again_is_cached() {
    let server = Setup::default().start().await;
    let usage = async || {
        let long = question(&"Read all of the page, and leave nothing out. ".repeat(4));
        let (events, _) = collect(open(&server, long).await).await;
        completed(&events).usage.unwrap()
    };
    let first = usage().await;
    assert_eq!(first.cached_input_tokens, 0);
    let again = usage().await;
    assert_eq!(again.input_tokens, first.input_tokens);
    let uncached = again.input_tokens - again.cached_input_tokens;
    assert!(again.cached_input_tokens > 0 && (1..=16).contains(&uncached), "{again:?}");
    let counts = server.engine.counts();
    assert_eq!(counts.prefix_hit_tokens, u64::from(again.cached_input_tokens));
    assert_eq!(counts.encoder_hit_pages, 1);
}

#[tokio::test]
async fn who_is_in_a_hurry_goes_before_a_batch() {
    let setup = Setup { slots: 1, ..Setup::endless(Duration::from_millis(2)) };
    let server = setup.start().await;
    let mut running = open(&server, question("Read on")).await;
    first_token(&mut running).await;
    let mut batch = question("Whenever you like");
    batch.priority = v1::Priority::Batch.into();
    let mut batch = open(&server, batch).await;
    let mut hurry = open(&server, question("Now")).await;
    server.until(|status| status.load.queued == 2).await;
    drop(running);
    first_token(&mut hurry).await;
    assert_eq!(server.engine.current().load.queued, 1, "the batch still waits");
    drop(hurry);
    first_token(&mut batch).await;
}

#[tokio::test]
async fn seeds_repeat_an_answer_that_is_drawn() {
    let server = Setup::default().start().await;
    let answer = async |seed| {
        let mut request = question("Read");
        request.generation = Some(v1::GenerationOptions {
            temperature: Some(2.0),
            top_k: Some(50),
            min_p: Some(0.0001),
            repetition_penalty: Some(1.1),
            seed: Some(seed),
            ..Default::default()
        });
        let (events, status) = collect(open(&server, request).await).await;
        assert_eq!(status.code(), Code::Ok, "{status:?}");
        completed(&events).text.clone()
    };
    assert_eq!(answer(1).await, answer(1).await);
}
