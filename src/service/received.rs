//! How many bytes of requests are in memory at once: those that arrive, that wait, and that run. The queue
//! bounds how many requests wait; a few large ones are as much as many small ones.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use http_body::Body as _;
use tonic::Status;
use tonic::body::Body;

use super::{body, error};

/// The bound, and what is used of it. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    used: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// What one call uses; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Received {
    memory: Memory,
    bytes: AtomicUsize,
    /// The body ended before the message that it had to bring.
    ended_early: AtomicBool,
}

/// How much has come of one message, and how long it is to be.
#[derive(Debug, Default)]
struct Message {
    /// Whether it is compressed, and its length: the first five bytes.
    prefix: Vec<u8>,
    bytes: u64,
}

// === impl Memory ===

impl Memory {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { used: Arc::default(), bytes_max }
    }

    /// An account for one call, or none where all is used already: then its first byte is not read.
    pub(super) fn open(&self) -> Result<Arc<Received>, Status> {
        let used = self.used.load(Ordering::Relaxed);
        if used >= self.bytes_max {
            return Err(error::too_much_received(self.bytes_max));
        }
        Ok(Arc::new(Received {
            memory: self.clone(),
            bytes: AtomicUsize::new(0),
            ended_early: AtomicBool::new(false),
        }))
    }

    fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= self.bytes_max;
        if !fits {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

// === impl Received ===

impl Received {
    /// Counts what `body` brings, which is one message unless it is a stream of them.
    pub(super) fn count(self: &Arc<Self>, body: Body, is_stream: bool) -> Body {
        // Of a call that has to bring one.
        let mut message = (!is_stream).then(Message::default);
        // One that has ended already may never be asked.
        self.ended_early.store(!is_stream && body.is_end_stream(), Ordering::Relaxed);
        let received = Arc::clone(self);
        body::through(body, move |inner, cx| {
            let polled = Pin::new(inner).poll_frame(cx);
            match &polled {
                Poll::Pending => return polled,
                Poll::Ready(Some(Ok(frame))) => {
                    let Some(data) = frame.data_ref() else {
                        received.ends(message.as_ref());
                        return polled;
                    };
                    if let Err(status) = received.take(data.len()) {
                        return Poll::Ready(Some(Err(status)));
                    }
                    if let Some(message) = &mut message {
                        message.came(data);
                    }
                }
                Poll::Ready(None | Some(Err(_))) => received.ends(message.as_ref()),
            }
            polled
        })
    }

    /// Nothing more comes of its body, which had to bring `message`.
    fn ends(&self, message: Option<&Message>) {
        let early = message.is_some_and(|message| !message.is_whole());
        self.ended_early.store(early, Ordering::Relaxed);
    }

    /// Whether the caller left before its message was whole. A stream that is reset looks like one that ends,
    /// and what tonic makes of that is a failure of the server.
    pub(super) fn ended_early(&self) -> bool {
        self.ended_early.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> Result<(), Status> {
        if !self.memory.take(bytes) {
            return Err(error::too_much_received(self.memory.bytes_max));
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// A message of so many bytes is not needed any more, though its call goes on.
    pub(super) fn give_back(&self, bytes: usize) {
        let counted = self.bytes.load(Ordering::Relaxed);
        // Encoded again it may be longer than it came.
        let bytes = bytes.min(counted);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.memory.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

// === impl Message ===

impl Message {
    const PREFIX_BYTES: usize = 5;

    fn came(&mut self, data: &[u8]) {
        let lacking = Self::PREFIX_BYTES - self.prefix.len();
        self.prefix.extend(data.iter().take(lacking));
        self.bytes += data.len() as u64;
    }

    fn is_whole(&self) -> bool {
        let &[_, a, b, c, d] = self.prefix.as_slice() else { return false };
        self.bytes >= Self::PREFIX_BYTES as u64 + u64::from(u32::from_be_bytes([a, b, c, d]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_with_its_last_byte() {
        let mut message = Message::default();
        for part in [&[0][..], &[0, 0, 0], &[3, b'a'], b"b"] {
            message.came(part);
            assert!(!message.is_whole(), "{message:?}");
        }
        message.came(b"c");
        assert!(message.is_whole());
        let mut empty = Message::default();
        empty.came(&[0; 5]);
        assert!(empty.is_whole());
    }

    #[test]
    fn what_is_used_is_given_back() {
        let memory = Memory::new(100);
        let (one, two) = (memory.open().unwrap(), memory.open().unwrap());
        one.take(60).unwrap();
        assert!(two.take(41).is_err(), "one byte too much, and none of them counts");
        two.take(40).unwrap();
        assert!(memory.open().is_err(), "nothing is left");
        drop(one);
        two.take(60).unwrap();
        two.give_back(30);
        assert_eq!(memory.used.load(Ordering::Relaxed), 70);
        two.give_back(1000);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0, "no more than came");
        two.take(5).unwrap();
        drop(two);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }
}
