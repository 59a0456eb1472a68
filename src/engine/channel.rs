//! The way of one request's events from the engine to its reader: bounded, and never in the step's
//! way.
//!
//! When the reader is slower than the model, pieces of text are joined until there is room again,
//! and after [`JOINED_TOKENS_MAX`] tokens the request is paused. Room for the last piece and for the
//! terminal result is reserved from the start, so that a request ends, and frees its slot, whatever
//! its reader does.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio_stream::Stream;

use crate::engine::answer::Piece;
use crate::engine::inbox::Inbox;
use crate::engine::intake::Intake;
use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::{Accepted, Done, EngineError, Event, Progress, Text};
use crate::limits::JOINED_TOKENS_MAX;

type Item = Result<Event, EngineError>;

/// Who is to know when a reader took something or left.
#[derive(Debug, Clone)]
pub(super) struct Bell {
    pub(super) inbox: Arc<Inbox>,
    pub(super) intake: Arc<Intake>,
}

impl Bell {
    /// Lets the threads end once they have finished what they were given.
    pub(super) fn retire(&self) {
        self.inbox.retire();
        self.intake.retire();
    }
}

/// The events of one request, in order. Dropping it cancels the request.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Item>,
    reader: Arc<Reader>,
    bell: Bell,
    ended: bool,
}

/// What both ends know of the reader.
#[derive(Debug, Default)]
struct Reader {
    /// The engine waits for room.
    full: AtomicBool,
    /// When it left before the end.
    left: OnceLock<Instant>,
}

/// The engine's end.
#[derive(Debug)]
pub(super) struct Outlet {
    sender: mpsc::Sender<Item>,
    /// For the last piece and the terminal result; none once it is sent.
    reserved: Option<[OwnedPermit<Item>; 2]>,
    reader: Arc<Reader>,
    /// The reader took nothing since.
    blocked_since: Option<Instant>,
    waiting: Option<Progress>,
    joined: Piece,
}

/// An outlet and the reader of its events, `buffered` of which may wait beside the last two.
pub(super) fn channel(buffered: usize, bell: Bell) -> (Outlet, Events) {
    let (sender, receiver) = mpsc::channel(buffered.max(1) + 2);
    let reader = Arc::new(Reader::default());
    let reserve = || sender.clone().try_reserve_owned().ok();
    let outlet = Outlet {
        reserved: reserve().zip(reserve()).map(<[_; 2]>::from),
        sender,
        reader: Arc::clone(&reader),
        blocked_since: None,
        waiting: None,
        joined: Piece::default(),
    };
    (outlet, Events { receiver, reader, bell, ended: false })
}

// === impl Outlet ===

impl Outlet {
    /// Whether the reader left.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// How long ago the reader left.
    pub(super) fn left_for(&self) -> Option<Duration> {
        self.reader.left.get().map(Instant::elapsed)
    }

    pub(super) fn accepted(&mut self, accepted: Accepted, now: Instant) {
        self.send(Event::Accepted(accepted), now);
    }

    /// Only the newest progress waits for a slow reader.
    pub(super) fn progress(&mut self, progress: Progress, now: Instant) {
        self.waiting = Some(progress);
        self.flush(now);
    }

    pub(super) fn piece(&mut self, piece: &Piece, now: Instant) {
        self.joined.text.push_str(&piece.text);
        self.joined.tokens += piece.tokens;
        self.joined.scores.extend_from_slice(&piece.scores);
        self.flush(now);
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn flush(&mut self, now: Instant) {
        if let Some(progress) = self.waiting
            && self.send(Event::Progress(progress), now)
        {
            self.waiting = None;
        }
        if self.waiting.is_none()
            && let Some(text) = self.take_joined()
            && !self.send(Event::Text(text.clone()), now)
        {
            let Text { text, tokens, scores } = text;
            self.joined = Piece { text, tokens, scores };
        }
    }

    /// Whether the reader is so far behind that the request must stand still.
    pub(super) fn must_pause(&self) -> bool {
        self.joined.tokens >= JOINED_TOKENS_MAX
    }

    /// Since when the reader, with a full buffer before it, took nothing.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Sends what waits and the terminal result, for which there is always room.
    pub(super) fn finish(&mut self, result: Result<Done, EngineError>) {
        let Some([piece, last]) = self.reserved.take() else {
            check_invariant!(InvariantId::OneTerminal, self.is_closed(), "a second {result:?}");
            return;
        };
        if let Some(text) = self.take_joined() {
            piece.send(Ok(Event::Text(text)));
        }
        last.send(result.map(Event::Done));
    }

    fn take_joined(&mut self) -> Option<Text> {
        if self.joined.text.is_empty() {
            return None;
        }
        let Piece { text, tokens, scores } = std::mem::take(&mut self.joined);
        Some(Text { text, tokens, scores })
    }

    fn send(&mut self, event: Event, now: Instant) -> bool {
        let Err(error) = self.sender.try_send(Ok(event)) else {
            self.blocked_since = None;
            return true;
        };
        if let TrySendError::Full(event) = error {
            // The reader looks at `full` after it took something: either it sees it now, or the
            // second attempt finds the room that it made.
            self.reader.full.store(true, Ordering::SeqCst);
            if self.sender.try_send(event).is_ok() {
                self.blocked_since = None;
                return true;
            }
            self.blocked_since.get_or_insert(now);
        }
        false
    }
}

// === impl Events ===

impl Events {
    /// The next event; none after the terminal one. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Result<Event, EngineError>> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`recv`](Self::recv), for hand-written futures.
    pub fn poll_recv(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, EngineError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = ready!(self.receiver.poll_recv(context));
        Poll::Ready(Some(self.taken(item)))
    }

    #[cfg(test)]
    pub(super) fn try_recv(&mut self) -> Option<Result<Event, EngineError>> {
        match self.receiver.try_recv() {
            _ if self.ended => None,
            Ok(item) => Some(self.taken(Some(item))),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => Some(self.taken(None)),
        }
    }

    fn taken(&mut self, item: Option<Item>) -> Item {
        if self.reader.full.swap(false, Ordering::SeqCst) {
            self.bell.inbox.wake();
        }
        // A channel that closes without a result: the engine ended before the request did.
        let item = item.unwrap_or(Err(EngineError::Stopped));
        self.ended = matches!(item, Ok(Event::Done(_)) | Err(_));
        item
    }
}

impl Stream for Events {
    type Item = Result<Event, EngineError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_recv(context)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.reader.left.set(Instant::now());
        }
        // First, so that whoever is woken sees it.
        self.receiver.close();
        if !self.ended {
            self.bell.intake.forget_unread();
            self.bell.inbox.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{FinishReason, Timings, Usage};

    /// The end of an answer lets out what might have become a stop text: no token is left to count with it.
    #[test]
    fn text_without_a_token_of_its_own_is_sent() {
        let bell = Bell { inbox: Arc::default(), intake: Arc::new(Intake::new(1)) };
        let (mut outlet, mut events) = channel(4, bell);
        let piece =
            |text: &str, tokens| Piece { text: text.to_owned(), tokens, scores: Vec::new() };
        outlet.piece(&piece("x", 1), Instant::now());
        outlet.piece(&piece("\n", 0), Instant::now());
        outlet.finish(Ok(Done {
            finish_reason: FinishReason::Stop,
            text: "x\n".to_owned(),
            usage: Usage::default(),
            timings: Timings::default(),
        }));
        let mut text = String::new();
        while let Some(event) = events.try_recv() {
            match event.unwrap() {
                Event::Text(piece) => text.push_str(&piece.text),
                Event::Done(done) => assert_eq!(done.text, text),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(text, "x\n");
    }
}
