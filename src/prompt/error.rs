//! Why a prompt could not be made.

use crate::checkpoint::{Checkpoint, CheckpointError};

/// What can be wrong with a checkpoint's prompt files (from [`Prompter::load`]) or with a question
/// (from [`Prompter::build`]).
///
/// [`Prompter::load`]: super::Prompter::load
/// [`Prompter::build`]: super::Prompter::build
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "{checkpoint} has neither tokenizer.json nor vocab.json with merges.txt: copy the model's tokenizer files there"
    )]
    NoTokenizer { checkpoint: Checkpoint },
    #[error(
        "{file} is not a byte-level BPE tokenizer as Qwen2's: {reason}; copy the model's own file again"
    )]
    Tokenizer { file: &'static str, reason: String },
    #[error(
        "the tokenizer has no {token}, which InternVL prompts are made of: copy the model's own tokenizer files again"
    )]
    NoToken { token: &'static str },
    #[error(
        "{file} says that {token} is id {expected}, but in the tokenizer it is {found}: take both files from one model"
    )]
    TokenId { file: &'static str, token: String, expected: u32, found: u32 },
    #[error(
        "{checkpoint} has no chat template (chat_template.jinja, chat_template.json, or chat_template in tokenizer_config.json): add one, or choose the prompt style chat"
    )]
    NoTemplate { checkpoint: Checkpoint },
    #[error(
        "{file} is not a template that works here: {reason}; mend it, or choose the prompt style chat"
    )]
    Template { file: &'static str, reason: String },
    #[error(
        "{file} renders {found} image placeholders for {pages} pages: it is not a template for images; choose the prompt style chat"
    )]
    TemplateImages { file: &'static str, found: usize, pages: usize },
    #[error(
        "the question has <image> {marks} times for {pages} pages: put it once for each page, or leave it out to have the pages first"
    )]
    ImageMarks { marks: usize, pages: usize },
    #[error(
        "the question has all 32 noncharacters U+FDD0 to U+FDEF, which are not for interchange: leave one out"
    )]
    Noncharacters,
    #[error("cannot encode the prompt: {reason}")]
    Encode { reason: String },
}

impl PromptError {
    /// Whether another question would have worked: the fault is the caller's, not the server's.
    pub fn is_callers(&self) -> bool {
        matches!(self, Self::ImageMarks { .. } | Self::Noncharacters)
    }
}
