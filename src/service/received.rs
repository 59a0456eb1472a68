//! How many bytes of requests are in memory at once: those that arrive, that wait, and that run. The queue
//! bounds how many requests wait; a few large ones are as much as many small ones.
//!
//! Each byte is on a [`Lease`] from its arrival on, and the lease goes where the bytes go: that of a message's
//! files with their contents, wherever those are held and for as long; that of the rest with the call or the
//! document that it asks for.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use http_body::Body as _;
use tonic::Status;
use tonic::body::Body;

use super::outline::{self, Outline};
use super::pace::{Pace, Pending};
use super::{body, error};
use crate::limits;
use crate::pb::v1;

/// The bound, and what is used of it. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    used: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// Bytes of the memory; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    memory: Memory,
    bytes: usize,
}

/// What one message of a call uses.
#[derive(Debug)]
pub(super) struct Message {
    files: Lease,
    /// All else, and the frame around it.
    rest: Lease,
}

/// What has come of one call.
#[derive(Debug)]
pub(super) struct Received {
    memory: Memory,
    /// Those that are whole and that no handler has asked for, in order.
    messages: Mutex<VecDeque<Message>>,
    /// The body ended before the message that it had to bring.
    ended_early: AtomicBool,
}

/// The messages of one body on their way.
#[derive(Debug)]
struct Arriving {
    received: Arc<Received>,
    /// Whether they are many. Of others the first one counts.
    is_stream: bool,
    whole: usize,
    frame: Frame,
    pending: Pending,
}

/// One message, as far as it has come.
#[derive(Debug)]
struct Frame {
    /// Whether it is compressed, and its length: the first five bytes.
    prefix: Vec<u8>,
    /// Bytes behind the prefix that have not come.
    lacking: usize,
    outline: Outline,
    message: Message,
}

/// The content of a file, and what it uses.
struct Leased {
    content: Bytes,
    /// Of all files that came in one message, whose contents are one piece of memory; or of one that was fetched.
    _lease: Arc<Lease>,
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
            messages: Mutex::default(),
            ended_early: AtomicBool::new(false),
        }))
    }

    pub(super) fn lease(&self) -> Lease {
        Lease { memory: self.clone(), bytes: 0 }
    }
}

// === impl Lease ===

impl Lease {
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Status> {
        let Memory { used, bytes_max } = &self.memory;
        let before = used.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > *bytes_max {
            used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(error::too_much_received(*bytes_max));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// The same bytes, which count for as long as anybody holds them.
    pub(super) fn with(self, content: Bytes) -> Bytes {
        Bytes::from_owner(Leased { content, _lease: Arc::new(self) })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

// === impl Message ===

impl Message {
    /// Has the files' bytes counted for as long as anybody holds them. The rest is for whoever answers
    /// `request` to keep.
    pub(super) fn follow(self, request: &mut v1::ExtractRequest) -> Lease {
        let files = Arc::new(self.files);
        for file in request.files.iter_mut().filter(|file| !file.content.is_empty()) {
            let content = std::mem::take(&mut file.content);
            file.content = Bytes::from_owner(Leased { content, _lease: Arc::clone(&files) });
        }
        self.rest
    }
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

// === impl Received ===

impl Received {
    /// Counts what `body` brings, which is one message unless it is a stream of them, and bounds all that is
    /// no file in each, and the time that each takes.
    pub(super) fn count(self: &Arc<Self>, body: Body, is_stream: bool, pace: Pace) -> Body {
        let mut arriving = Arriving::new(Arc::clone(self), is_stream, pace);
        // One that has ended already may never be asked.
        if body.is_end_stream() {
            arriving.ends();
        }
        body::through(body, move |inner, cx| {
            let polled = Pin::new(inner).poll_frame(cx);
            match &polled {
                Poll::Pending => return arriving.pending.poll_late(cx).map(|late| Some(Err(late))),
                Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                    Some(data) => {
                        if let Err(status) = arriving.came(data) {
                            return Poll::Ready(Some(Err(status)));
                        }
                    }
                    None => arriving.ends(),
                },
                Poll::Ready(None | Some(Err(_))) => arriving.ends(),
            }
            polled
        })
    }

    /// The account of the next message that its handler reads.
    pub(super) fn next_message(&self) -> Option<Message> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// An account for what comes otherwise than in a message.
    pub(super) fn lease(&self) -> Lease {
        self.memory.lease()
    }

    /// Whether the caller left before its message was whole. A stream that is reset looks like one that ends,
    /// and what tonic makes of that is a failure of the server.
    pub(super) fn ended_early(&self) -> bool {
        self.ended_early.load(Ordering::Relaxed)
    }
}

// === impl Arriving ===

impl Arriving {
    fn new(received: Arc<Received>, is_stream: bool, pace: Pace) -> Self {
        let frame = Frame::new(&received.memory, is_stream);
        let mut pending = Pending::new(pace);
        if !is_stream {
            // One message has to come, and nothing is answered before the body ends behind it.
            pending.goes_on();
        }
        Self { received, is_stream, whole: 0, frame, pending }
    }

    /// Takes the next bytes of the body.
    fn came(&mut self, mut data: &[u8]) -> Result<(), Status> {
        if data.is_empty() {
            return Ok(());
        }
        while !data.is_empty() {
            data = self.frame.came(data)?;
            if self.frame.is_whole() {
                let next = Frame::new(&self.received.memory, self.is_stream);
                let Frame { message, .. } = std::mem::replace(&mut self.frame, next);
                self.whole += 1;
                if self.is_stream {
                    self.pending.is_whole();
                }
                // Whatever follows the one message of a call is decoded and dropped.
                if self.is_stream || self.whole == 1 {
                    let messages = &self.received.messages;
                    messages.lock().unwrap_or_else(PoisonError::into_inner).push_back(message);
                }
            }
        }
        if !self.is_stream || self.frame.has_begun() {
            self.pending.goes_on();
        }
        Ok(())
    }

    /// Nothing more comes.
    fn ends(&self) {
        let early = !self.is_stream && self.whole == 0;
        self.received.ended_early.store(early, Ordering::Relaxed);
    }
}

// === impl Frame ===

impl Frame {
    const PREFIX_BYTES: usize = 5;

    fn new(memory: &Memory, is_stream: bool) -> Self {
        let path = if is_stream { outline::BATCH } else { outline::EXTRACT };
        Self {
            prefix: Vec::with_capacity(Self::PREFIX_BYTES),
            lacking: 0,
            outline: Outline::new(path),
            message: Message { files: memory.lease(), rest: memory.lease() },
        }
    }

    /// Takes what is of this message; gives back what follows.
    fn came<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], Status> {
        let in_prefix = data.len().min(Self::PREFIX_BYTES - self.prefix.len());
        let (prefix, data) = data.split_at(in_prefix);
        if !prefix.is_empty() {
            self.message.rest.grow(prefix.len())?;
            self.prefix.extend_from_slice(prefix);
            if let &[_, a, b, c, d] = self.prefix.as_slice() {
                self.lacking = u32::from_be_bytes([a, b, c, d]) as usize;
            }
        }
        let (data, following) = data.split_at(data.len().min(self.lacking));
        self.lacking -= data.len();
        // Compressed messages are refused by whoever decodes them.
        let besides = if self.prefix.first() == Some(&0) { self.outline.take(data) } else { 0 };
        if self.outline.besides() > limits::REQUEST_BESIDES_FILES_BYTES_MAX {
            return Err(error::too_much_besides_files(self.outline.field()));
        }
        self.message.rest.grow(besides)?;
        self.message.files.grow(data.len() - besides)?;
        Ok(following)
    }

    fn has_begun(&self) -> bool {
        !self.prefix.is_empty()
    }

    fn is_whole(&self) -> bool {
        self.prefix.len() == Self::PREFIX_BYTES && self.lacking == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    fn used(memory: &Memory) -> usize {
        memory.used.load(Ordering::Relaxed)
    }

    fn arrives(received: Arc<Received>, is_stream: bool) -> Arriving {
        let pace =
            Pace { silence_max: Duration::from_secs(30), message_max: Duration::from_mins(10) };
        Arriving::new(received, is_stream, pace)
    }

    fn framed(message: &impl prost::Message) -> Vec<u8> {
        let message = message.encode_to_vec();
        [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat()
    }

    fn request(files: &[usize]) -> v1::ExtractRequest {
        let file = |bytes: &usize| v1::InputFile {
            content: Bytes::from(vec![b'x'; *bytes]),
            ..Default::default()
        };
        v1::ExtractRequest { files: files.iter().map(file).collect(), ..Default::default() }
    }

    fn extract(request: v1::ExtractRequest) -> v1::BatchExtractRequest {
        use v1::batch_extract_request::Message;
        v1::BatchExtractRequest { message: Some(Message::Extract(request)) }
    }

    #[test]
    fn a_message_is_whole_with_its_last_byte() {
        let received = Memory::new(100).open().unwrap();
        let mut arriving = arrives(Arc::clone(&received), false);
        for part in [&[0][..], &[0, 0, 0], &[3, b'a'], b"b"] {
            arriving.came(part).unwrap();
            arriving.ends();
            assert!(received.ended_early(), "{arriving:?}");
        }
        arriving.came(b"c").unwrap();
        arriving.ends();
        assert!(!received.ended_early());
        let mut empty = arrives(Arc::clone(&received), false);
        empty.came(&[0; 5]).unwrap();
        assert_eq!(empty.whole, 1);
    }

    #[test]
    fn what_is_used_is_given_back() {
        let memory = Memory::new(100);
        let (mut one, mut two) = (memory.lease(), memory.lease());
        one.grow(60).unwrap();
        assert!(two.grow(41).is_err(), "one byte too much, and none of them counts");
        two.grow(40).unwrap();
        assert!(memory.open().is_err(), "nothing is left");
        drop(one);
        two.grow(60).unwrap();
        drop(two);
        assert_eq!(used(&memory), 0);
    }

    #[test]
    fn files_count_as_long_as_anybody_holds_them() {
        let memory = Memory::new(10_000);
        let received = memory.open().unwrap();
        let mut request = request(&[1000, 2000]);
        let frame = framed(&request);
        arrives(Arc::clone(&received), false).came(&frame).unwrap();
        assert_eq!(used(&memory), frame.len());
        let rest = received.next_message().unwrap().follow(&mut request);
        let held = request.files[1].content.slice(1999..);
        assert_eq!((held[0], request.files[0].content.len()), (b'x', 1000));
        drop(request);
        assert_eq!(used(&memory), frame.len(), "one file is held");
        drop(held);
        assert_eq!(used(&memory), frame.len() - 3000);
        drop(rest);
        assert_eq!(used(&memory), 0);
    }

    #[test]
    fn a_batch_gives_back_every_byte_of_a_message() {
        use v1::batch_extract_request::Message;

        let memory = Memory::new(10_000);
        let received = memory.open().unwrap();
        let mut arriving = arrives(Arc::clone(&received), true);
        let cancel = Message::CancelRequestId("a".repeat(100));
        let cancel = framed(&v1::BatchExtractRequest { message: Some(cancel) });
        // A field that is of no message here.
        let unknown = [&[0, 0, 0, 0, 4][..], &[0xFA, 0x01, 1, b'?']].concat();
        let stream = [cancel, unknown, framed(&extract(request(&[500])))].concat();
        for _ in 0..1000 {
            for part in stream.chunks(7) {
                arriving.came(part).unwrap();
            }
            assert_eq!(used(&memory), stream.len());
            for _ in 0..3 {
                drop(received.next_message().unwrap());
            }
            assert_eq!(used(&memory), 0);
        }
        assert!(received.next_message().is_none());
    }

    #[test]
    fn what_follows_the_one_message_of_a_call_is_not_kept() {
        let memory = Memory::new(1000);
        let received = memory.open().unwrap();
        let mut arriving = arrives(Arc::clone(&received), false);
        let frame = framed(&request(&[100]));
        for _ in 0..100 {
            arriving.came(&frame).unwrap();
            assert_eq!(used(&memory), frame.len());
        }
    }

    #[test]
    fn all_but_files_has_a_bound() {
        let most = limits::REQUEST_BESIDES_FILES_BYTES_MAX;
        let memory = Memory::new(usize::MAX / 2);
        let large = request(&[4 * most]);
        arrives(memory.open().unwrap(), false).came(&framed(&large)).unwrap();
        // The longest schema and prompt that are taken, with as many files as are.
        let schema = v1::ExtractionSchema {
            source: Some(v1::extraction_schema::Source::JsonSchema(
                "x".repeat(limits::SCHEMA_BYTES_MAX),
            )),
            instructions: "x".repeat(limits::PROMPT_BYTES_MAX),
            ..Default::default()
        };
        let longest = v1::ExtractRequest {
            task: Some(v1::extract_request::Task::Schema(schema)),
            ..request(&[most; limits::PAGES_MAX])
        };
        arrives(memory.open().unwrap(), true).came(&framed(&extract(longest))).unwrap();
        let many = v1::ExtractRequest {
            files: vec![v1::InputFile::default(); most / 2 + 1],
            ..Default::default()
        };
        for (frame, is_stream) in [(framed(&many), false), (framed(&extract(many)), true)] {
            let mut arriving = arrives(memory.open().unwrap(), is_stream);
            let status = frame.chunks(16_384).find_map(|part| arriving.came(part).err()).unwrap();
            assert_eq!(status.code(), Code::InvalidArgument);
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.reason, "LIMIT_EXCEEDED");
            assert_eq!(info.metadata["limit_value"], most.to_string());
            let violations = status.get_details_bad_request().unwrap().field_violations;
            assert_eq!(violations[0].field, "files");
        }
        assert_eq!(used(&memory), 0);
    }
}
