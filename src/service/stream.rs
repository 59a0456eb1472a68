//! The response stream of one Extract call: the engine's events as messages, numbered without gaps,
//! never silent for long, ending exactly once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tonic::Status;

use super::field_trace::FieldTrace;
use super::generation::Generation;
use super::kind::{Begun, Pending};
use super::reading::{Brought, Form, Reading};
use super::{convert, error};
use crate::engine::{Done, EngineError, Event, Phase, Progress, Text};
use crate::fields::{Calibration, PageTexts};
use crate::limits;
use crate::pb::v1;
use crate::pb::v1::extract_response::Event as Message;

/// What a client asked to see of its answer.
#[derive(Debug, Clone)]
pub(super) struct Wishes {
    pub(super) tokens: bool,
    /// How probable each token was, beside its text.
    pub(super) logprobs: bool,
    pub(super) fields: bool,
    /// The answer should have these fields.
    pub(super) asked: Option<Form>,
    /// From how sure the model was to how often that is right.
    pub(super) calibration: Option<Arc<Calibration>>,
    /// Longest silence.
    pub(super) heartbeat: Duration,
}

/// Messages of one call. Dropping it drops `events`, which cancels the request.
pub(super) struct Answer<E> {
    events: E,
    /// Sent before any event.
    accepted: Option<v1::Accepted>,
    /// Dropped before `generation`, whose span says whether spans of fields were lost.
    fields: FieldTrace,
    generation: Generation,
    wishes: Wishes,
    /// The request for the fields, while the kind of the document is asked for.
    pending: Option<Pending<E>>,
    /// How the request for the fields was refused, or why the answer cannot go on.
    refused: Option<Status>,
    /// None where nobody wants fields.
    reading: Option<Reading>,
    /// By which the page that a field is from is known.
    pages: Arc<PageTexts>,
    /// Messages that one event made; no other event is taken before they are sent.
    ready: VecDeque<Message>,
    /// Of the message sent last.
    sequence: u64,
    /// What a heartbeat says.
    progress: Progress,
    /// Of the prompt that `progress` is about; 0 until they are counted.
    input_tokens: usize,
    silence: Pin<Box<Sleep>>,
    ended: bool,
}

/// Of a request that was just taken.
const NO_PROGRESS: Progress = Progress {
    phase: Phase::Queued,
    queue_position: None,
    encoded_tiles: 0,
    prefilled_tokens: 0,
    output_tokens: 0,
};

/// Why `message` cannot be sent: clients would end the call without a word about the answer.
fn too_large(message: &Message) -> Option<Status> {
    let bytes = message.encoded_len();
    (bytes > limits::EVENT_BYTES_MAX).then(|| error::answer_too_large(bytes))
}

impl<E> Answer<E> {
    pub(super) fn new(
        (accepted, pages): (v1::Accepted, PageTexts),
        (events, pending): (E, Option<Pending<E>>),
        mut generation: Generation,
        wishes: Wishes,
    ) -> Self {
        let (pages, input_tokens) = (Arc::new(pages), accepted.input_tokens as usize);
        let (asked, calibration) = (wishes.asked.clone(), wishes.calibration.clone());
        Self {
            fields: generation.take_fields(),
            events,
            accepted: Some(accepted),
            pending,
            refused: None,
            generation,
            reading: (wishes.fields || wishes.asked.is_some())
                .then(|| Reading::new(asked, calibration, Arc::clone(&pages))),
            pages,
            ready: VecDeque::new(),
            sequence: 0,
            progress: NO_PROGRESS,
            input_tokens,
            silence: Box::pin(tokio::time::sleep(wishes.heartbeat)),
            wishes,
            ended: false,
        }
    }

    /// Makes the messages of `event` that the client wants.
    fn take(&mut self, event: Event) {
        match event {
            // The client has had its `accepted`: this is of the question for the fields, whose kind is known now.
            Event::Accepted(accepted) => self.input_tokens = accepted.input_tokens,
            Event::Progress(progress) => {
                // Counting again from the texts: an event may have been made before they were sent.
                let output_tokens = self.progress.output_tokens.max(progress.output_tokens);
                self.progress = Progress { output_tokens, ..progress };
                self.note_progress();
                self.ready.push_back(self.progress_message());
            }
            Event::Text(text) => self.text(text),
            Event::Done(done) => self.done(done),
        }
    }

    fn text(&mut self, text: Text) {
        self.progress.phase = Phase::Decode;
        self.progress.queue_position = None;
        self.progress.output_tokens += text.tokens;
        self.note_progress();
        if let Some(pending) = &mut self.pending {
            pending.push(&text.scores);
            return;
        }
        let brought = self.reading.as_mut().map(|reading| reading.push(&text));
        self.fields.answered(text.text.len(), text.tokens);
        self.fields.note(brought.as_deref().unwrap_or_default());
        if self.wishes.tokens {
            self.ready
                .push_back(Message::TokenDelta(convert::token_delta(text, self.wishes.logprobs)));
        }
        if self.wishes.fields {
            for Brought { message, .. } in brought.into_iter().flatten() {
                if let Some(status) = too_large(&message) {
                    self.refused = Some(status);
                    return;
                }
                self.ready.push_back(message);
            }
        }
    }

    /// The kind of the document is known: asks for its fields.
    fn begin(&mut self, pending: Pending<E>, done: &Done) {
        let begun = match pending.found(done) {
            Some(found) => pending.begin(found.kind).map(|begun| (found, begun)),
            None => Err(error::no_kind(&done.text)),
        };
        match begun {
            Ok((found, Begun { events, asked, template })) => {
                self.events = events;
                (self.progress, self.input_tokens) = (NO_PROGRESS, 0);
                let calibration = self.wishes.calibration.clone();
                self.reading =
                    Some(Reading::new(Some(asked), calibration, Arc::clone(&self.pages)));
                self.ready.push_back(Message::DocumentType(v1::DocumentTypeFound {
                    document_type: convert::document_type(found.kind).into(),
                    confidence: found.confidence,
                    usage: Some(convert::usage(done.usage)),
                    prompt_template: template,
                }));
            }
            Err(status) => self.refused = Some(status),
        }
    }

    fn done(&mut self, done: Done) {
        if let Some(pending) = self.pending.take() {
            return self.begin(pending, &done);
        }
        let begin = std::time::Instant::now();
        let mut read = self.reading.take().map(|reading| reading.finish(&done));
        let late = read.as_mut().map(|read| std::mem::take(&mut read.late)).unwrap_or_default();
        self.fields.note(&late);
        let completed = convert::completed(&done, read);
        self.fields.finalised(begin);
        let completed = Message::Completed(completed);
        // It has each field again, so none of those is larger.
        if let Some(status) = too_large(&completed) {
            self.refused = Some(status);
            return;
        }
        self.ended = true;
        self.generation.done(&done);
        if self.wishes.fields {
            self.ready.extend(late.into_iter().map(|brought| brought.message));
        }
        self.ready.push_back(completed);
    }

    fn failed(&mut self, error: &EngineError) -> Status {
        self.ended = true;
        self.generation.failed(error)
    }

    fn note_progress(&self) {
        let Progress { phase, output_tokens, .. } = self.progress;
        self.generation.call().note(|record| {
            record.phase = Some(convert::phase_name(phase));
            record.output_tokens = Some(output_tokens);
        });
    }

    fn progress_message(&self) -> Message {
        let received = self.generation.call().received;
        Message::Progress(convert::progress(&self.progress, self.input_tokens, received))
    }

    /// Numbers a message and starts the silence anew.
    fn send(&mut self, message: Message) -> v1::ExtractResponse {
        self.sequence += 1;
        self.silence.as_mut().reset(Instant::now() + self.wishes.heartbeat);
        v1::ExtractResponse { sequence: self.sequence, event: Some(message) }
    }
}

impl<E> Stream for Answer<E>
where
    E: Stream<Item = Result<Event, EngineError>> + Unpin,
{
    type Item = Result<v1::ExtractResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(accepted) = this.accepted.take() {
            return Poll::Ready(Some(Ok(this.send(Message::Accepted(accepted)))));
        }
        loop {
            if let Some(message) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(this.send(message))));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            if let Some(status) = this.refused.take() {
                this.ended = true;
                return Poll::Ready(Some(Err(this.generation.refused(status))));
            }
            match Pin::new(&mut this.events).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => this.take(event),
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(this.failed(&error))));
                }
                // The engine went away without a word: never mistake that for success.
                Poll::Ready(None) => {
                    return Poll::Ready(Some(Err(this.failed(&EngineError::Stopped))));
                }
                Poll::Pending => {
                    if this.silence.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let message = this.progress_message();
                    return Poll::Ready(Some(Ok(this.send(message))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
