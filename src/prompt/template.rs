//! The checkpoint's own chat template, rendered with the question as data.
//!
//! A template makes text in which special tokens are spelt out, so what the template wrote and
//! what the question says must be told apart afterwards. Before rendering, every special token
//! that the question spells is broken by a guard: a character that the question does not have.
//! Whatever special token the rendered text spells is then the template's own, and the guards are
//! taken out of the text between them. (Marking where the question starts and ends would do the
//! same only for templates that neither trim nor split it.)

use std::borrow::Cow;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};
use serde::{Deserialize, Serialize};

use super::assemble::Assembler;
use super::chat::IMAGE_MARK;
use super::tokenizer::IMAGE_CONTEXT;
use super::{PromptError, cut_at_images};
use crate::checkpoint::Checkpoint;

const JINJA: &str = "chat_template.jinja";
const JSON: &str = "chat_template.json";
const CONFIG: &str = "tokenizer_config.json";
const NAME: &str = "chat";

#[derive(Debug)]
pub(super) struct Template {
    environment: Environment<'static>,
    file: &'static str,
    system_message: Option<String>,
    /// What is cut out of the rendered text, longest first: special tokens and `<image>`.
    marks: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Content<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Items(Vec<Item<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Item<'a> {
    Image,
    Text { text: Cow<'a, str> },
}

/// `chat_template.json` or `tokenizer_config.json`.
#[derive(Debug, Deserialize)]
struct TemplateFile {
    chat_template: Option<OneOrNamed>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrNamed {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Debug, Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

// === impl Template ===

impl Template {
    pub(super) fn load(
        checkpoint: &Checkpoint,
        system_message: Option<String>,
        special_contents: Vec<String>,
    ) -> Result<Self, PromptError> {
        let Some((source, file)) = source(checkpoint)? else {
            return Err(PromptError::NoTemplate { checkpoint: checkpoint.clone() });
        };
        let environment = environment(source)
            .map_err(|error| PromptError::Template { file, reason: error.to_string() })?;
        // A guard goes behind the first character, so one character alone cannot be guarded.
        let mut marks: Vec<String> =
            special_contents.into_iter().filter(|mark| mark.chars().nth(1).is_some()).collect();
        marks.push(IMAGE_MARK.to_owned());
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.len()));
        Ok(Self { environment, file, system_message, marks })
    }

    pub(super) fn build(
        &self,
        prompt: &mut Assembler<'_>,
        question: &str,
        tiles_per_page: &[u32],
    ) -> Result<(), PromptError> {
        let system_message = self.system_message.as_deref().unwrap_or_default();
        let guard = ('\u{fdd0}'..='\u{fdef}')
            .find(|guard| !question.contains(*guard) && !system_message.contains(*guard))
            .ok_or(PromptError::Noncharacters)?;
        let items = self.items(question, tiles_per_page.len(), guard)?;
        let user = Message { role: "user", content: Content::Items(items) };
        let system = self.system_message.as_deref().map(|message| Message {
            role: "system",
            content: Content::Text(self.guarded(message, guard)),
        });
        let messages: Vec<Message<'_>> = system.into_iter().chain([user]).collect();
        let rendered = self.render(&messages)?;
        self.assemble(prompt, &rendered, guard, tiles_per_page)
    }

    /// The user's message: the pages and then the text, or each page at its mark. Templates end an
    /// image's line themselves, so a line break behind a mark is taken as theirs.
    fn items<'a>(
        &self,
        question: &'a str,
        pages: usize,
        guard: char,
    ) -> Result<Vec<Item<'a>>, PromptError> {
        let text = |text: &'a str| Item::Text { text: self.guarded(text, guard) };
        let Some(parts) = cut_at_images(question, pages)? else {
            let images = std::iter::repeat_with(|| Item::Image).take(pages);
            return Ok(images.chain([text(question)]).collect());
        };
        let mut items = Vec::with_capacity(2 * parts.len());
        for (i, part) in parts.into_iter().enumerate() {
            if i == 0 {
                items.push(text(part));
            } else {
                items.push(Item::Image);
                items.push(text(part.strip_prefix('\n').unwrap_or(part)));
            }
        }
        Ok(items)
    }

    fn render(&self, messages: &[Message<'_>]) -> Result<String, PromptError> {
        self.environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! { messages, add_generation_prompt => true })
            })
            .map_err(|error| PromptError::Template { file: self.file, reason: error.to_string() })
    }

    /// Cuts `rendered` at the template's special tokens and image placeholders.
    fn assemble(
        &self,
        prompt: &mut Assembler<'_>,
        rendered: &str,
        guard: char,
        tiles_per_page: &[u32],
    ) -> Result<(), PromptError> {
        let mut rest = rendered;
        let mut found = 0;
        while let Some((at, mark)) = self.first_mark(rest) {
            prompt.text(&rest[..at].replace(guard, ""));
            rest = &rest[at + mark.len()..];
            if mark == IMAGE_CONTEXT || mark == IMAGE_MARK {
                if let Some(&tiles) = tiles_per_page.get(found) {
                    prompt.image(tiles)?;
                }
                found += 1;
            } else if let Some(id) = prompt.special_id(mark) {
                prompt.token(id)?;
            }
        }
        prompt.text(&rest.replace(guard, ""));
        let pages = tiles_per_page.len();
        if found != pages {
            return Err(PromptError::TemplateImages { file: self.file, found, pages });
        }
        Ok(())
    }

    /// The first mark in `text`; of several at one place the longest.
    fn first_mark(&self, text: &str) -> Option<(usize, &str)> {
        text.char_indices().find_map(|(at, _)| Some((at, self.mark_at_start(&text[at..])?)))
    }

    fn mark_at_start(&self, text: &str) -> Option<&str> {
        self.marks.iter().map(String::as_str).find(|mark| text.starts_with(mark))
    }

    /// `text` with every mark in it broken behind its first character.
    fn guarded<'a>(&self, text: &'a str, guard: char) -> Cow<'a, str> {
        if self.first_mark(text).is_none() {
            return Cow::Borrowed(text);
        }
        let mut guarded = String::with_capacity(text.len() + 16);
        for (at, character) in text.char_indices() {
            guarded.push(character);
            if self.mark_at_start(&text[at..]).is_some() {
                guarded.push(guard);
            }
        }
        Cow::Owned(guarded)
    }
}

/// The text of the template, and the file that it is from.
fn source(checkpoint: &Checkpoint) -> Result<Option<(String, &'static str)>, PromptError> {
    if let Some(bytes) = checkpoint.read(JINJA)? {
        let text = String::from_utf8(bytes.into_owned());
        let wrong = |reason: String| PromptError::Template { file: JINJA, reason };
        return text.map(|text| Some((text, JINJA))).map_err(|error| wrong(error.to_string()));
    }
    for file in [JSON, CONFIG] {
        let found: Option<TemplateFile> = checkpoint.json(file)?;
        let text = match found.and_then(|found| found.chat_template) {
            None => None,
            Some(OneOrNamed::One(text)) => Some(text),
            Some(OneOrNamed::Named(templates)) => templates
                .into_iter()
                .find(|template| template.name == "default")
                .map(|template| template.template),
        };
        if let Some(text) = text {
            return Ok(Some((text, file)));
        }
    }
    Ok(None)
}

/// As transformers sets Jinja up, but strict about printing what is not defined: a template that
/// counts on a variable unknown here should say so at the start.
fn environment(source: String) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.add_function("raise_exception", |message: String| -> Result<String, _> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_template_owned(NAME, source)?;
    Ok(environment)
}
