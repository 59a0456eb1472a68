//! Generated ids back to text, one id at a time, never cutting a character.
//!
//! A token of a byte-level vocabulary is a run of bytes that may begin or end inside a character.
//! [`Detokenizer`] looks the bytes up in a table made at load and gives out what is whole: its
//! work for a token does not grow with the answer.

use std::str::from_utf8;
use std::sync::Arc;

/// One request's decoding state.
///
/// What all `push`es and the `flush` give, put together, is what decoding all ids at once gives:
/// special tokens and unknown ids are left out, and bytes that can never be a character become
/// U+FFFD.
#[derive(Debug, Clone)]
pub struct Detokenizer {
    table: Arc<TokenBytes>,
    /// The beginning of a character: at most three bytes between calls.
    pending: Vec<u8>,
}

/// The bytes of every id; none for special tokens.
#[derive(Debug, Default)]
pub(super) struct TokenBytes {
    bytes: Vec<u8>,
    /// Where each id's bytes end; they begin where those of the id before end.
    ends: Vec<usize>,
}

// === impl Detokenizer ===

impl Detokenizer {
    pub(super) fn new(table: Arc<TokenBytes>) -> Self {
        Self { table, pending: Vec::new() }
    }

    /// Takes the next id; gives the text that is whole now, or none where there is none yet.
    pub fn push(&mut self, id: u32) -> Option<String> {
        self.pending.extend_from_slice(self.table.get(id));
        let mut text = String::new();
        let mut taken = 0;
        loop {
            let rest = &self.pending[taken..];
            match from_utf8(rest) {
                Ok(whole) => {
                    text.push_str(whole);
                    taken += whole.len();
                    break;
                }
                Err(error) => {
                    let whole = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&rest[..whole]));
                    taken += whole;
                    // Without a length it may still become a character with the next id.
                    let Some(invalid) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    taken += invalid;
                }
            }
        }
        self.pending.drain(..taken);
        (!text.is_empty()).then_some(text)
    }

    /// Ends the text: a character that never became whole is given as U+FFFD.
    pub fn flush(&mut self) -> Option<String> {
        let rest = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        (!rest.is_empty()).then_some(rest)
    }
}

// === impl TokenBytes ===

impl TokenBytes {
    /// Adds the bytes of the next id.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn get(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else { return &[] };
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids 0 to 255 are the bytes; 256 is special.
    fn byte_detokenizer() -> Detokenizer {
        let mut table = TokenBytes::default();
        for byte in 0..=255 {
            table.push(&[byte]);
        }
        table.push(&[]);
        Detokenizer::new(Arc::new(table))
    }

    fn pushes(detokenizer: &mut Detokenizer, bytes: &[u8]) -> Vec<Option<String>> {
        bytes.iter().map(|&byte| detokenizer.push(byte.into())).collect()
    }

    #[test]
    fn characters_come_whole() {
        let mut detokenizer = byte_detokenizer();
        assert_eq!(
            pushes(&mut detokenizer, "a书".as_bytes()),
            [Some("a".into()), None, None, Some("书".into())]
        );
        assert_eq!(pushes(&mut detokenizer, "😀".as_bytes())[3], Some("😀".into()));
        assert_eq!(detokenizer.flush(), None);
    }

    #[test]
    fn invalid_bytes_are_replaced_as_soon_as_they_are_known_to_be() {
        let mut detokenizer = byte_detokenizer();
        assert_eq!(pushes(&mut detokenizer, &[0xff]), [Some("\u{fffd}".into())]);
        // The beginning of a character, then one that cannot go on with it.
        assert_eq!(pushes(&mut detokenizer, &[0xe4, b'x']), [None, Some("\u{fffd}x".into())]);
        assert_eq!(pushes(&mut detokenizer, &[0xf0, 0x9f]), [None, None]);
        assert_eq!(detokenizer.flush(), Some("\u{fffd}".into()));
        assert_eq!(detokenizer.flush(), None);
    }

    #[test]
    fn special_and_unknown_ids_say_nothing_even_inside_a_character() {
        let mut detokenizer = byte_detokenizer();
        assert_eq!(detokenizer.push(0xc3), None);
        assert_eq!(detokenizer.push(256), None);
        assert_eq!(detokenizer.push(u32::MAX), None);
        assert_eq!(detokenizer.push(0xa9), Some("é".into()));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_out_as_lossy_decoding_has_them(bytes: Vec<u8>) {
            let mut detokenizer = byte_detokenizer();
            let mut text: String = pushes(&mut detokenizer, &bytes).into_iter().flatten().collect();
            assert!(detokenizer.pending.len() <= 3);
            text.extend(detokenizer.flush());
            assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
