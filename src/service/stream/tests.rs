//! The stream's contract, over made-up engines.

use std::sync::Arc;

use proptest::prelude::*;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use super::*;
use crate::device::Dtype;
use crate::engine::{FinishReason, Job, Priority, Sampling, Timings, Usage};
use crate::fields::TokenScore;
use crate::prompt::AnswerStyle;
use crate::schema::{DocumentKind, Schema};
use crate::service::call::Call;

fn generation() -> Generation {
    let call: Arc<Call> = Call::of(&Request::new(()));
    let mut job = Job {
        priority: Priority::Interactive,
        id: "id".to_owned(),
        files: Vec::new(),
        question: String::new(),
        sampling: Sampling::GREEDY,
        output_tokens_max: 8,
        stop: Vec::new(),
        grammar: None,
        scores: false,
        tiles_max: None,
        deadline: None,
        received: call.received,
        span: tracing::Span::none(),
        trace: None,
    };
    Generation::begin(call, &mut job, "fake", "text", Vec::new())
}

const HEARTBEAT: Duration = Duration::from_millis(30);

fn answer<E>(events: E, tokens: bool) -> Answer<E> {
    answering(events, wishes(tokens, false, None))
}

fn wishes(tokens: bool, fields: bool, schema: Option<Schema>) -> Wishes {
    let style = AnswerStyle::Json;
    let asked = schema.map(|schema| Form { schema: Arc::new(schema), style, held: false });
    Wishes { tokens, logprobs: false, fields, asked, calibration: None, heartbeat: HEARTBEAT }
}

fn receipt() -> Schema {
    Schema::of(DocumentKind::Receipt)
}

fn answering<E>(events: E, wishes: Wishes) -> Answer<E> {
    let accepted = (v1::Accepted::default(), PageTexts::default());
    Answer::new(accepted, (events, None), generation(), wishes)
}

fn text(text: &str) -> Event {
    Event::Text(Text { text: text.to_owned(), tokens: 1, scores: Vec::new() })
}

fn done() -> Event {
    Event::Done(Done {
        finish_reason: FinishReason::Stop,
        text: "ab".to_owned(),
        usage: Usage::default(),
        timings: Timings::default(),
    })
}

fn kind(message: &v1::ExtractResponse) -> &'static str {
    match message.event {
        Some(Message::Accepted(_)) => "accepted",
        Some(Message::Progress(_)) => "progress",
        Some(Message::TokenDelta(_)) => "token_delta",
        Some(Message::FieldDelta(_)) => "field_delta",
        Some(Message::FieldCompleted(_)) => "field_completed",
        Some(Message::DocumentType(_)) => "document_type",
        Some(Message::Completed(_)) => "completed",
        None => "nothing",
    }
}

#[tokio::test]
async fn a_whole_answer() {
    let events = tokio_stream::iter([Ok(text("a")), Ok(text("b")), Ok(done())]);
    let messages: Vec<_> = answer(events, true).map(Result::unwrap).collect().await;
    let kinds: Vec<_> = messages.iter().map(|m| (m.sequence, kind(m))).collect();
    assert_eq!(kinds, [(1, "accepted"), (2, "token_delta"), (3, "token_delta"), (4, "completed")]);
}

#[tokio::test]
async fn tokens_are_left_out_without_a_gap() {
    let events = tokio_stream::iter([Ok(text("a")), Ok(text("b")), Ok(done())]);
    let messages: Vec<_> = answer(events, false).map(Result::unwrap).collect().await;
    let kinds: Vec<_> = messages.iter().map(|m| (m.sequence, kind(m))).collect();
    assert_eq!(kinds, [(1, "accepted"), (2, "completed")]);
}

#[tokio::test]
async fn fields_follow_the_text_that_brought_them() {
    let pieces = [r#"{"A": "x"#, r#"y"#, r#"", "B": 1"#, "}"];
    let events =
        tokio_stream::iter(pieces.map(|piece| Ok(text(piece))).into_iter().chain([Ok(done())]));
    let wishes = wishes(true, true, Some(receipt()));
    let messages: Vec<_> = answering(events, wishes).map(Result::unwrap).collect().await;
    let kinds: Vec<_> = messages.iter().map(kind).collect();
    let (token, delta, field) = ("token_delta", "field_delta", "field_completed");
    assert_eq!(
        kinds,
        ["accepted", token, delta, token, delta, token, field, token, field, "completed"]
    );
    assert!((1..).zip(&messages).all(|(number, message)| message.sequence == number));
    let fields: Vec<_> = messages
        .iter()
        .filter_map(|message| match &message.event {
            Some(Message::FieldCompleted(field)) => Some(field.clone()),
            _ => None,
        })
        .collect();
    let Some(Message::Completed(completed)) = &messages[9].event else { panic!("{messages:?}") };
    assert_eq!(completed.fields, fields, "all of them again");
}

#[tokio::test]
async fn fields_that_nobody_wants_to_see_come_at_the_end() {
    let events = tokio_stream::iter([Ok(text(r#"{"A": "x"}"#)), Ok(done())]);
    let wishes = wishes(false, false, Some(receipt()));
    let messages: Vec<_> = answering(events, wishes).map(Result::unwrap).collect().await;
    assert_eq!(messages.iter().map(kind).collect::<Vec<_>>(), ["accepted", "completed"]);
    let Some(Message::Completed(completed)) = &messages[1].event else { panic!("{messages:?}") };
    assert_eq!(completed.fields[0].pointer, "/A");
}

/// The curve of the value's kind, or of all others.
#[tokio::test]
async fn confidence_is_mapped_by_kind() {
    let score = |text, probability: f32| TokenScore {
        text,
        logprob: probability.ln(),
        page_shares: Vec::new(),
    };
    let answer = r#"{"TOTAL_AMOUNT": "7", "PAYER_NAME": "x"}"#;
    let said = |value: &str| {
        let at = answer.find(value).unwrap();
        at..at + value.len()
    };
    let scores = vec![score(said("7\""), 0.9), score(said("x\""), 0.9)];
    let piece = Text { text: answer.to_owned(), tokens: 2, scores };
    let calibration: Calibration = serde_json::from_str(
        r#"{"format": 1, "kinds": {"money": {"isotonic": [[0.9, 0.5]]}, "*": {"temperature": 2}}}"#,
    )
    .unwrap();
    let events = tokio_stream::iter([Ok(Event::Text(piece)), Ok(done())]);
    let wishes = Wishes {
        calibration: Some(Arc::new(calibration)),
        ..wishes(false, false, Some(receipt()))
    };
    let messages: Vec<_> = answering(events, wishes).map(Result::unwrap).collect().await;
    let Some(Message::Completed(completed)) = &messages[1].event else { panic!("{messages:?}") };
    let mapped: Vec<f32> = completed.fields.iter().filter_map(|field| field.confidence).collect();
    assert_eq!(mapped.len(), 2);
    assert!((mapped[0] - 0.5).abs() < 1e-6 && (mapped[1] - 0.75).abs() < 1e-6, "{mapped:?}");
    let least = completed.fields[0].min_token_probability.unwrap();
    assert!((least - 0.9).abs() < 1e-6, "{least}");
}

#[tokio::test]
async fn an_engine_that_vanishes_is_a_failure() {
    let mut stream = answer(tokio_stream::iter([Ok(text("a"))]), true);
    assert_eq!(kind(&stream.next().await.unwrap().unwrap()), "accepted");
    assert_eq!(kind(&stream.next().await.unwrap().unwrap()), "token_delta");
    assert_eq!(stream.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
    assert!(stream.next().await.is_none());
}

/// Tokens that were taken in are of the prompt that the client knows, and of another once that was counted.
#[tokio::test]
async fn progress_says_of_how_many_tokens() {
    let progress = || event(&Step::Progress);
    let second = Event::Accepted(crate::engine::Accepted {
        tiles_per_page: vec![1],
        pages: Vec::new(),
        input_tokens: 9,
    });
    let events = tokio_stream::iter([progress(), Ok(second), progress(), Ok(done())]);
    let accepted = v1::Accepted { input_tokens: 7, ..v1::Accepted::default() };
    let (accepted, wishes) = ((accepted, PageTexts::default()), wishes(false, false, None));
    let answer = Answer::new(accepted, (events, None), generation(), wishes);
    let messages: Vec<_> = answer.map(Result::unwrap).collect().await;
    let counts: Vec<_> = messages
        .iter()
        .filter_map(|message| match &message.event {
            Some(Message::Progress(progress)) => Some(progress.input_tokens),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [7, 9]);
}

#[tokio::test]
async fn silence_is_broken() {
    let events = tokio_stream::iter([Ok(text("a"))]).chain(tokio_stream::pending());
    let mut stream = answer(events, false);
    stream.next().await;
    let start = Instant::now();
    for beat in 1..=3 {
        let message = stream.next().await.unwrap().unwrap();
        assert!(start.elapsed() >= HEARTBEAT * beat, "{:?}", start.elapsed());
        assert_eq!(message.sequence, 1 + u64::from(beat));
        let Some(Message::Progress(progress)) = message.event else { panic!("{message:?}") };
        assert_eq!(progress.phase(), v1::Phase::Decode);
        assert_eq!(progress.output_tokens, 1);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Progress,
    Text,
    Done,
    Fail,
}

fn event(step: &Step) -> Result<Event, EngineError> {
    match step {
        Step::Progress => Ok(Event::Progress(Progress {
            phase: Phase::Prefill,
            queue_position: None,
            encoded_tiles: 1,
            prefilled_tokens: 1,
            output_tokens: 0,
        })),
        Step::Text => Ok(text("x")),
        Step::Done => Ok(done()),
        Step::Fail => Err(EngineError::NonFiniteLogits { step: 3, dtype: Dtype::F32, at: None }),
    }
}

proptest! {
    /// Whatever the engine says: `accepted` first, numbers without gaps, one terminal state, and
    /// nothing after it.
    #[test]
    fn one_terminal_state(
        steps in proptest::collection::vec(
            prop_oneof![
                Just(Step::Progress), Just(Step::Text), Just(Step::Done), Just(Step::Fail)
            ],
            0..12,
        ),
        tokens: bool,
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let items: Vec<Result<v1::ExtractResponse, Status>> = runtime.block_on(async {
            let events: Vec<_> = steps.iter().map(event).collect();
            answer(tokio_stream::iter(events), tokens).collect().await
        });
        let numbers: Vec<u64> = items.iter().flatten().map(|m| m.sequence).collect();
        prop_assert_eq!(&numbers, &(1..=numbers.len() as u64).collect::<Vec<_>>());
        let kinds: Vec<_> = items.iter().flatten().map(kind).collect();
        prop_assert_eq!(kinds[0], "accepted");
        prop_assert_eq!(kinds.iter().filter(|kind| **kind == "accepted").count(), 1);
        let failed = items.iter().position(Result::is_err);
        let whole = kinds.iter().position(|kind| *kind == "completed");
        prop_assert_ne!(failed.is_some(), whole.is_some());
        prop_assert_eq!(failed.or(whole), Some(items.len() - 1));
    }
}

fn done_with(text: String) -> Event {
    Event::Done(Done {
        finish_reason: FinishReason::Stop,
        text,
        usage: Usage::default(),
        timings: Timings::default(),
    })
}

/// Ends with the one status there is for it, and what came before stays.
async fn assert_too_large(events: Vec<Event>, wishes: Wishes, before: &[&str]) {
    let events = tokio_stream::iter(events.into_iter().map(Ok));
    let mut messages: Vec<_> = answering(events, wishes).collect().await;
    let status = messages.pop().unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "ANSWER_TOO_LARGE");
    assert_eq!(info.metadata["limit_value"], limits::EVENT_BYTES_MAX.to_string());
    let kinds: Vec<_> = messages.iter().map(|message| kind(message.as_ref().unwrap())).collect();
    assert_eq!(kinds, before);
}

#[tokio::test]
async fn an_answer_larger_than_a_message_says_so() {
    let long = "x".repeat(limits::EVENT_BYTES_MAX);
    let events = vec![text("a"), done_with(long.clone())];
    assert_too_large(events, wishes(true, false, None), &["accepted", "token_delta"]).await;
    // What is told of it beside its text counts as well: here the value, once as it is and once as JSON.
    let half = format!("{{\"A\": \"{}\"}}", &long[..limits::EVENT_BYTES_MAX / 3]);
    let events = vec![text(&half), done_with(half.clone())];
    let whole = wishes(false, false, Some(receipt()));
    assert_too_large(events, whole, &["accepted"]).await;
}

#[tokio::test]
async fn a_field_larger_than_a_message_says_so() {
    let long = "x".repeat(limits::EVENT_BYTES_MAX / 2);
    let events = vec![
        text("{\"A\": 1, "),
        text(&format!("\"B\": \"{long}\", ")),
        text("\"C\": 1}"),
        done_with(String::new()),
    ];
    let before = ["accepted", "field_completed"];
    assert_too_large(events, wishes(false, true, Some(receipt())), &before).await;
}

#[tokio::test]
async fn an_answer_as_large_as_a_message_is_sent() {
    // The other fields take a few bytes.
    let long = "x".repeat(limits::EVENT_BYTES_MAX - 100);
    let events = tokio_stream::iter([Ok(done_with(long.clone()))]);
    let messages: Vec<_> = answer(events, false).map(Result::unwrap).collect().await;
    let Some(Message::Completed(completed)) = &messages[1].event else { panic!() };
    assert_eq!(completed.text.len(), long.len());
    let wrapped = v1::BatchExtractResponse {
        request_id: "i".repeat(limits::REQUEST_ID_BYTES_MAX),
        outcome: Some(v1::batch_extract_response::Outcome::Response(messages[1].clone())),
    };
    assert!(prost::Message::encoded_len(&wrapped) <= limits::RESPONSE_BYTES_MAX);
}
