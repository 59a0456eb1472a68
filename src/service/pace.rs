//! How long a message may take to come: what has come of it is in memory, and whoever sends a byte now and
//! then, or none any more, would keep it there for ever.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tonic::Status;

use super::error;

/// The bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Without a byte, in the middle of a message.
    pub(super) silence_max: Duration,
    /// From its first byte to its last, however steadily they come.
    pub(super) message_max: Duration,
}

/// The message that comes now, as to its time. Between two messages of a stream there is none.
#[derive(Debug)]
pub(super) struct Pending {
    pace: Pace,
    began: Option<Instant>,
    last: Instant,
    /// At the earliest when it is too late; made when it is first waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pending {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, began: None, last: Instant::now(), timer: None }
    }

    /// Something of a message came, or is to come from now on.
    pub(super) fn goes_on(&mut self) {
        self.last = Instant::now();
        self.began.get_or_insert(self.last);
    }

    /// The message is whole, and another may take its time to begin.
    pub(super) fn is_whole(&mut self) {
        self.began = None;
    }

    /// Ready with the status that ends the call, once the rest is too late. To be asked when there is nothing of
    /// it to read: who does not read in time is not the sender.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let Self { pace: Pace { silence_max, message_max }, began, last, timer } = self;
        let Some(began) = *began else { return Poll::Pending };
        let (silent, too_long) = (*last + *silence_max, began + *message_max);
        let late = silent.min(too_long);
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(late)));
        // It moves only when it has run out: bytes come far more often.
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= late {
                return Poll::Ready(if silent <= too_long {
                    error::silent(*silence_max)
                } else {
                    error::too_slow(*message_max)
                });
            }
            timer.as_mut().reset(late);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The bound that ends it, and after how long, where a byte comes each `every`.
    async fn ends(pending: &mut Pending, every: Duration) -> (String, Duration) {
        let began = Instant::now();
        loop {
            let late = poll_fn(|cx| pending.poll_late(cx));
            let Ok(status) = tokio::time::timeout(every, late).await else {
                pending.goes_on();
                continue;
            };
            assert_eq!(status.code(), Code::DeadlineExceeded);
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.reason, "MESSAGE_TIMEOUT");
            return (info.metadata["limit"].clone(), began.elapsed());
        }
    }

    #[tokio::test]
    async fn silence_and_dripping_have_their_ends() {
        let long = Duration::from_mins(1);
        for (silence_max, message_max, named) in
            [(ms(100), long, "receive_timeout_ms"), (long, ms(100), "message_ms")]
        {
            let mut pending = Pending::new(Pace { silence_max, message_max });
            pending.goes_on();
            let every = if silence_max < long { long } else { ms(5) };
            let (limit, took) = ends(&mut pending, every).await;
            assert_eq!(limit, named);
            assert!(took >= ms(100), "{took:?}");
        }
    }

    #[tokio::test]
    async fn between_messages_there_is_all_the_time_in_the_world() {
        let mut pending = Pending::new(Pace { silence_max: ms(50), message_max: ms(50) });
        for _ in 0..3 {
            let late = poll_fn(|cx| pending.poll_late(cx));
            assert!(tokio::time::timeout(ms(150), late).await.is_err());
            pending.goes_on();
            // Another one has its own time, whatever the one before took.
            assert!(poll_fn(|cx| Poll::Ready(pending.poll_late(cx).is_pending())).await);
            pending.is_whole();
        }
        pending.goes_on();
        ends(&mut pending, ms(1000)).await;
    }
}
