//! One call of each kind, and how it ends.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tessera::pb::v1;
use tessera::pb::v1::extract_response::Event;
use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::Scene;

pub(crate) const PAGE: &[u8] = include_bytes!("../../models/tessera-tiny/samples/receipt-01.png");

/// How calls ended.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) whole: AtomicUsize,
    pub(crate) given_up: AtomicUsize,
    pub(crate) late: AtomicUsize,
    pub(crate) refused: AtomicUsize,
    pub(crate) wrong: AtomicUsize,
    /// Completed fields of whole answers, each seen once on its way and once at the end.
    pub(crate) fields: AtomicUsize,
}

/// What a call is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Document,
    Prompt,
    /// Its reader goes after some messages.
    GivenUp,
    NoImage,
    Late,
}

impl Kind {
    fn of(number: usize) -> Self {
        match number % 8 {
            0 | 1 => Self::Document,
            2 | 3 => Self::Prompt,
            4 | 5 => Self::GivenUp,
            6 => Self::NoImage,
            _ => Self::Late,
        }
    }
}

pub(crate) fn request(
    content: &'static [u8],
    document: bool,
    output_tokens: u32,
) -> v1::ExtractRequest {
    let receipt = v1::extraction_schema::Source::DocumentType(v1::DocumentType::Receipt.into());
    let task = if document {
        let schema = v1::ExtractionSchema { source: Some(receipt), ..Default::default() };
        v1::extract_request::Task::Schema(schema)
    } else {
        v1::extract_request::Task::Prompt("What is the total?".to_owned())
    };
    v1::ExtractRequest {
        files: vec![v1::InputFile { content: content.into(), ..Default::default() }],
        task: Some(task),
        generation: Some(v1::GenerationOptions {
            max_output_tokens: Some(output_tokens),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Reads up to `messages`; the number of fields where the answer was whole.
pub(crate) async fn read(
    channel: &Channel,
    request: Request<v1::ExtractRequest>,
    messages: u64,
) -> Result<Option<usize>, Status> {
    let mut client = ExtractionServiceClient::new(channel.clone());
    let mut stream = client.extract(request).await?.into_inner();
    let mut sequence = 0;
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut whole = None;
    while sequence < messages {
        let Some(message) = stream.message().await? else {
            assert!(whole.is_some(), "a stream ended well without `completed`");
            return Ok(whole);
        };
        sequence += 1;
        assert_eq!(message.sequence, sequence, "no message is lost or doubled");
        assert!(whole.is_none(), "nothing comes after `completed`");
        match message.event {
            Some(Event::FieldCompleted(field)) => {
                seen.push((field.pointer, field.raw));
            }
            Some(Event::Completed(completed)) => {
                check_fields(&seen, &completed);
                whole = Some(seen.len());
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The fields that came one by one are those of the whole answer: none lost, none doubled, none changed.
fn check_fields(seen: &[(String, String)], completed: &v1::Completed) {
    let all: Vec<(String, String)> =
        completed.fields.iter().map(|field| (field.pointer.clone(), field.raw.clone())).collect();
    assert_eq!(seen, all, "fields on the way and at the end");
    let pointers: HashSet<&str> = seen.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers.len(), seen.len(), "a field completed twice: {seen:?}");
    if let Some(text) = &completed.document_json {
        let document: serde_json::Value = serde_json::from_str(text).expect("a JSON object");
        for (pointer, raw) in seen {
            let value: serde_json::Value = serde_json::from_str(raw).expect("a JSON value");
            assert_eq!(document.pointer(pointer), Some(&value), "{pointer} in {text}");
        }
        assert_eq!(leaves(&document), seen.len(), "leaves of {text}");
    }
}

fn leaves(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) if !items.is_empty() => items.iter().map(leaves).sum(),
        serde_json::Value::Object(items) if !items.is_empty() => items.values().map(leaves).sum(),
        _ => 1,
    }
}

/// One call of a kind that its number says; how it ended must be one of the ways that its kind can end.
pub(crate) async fn call(number: usize, scene: &Scene, channel: &Channel, tally: &Tally) {
    let kind = Kind::of(number);
    let (mut request, messages) = match kind {
        Kind::NoImage => (Request::new(request(b"no image", false, 8)), u64::MAX),
        Kind::GivenUp => (Request::new(request(PAGE, false, 64)), 1 + number as u64 % 4),
        Kind::Document => (Request::new(request(PAGE, true, 128)), u64::MAX),
        Kind::Prompt | Kind::Late => (Request::new(request(PAGE, false, 8)), u64::MAX),
    };
    if kind == Kind::Late {
        request.set_timeout(scene.deadline);
    }
    let counter = match read(channel, request, messages).await {
        Ok(Some(fields)) => {
            tally.fields.fetch_add(fields, Ordering::Relaxed);
            &tally.whole
        }
        Ok(None) => &tally.given_up,
        Err(status) => match (status.code(), kind) {
            (Code::InvalidArgument, Kind::NoImage) => &tally.wrong,
            (Code::DeadlineExceeded | Code::Cancelled, Kind::Late) => &tally.late,
            (Code::ResourceExhausted, _) => {
                // As it would have to: at once is how a client would make matters worse.
                tokio::time::sleep(Duration::from_millis(200)).await;
                &tally.refused
            }
            _ => panic!("{}: call {number}: {status:?}", scene.name),
        },
    };
    counter.fetch_add(1, Ordering::Relaxed);
}
