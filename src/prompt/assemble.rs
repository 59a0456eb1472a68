//! The ids of one prompt, put together from text, special tokens and image placeholders.

use super::tokenizer::{SpecialIds, TextTokenizer};
use super::{PromptError, PromptTokens};

/// Collects a prompt.
///
/// Text waits until a special token or the end, so that neighbouring pieces are encoded as one:
/// merges across a piece's edge come out as if the whole prompt had been one string, which the
/// tokenizer would cut at special tokens as well.
#[derive(Debug)]
pub(super) struct Assembler<'a> {
    tokenizer: &'a TextTokenizer,
    tokens_per_tile: usize,
    text: String,
    ids: Vec<u32>,
    image_tokens: usize,
}

// === impl Assembler ===

impl<'a> Assembler<'a> {
    pub(super) fn new(tokenizer: &'a TextTokenizer, tokens_per_tile: usize) -> Self {
        Self { tokenizer, tokens_per_tile, text: String::new(), ids: Vec::new(), image_tokens: 0 }
    }

    pub(super) fn special(&self) -> SpecialIds {
        self.tokenizer.special()
    }

    /// The id of a special token by its content.
    pub(super) fn special_id(&self, content: &str) -> Option<u32> {
        self.tokenizer.id(content)
    }

    /// Adds text, in which nothing is special.
    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a special token.
    pub(super) fn token(&mut self, id: u32) -> Result<(), PromptError> {
        self.encode_text()?;
        self.ids.push(id);
        Ok(())
    }

    /// Adds the placeholder of a page of `tiles` tiles. Its ids are not encoded from text: there
    /// are thousands of them.
    pub(super) fn image(&mut self, tiles: u32) -> Result<(), PromptError> {
        let special = self.special();
        let rows = tiles as usize * self.tokens_per_tile;
        self.token(special.image_start)?;
        self.ids.resize(self.ids.len() + rows, special.image_context);
        self.ids.push(special.image_end);
        self.image_tokens += rows;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<PromptTokens, PromptError> {
        self.encode_text()?;
        Ok(PromptTokens { ids: self.ids, image_tokens: self.image_tokens })
    }

    fn encode_text(&mut self) -> Result<(), PromptError> {
        if !self.text.is_empty() {
            self.tokenizer.encode(&self.text, &mut self.ids)?;
            self.text.clear();
        }
        Ok(())
    }
}
