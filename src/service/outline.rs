//! How much of a request is anything but the contents of its files, told while it arrives.
//!
//! Decoded, two bytes of a message can become a struct of more than a hundred, where a file stays as long as
//! it came. So all but files has a bound of its own, which is kept before anything is decoded.

use crate::limits::{DECODED_BYTES_PER_BYTE_MAX, PROTO_ITEM_BYTES_MIN};
use crate::pb::v1;

/// Field numbers that lead from a message to the contents of its files.
pub(super) type Path = &'static [u64];

/// `ExtractRequest.files`, `InputFile.content`
pub(super) const EXTRACT: Path = &[3, 1];
/// `BatchExtractRequest.extract`, and on as `EXTRACT`.
pub(super) const BATCH: Path = &[1, 3, 1];

// What a repeated field makes of its shortest item.
const _: () = {
    let most = PROTO_ITEM_BYTES_MIN * DECODED_BYTES_PER_BYTE_MAX;
    assert!(size_of::<v1::FieldSpec>() <= most && size_of::<v1::InputFile>() <= most);
    assert!(size_of::<String>() <= most);
};

/// One message, as far as it has come.
#[derive(Debug)]
pub(super) struct Outline {
    path: Path,
    /// Bytes that came.
    position: u64,
    /// Where each message on the path ends that the position is in, the outermost first.
    ends: Vec<u64>,
    at: At,
    /// The number that is being read, and how many bits of it are there.
    number: (u64, u32),
    besides: u64,
    /// Field of the `ExtractRequest` that the position is in, or was last.
    field: u64,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum At {
    Tag,
    /// The length of a field of this number.
    Length(u64),
    /// A number that is a value.
    Value,
    /// What counts or does not, up to this position.
    Bytes {
        until: u64,
        counts: bool,
    },
    /// Nothing that can be followed: all of it counts.
    Astray,
}

// === impl Outline ===

impl Outline {
    pub(super) fn new(path: Path) -> Self {
        Self {
            path,
            position: 0,
            ends: Vec::new(),
            at: At::Tag,
            number: (0, 0),
            besides: 0,
            field: 0,
        }
    }

    /// Takes what comes next; says how many of these bytes are anything but contents of files.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> usize {
        let before = self.besides;
        while let Some((byte, rest)) = bytes.split_first() {
            match self.at {
                At::Bytes { until, counts } => {
                    let passed = bytes.len().min((until - self.position) as usize);
                    self.pass(passed as u64, counts);
                    if self.position == until {
                        self.field_ends();
                    }
                    bytes = &bytes[passed..];
                }
                At::Astray => {
                    self.pass(bytes.len() as u64, true);
                    break;
                }
                At::Tag | At::Length(_) | At::Value => {
                    self.pass(1, true);
                    self.digit(*byte);
                    bytes = rest;
                }
            }
        }
        (self.besides - before) as usize
    }

    /// All that came so far but contents of files.
    pub(super) fn besides(&self) -> usize {
        self.besides as usize
    }

    /// The field of the `ExtractRequest` that came last.
    pub(super) fn field(&self) -> &'static str {
        match self.field {
            1 => "request_id",
            2 => "model",
            3 => "files",
            4 => "schema",
            5 => "prompt",
            6 => "generation",
            7 => "event_kinds",
            8 => "priority",
            _ => "request",
        }
    }

    fn pass(&mut self, bytes: u64, counts: bool) {
        self.position += bytes;
        if counts {
            self.besides += bytes;
        }
    }

    /// Seven bits of a number, the lowest first; the highest bit says that more follow.
    fn digit(&mut self, byte: u8) {
        let (number, bits) = self.number;
        if bits >= u64::BITS {
            self.at = At::Astray;
            return;
        }
        let number = number | (u64::from(byte & 0x7F) << bits);
        if byte & 0x80 != 0 {
            self.number = (number, bits + 7);
            return;
        }
        self.number = (0, 0);
        match self.at {
            At::Tag => self.tag(number),
            At::Length(field) => self.length(field, number),
            _ => self.field_ends(),
        }
    }

    fn tag(&mut self, tag: u64) {
        let (field, wire_type) = (tag >> 3, tag & 7);
        // The request is what the last but one number of the path is a field of.
        if self.ends.len() + 2 == self.path.len() {
            self.field = field;
        }
        match wire_type {
            0 => self.at = At::Value,
            1 => self.bytes(8, true),
            2 => self.at = At::Length(field),
            5 => self.bytes(4, true),
            // Groups are of no message here.
            _ => self.at = At::Astray,
        }
    }

    fn length(&mut self, field: u64, length: u64) {
        let depth = self.ends.len();
        if self.path.get(depth) != Some(&field) {
            self.bytes(length, true);
        } else if depth + 1 == self.path.len() {
            self.bytes(length, false);
        } else if let Some(end) = self.end_after(length) {
            self.ends.push(end);
            // It may be empty.
            self.field_ends();
        }
    }

    fn bytes(&mut self, length: u64, counts: bool) {
        if let Some(until) = self.end_after(length) {
            self.at = At::Bytes { until, counts };
            if until == self.position {
                self.field_ends();
            }
        }
    }

    /// The position so many bytes on; none where that is beyond what these bytes are in.
    fn end_after(&mut self, length: u64) -> Option<u64> {
        let outer = self.ends.last().copied().unwrap_or(u64::MAX);
        let end = self.position.checked_add(length).filter(|end| *end <= outer);
        if end.is_none() {
            self.at = At::Astray;
        }
        end
    }

    /// A field is over, and with it each message that ends here.
    fn field_ends(&mut self) {
        self.at = At::Tag;
        while let Some(end) = self.ends.last() {
            if *end > self.position {
                return;
            }
            if *end < self.position {
                self.at = At::Astray;
                return;
            }
            self.ends.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::pb::v1::batch_extract_request::Message;
    use crate::pb::v1::extract_request::Task;

    fn request(files: &[usize], prompt: &str) -> v1::ExtractRequest {
        let file = |bytes: &usize| v1::InputFile {
            content: Bytes::from(vec![0xFF; *bytes]),
            pages: vec![1, 2, 300],
            dpi: Some(200),
            uri: String::new(),
        };
        v1::ExtractRequest {
            request_id: "a".to_owned(),
            files: files.iter().map(file).collect(),
            task: Some(Task::Prompt(prompt.to_owned())),
            ..Default::default()
        }
    }

    fn besides(path: Path, parts: &[&[u8]]) -> usize {
        let mut outline = Outline::new(path);
        let said: usize = parts.iter().map(|part| outline.take(part)).sum();
        assert_eq!(said, outline.besides());
        said
    }

    proptest! {
        #[test]
        fn contents_are_left_out_however_the_message_is_cut(
            files in prop::collection::vec(0_usize..300, 0..4),
            prompt in ".{0,200}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            batch in any::<bool>(),
        ) {
            let request = request(&files, &prompt);
            let (path, bytes) = if batch {
                let message = Some(Message::Extract(request));
                (BATCH, v1::BatchExtractRequest { message }.encode_to_vec())
            } else {
                (EXTRACT, request.encode_to_vec())
            };
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let contents: usize = files.iter().sum();
            prop_assert_eq!(besides(path, &parts), bytes.len() - contents);
        }

        #[test]
        fn bytes_that_are_no_message_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(bytes.len() + 1);
            for path in [EXTRACT, BATCH] {
                let (once, twice) = (besides(path, &[&bytes]), besides(path, &[&bytes[..cut], &bytes[cut..]]));
                prop_assert_eq!(once, twice);
                prop_assert!(once <= bytes.len());
            }
        }
    }

    #[test]
    fn what_cannot_be_followed_counts() {
        let content = [&[0x0A, 0x64][..], &[0xFF; 100]].concat();
        // A group, a field that is longer than its message, a number without an end.
        for head in [&[0x0B][..], &[0x1A, 0x10], &[0xFF; 11]] {
            let bytes = [head, &content].concat();
            assert_eq!(besides(EXTRACT, &[&bytes]), bytes.len(), "{head:?}");
        }
        // The same at its place is a file's.
        let file = [&[0x1A, 0x66][..], &content].concat();
        assert_eq!(besides(EXTRACT, &[&file]), file.len() - 100);
    }

    #[test]
    fn says_which_field_came_last() {
        let mut outline = Outline::new(BATCH);
        let message = Some(Message::Extract(request(&[10], "Total?")));
        outline.take(&v1::BatchExtractRequest { message }.encode_to_vec());
        assert_eq!(outline.field(), "prompt");
    }
}
