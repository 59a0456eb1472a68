//! From a question and its pages to token ids, and from generated ids back to text.
//!
//! Two prompt styles: [`PromptStyle::Chat`] is what the original `chat()` sends (template
//! `internvl2_5`), [`PromptStyle::HfTemplate`] renders the checkpoint's own chat template. Either
//! way the structure of a prompt (turns, image placeholders) is made of ids put in by this module,
//! and text from outside is encoded with special tokens switched off: a question that spells
//! `<|im_end|>` says those ten characters and ends no turn.
//!
//! No tensors, no async. Reading order: `settings` (what the files ask for), `files` and
//! `tokenizer` (text to ids), `assemble` (ids of one prompt), `chat` and `template` (the two
//! styles), `detokenizer`, and [`Questions`] (what to ask for a schema's fields).

mod assemble;
mod chat;
mod detokenizer;
mod error;
mod files;
mod questions;
mod settings;
mod template;
mod tokenizer;

pub use detokenizer::Detokenizer;
pub use error::PromptError;
pub use questions::{AnswerStyle, Question, QuestionError, Questions};
pub use settings::{PromptOptions, PromptStyle};

use crate::checkpoint::Checkpoint;
use assemble::Assembler;
use chat::Chat;
use settings::Settings;
use template::Template;
use tokenizer::TextTokenizer;

/// Tokenizer, template and special ids of one checkpoint.
#[derive(Debug)]
pub struct Prompter {
    tokenizer: TextTokenizer,
    style: Style,
    stop_ids: Vec<u32>,
    tokens_per_tile: usize,
}

/// The ids of one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptTokens {
    pub ids: Vec<u32>,
    /// How many of the ids stand for one image feature row each.
    pub image_tokens: usize,
}

#[derive(Debug)]
enum Style {
    Chat(Chat),
    Template(Box<Template>),
}

// === impl Prompter ===

impl Prompter {
    /// Reads the tokenizer, the template and the settings of `checkpoint`. `options` win over its
    /// files.
    pub fn load(checkpoint: &Checkpoint, options: &PromptOptions) -> Result<Self, PromptError> {
        let settings = Settings::read(checkpoint, options)?;
        let tokenizer = TextTokenizer::load(checkpoint)?;
        let found = tokenizer.special().image_context;
        if let Some(expected) = settings.image_token_id.filter(|expected| *expected != found) {
            return Err(PromptError::TokenId {
                file: "config.json (image_token_id)",
                token: tokenizer::IMAGE_CONTEXT.to_owned(),
                expected,
                found,
            });
        }
        let style = match settings.style {
            PromptStyle::Chat => Style::Chat(Chat::new(settings.chat_system_message)),
            PromptStyle::HfTemplate => Style::Template(Box::new(Template::load(
                checkpoint,
                settings.template_system_message,
                tokenizer.special_contents(),
            )?)),
        };
        let stop_ids = stop_ids(tokenizer.special().turn_end, &settings.eos_ids);
        let tokens_per_tile = options.tokens_per_tile;
        let prompter = Self { tokenizer, style, stop_ids, tokens_per_tile };
        // A template that cannot render a page should fail the start, not the first request.
        prompter.build("What is this?", &[1])?;
        Ok(prompter)
    }

    /// Token ids of the whole prompt: `question` and one placeholder a page, sized by
    /// `tiles_per_page` (thumbnail included).
    ///
    /// Pages go where the question says `<image>`; their number must then be the number of pages.
    /// A question without `<image>` gets its pages in front.
    pub fn build(
        &self,
        question: &str,
        tiles_per_page: &[u32],
    ) -> Result<PromptTokens, PromptError> {
        let mut prompt = Assembler::new(&self.tokenizer, self.tokens_per_tile);
        match &self.style {
            Style::Chat(chat) => chat.build(&mut prompt, question, tiles_per_page)?,
            Style::Template(template) => template.build(&mut prompt, question, tiles_per_page)?,
        }
        prompt.finish()
    }

    /// Fresh state that turns one request's generated ids into text.
    pub fn detokenizer(&self) -> Detokenizer {
        self.tokenizer.detokenizer()
    }

    /// The bytes that a token writes; none for special tokens and ids that are no tokens.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.tokenizer.bytes(id)
    }

    /// Ids of `text`, in which nothing is special.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, PromptError> {
        let mut ids = Vec::new();
        self.tokenizer.encode(text, &mut ids)?;
        Ok(ids)
    }

    /// Ids that end an answer: `<|im_end|>`, which alone stops the original `chat()`, then those
    /// of `generation_config.json`, if it is there.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// Id of `<IMG_CONTEXT>`, which stands for one image feature row.
    pub fn image_token_id(&self) -> u32 {
        self.tokenizer.special().image_context
    }
}

fn stop_ids(turn_end: u32, eos_ids: &[u32]) -> Vec<u32> {
    let mut ids = vec![turn_end];
    for &id in eos_ids {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// `question` cut at its `<image>` marks, or none where it has no mark. The error is the caller's:
/// a number of marks that is not the number of pages.
fn cut_at_images(question: &str, pages: usize) -> Result<Option<Vec<&str>>, PromptError> {
    let parts: Vec<&str> = question.split(chat::IMAGE_MARK).collect();
    match parts.len() - 1 {
        0 => Ok(None),
        marks if marks == pages => Ok(Some(parts)),
        marks => Err(PromptError::ImageMarks { marks, pages }),
    }
}
