//! Text to ids, with special tokens switched off, and the table that turns ids back to bytes.

use std::sync::Arc;

use tokenizers::{DecoderWrapper, Tokenizer};

use super::detokenizer::{Detokenizer, TokenBytes};
use super::{PromptError, files};
use crate::checkpoint::Checkpoint;

pub(super) const TURN_START: &str = "<|im_start|>";
pub(super) const TURN_END: &str = "<|im_end|>";
pub(super) const IMAGE_START: &str = "<img>";
pub(super) const IMAGE_END: &str = "</img>";
pub(super) const IMAGE_CONTEXT: &str = "<IMG_CONTEXT>";

/// The tokens that the structure of a prompt is made of.
pub(super) const STRUCTURE: [&str; 5] =
    [TURN_START, TURN_END, IMAGE_START, IMAGE_END, IMAGE_CONTEXT];

/// A byte-level BPE tokenizer that finds no special token in text.
#[derive(Debug)]
pub(super) struct TextTokenizer {
    tokenizer: Tokenizer,
    special: SpecialIds,
    table: Arc<TokenBytes>,
}

/// Ids of the structure's tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpecialIds {
    pub(super) turn_start: u32,
    pub(super) turn_end: u32,
    pub(super) image_start: u32,
    pub(super) image_end: u32,
    pub(super) image_context: u32,
}

// === impl TextTokenizer ===

impl TextTokenizer {
    pub(super) fn load(checkpoint: &Checkpoint) -> Result<Self, PromptError> {
        let (mut tokenizer, file) = files::tokenizer(checkpoint)?;
        if !matches!(tokenizer.get_decoder(), Some(DecoderWrapper::ByteLevel(_))) {
            return Err(PromptError::Tokenizer {
                file,
                reason: "its decoder is not ByteLevel".to_owned(),
            });
        }
        let id = |token| tokenizer.token_to_id(token).ok_or(PromptError::NoToken { token });
        let special = SpecialIds {
            turn_start: id(TURN_START)?,
            turn_end: id(TURN_END)?,
            image_start: id(IMAGE_START)?,
            image_end: id(IMAGE_END)?,
            image_context: id(IMAGE_CONTEXT)?,
        };
        // What the text may not do: become a special token. Tokens that the model's authors did
        // not mark as special (`<tool_call>`) are ordinary vocabulary.
        tokenizer.set_encode_special_tokens(true);
        let table = Arc::new(table(&tokenizer));
        Ok(Self { tokenizer, special, table })
    }

    pub(super) fn special(&self) -> SpecialIds {
        self.special
    }

    pub(super) fn id(&self, content: &str) -> Option<u32> {
        self.tokenizer.token_to_id(content)
    }

    /// Contents of all special tokens.
    pub(super) fn special_contents(&self) -> Vec<String> {
        let added = self.tokenizer.get_added_vocabulary().get_added_tokens_decoder();
        added.values().filter(|token| token.special).map(|token| token.content.clone()).collect()
    }

    /// Appends the ids of `text`.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), PromptError> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| PromptError::Encode { reason: error.to_string() })?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }

    /// The bytes of `id`; none for special tokens.
    pub(super) fn bytes(&self, id: u32) -> &[u8] {
        self.table.get(id)
    }

    pub(super) fn detokenizer(&self) -> Detokenizer {
        Detokenizer::new(Arc::clone(&self.table))
    }
}

/// The bytes of every id up to the largest; none for gaps and special tokens.
fn table(tokenizer: &Tokenizer) -> TokenBytes {
    let count = tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id + 1);
    let added = tokenizer.get_added_vocabulary();
    let unprintable = unprintable_bytes();
    let mut table = TokenBytes::default();
    for id in 0..count {
        let token = tokenizer.id_to_token(id).unwrap_or_default();
        if added.is_special_token(&token) {
            table.push(&[]);
            continue;
        }
        let bytes: Option<Vec<u8>> =
            token.chars().map(|symbol| symbol_byte(symbol, &unprintable)).collect();
        // An added token need not be spelt in byte symbols; then it stands for itself.
        table.push(bytes.as_deref().unwrap_or(token.as_bytes()));
    }
    table
}

/// The byte that a symbol of the byte-level alphabet stands for: itself where that is printable,
/// else the n-th unprintable byte is U+0100 + n.
fn symbol_byte(symbol: char, unprintable: &[u8]) -> Option<u8> {
    match u8::try_from(symbol) {
        Ok(byte) if is_printable(byte) => Some(byte),
        Ok(_) => None,
        Err(_) => unprintable.get(symbol as usize - 0x100).copied(),
    }
}

fn unprintable_bytes() -> Vec<u8> {
    (0..=u8::MAX).filter(|byte| !is_printable(*byte)).collect()
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

#[cfg(test)]
mod tests {
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;

    #[test]
    fn the_symbols_are_the_byte_level_alphabet() {
        let unprintable = unprintable_bytes();
        let mut bytes: Vec<u8> = ByteLevel::alphabet()
            .into_iter()
            .map(|symbol| symbol_byte(symbol, &unprintable).unwrap())
            .collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=u8::MAX).collect::<Vec<_>>());
        assert_eq!(symbol_byte('Ġ', &unprintable), Some(b' '));
        assert_eq!(symbol_byte('Ċ', &unprintable), Some(b'\n'));
        assert_eq!(symbol_byte(' ', &unprintable), None);
        assert_eq!(symbol_byte('书', &unprintable), None);
    }
}
