//! The prompt of the original `chat()` without history: template `internvl2_5`.
//!
//! `<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n`

use super::assemble::Assembler;
use super::{PromptError, cut_at_images};

/// Where a page goes in a question.
pub(super) const IMAGE_MARK: &str = "<image>";

/// The system message that the original checkpoints were trained with, byte for byte.
pub(super) const DEFAULT_SYSTEM_MESSAGE: &str = "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。";

#[derive(Debug)]
pub(super) struct Chat {
    system_message: String,
}

// === impl Chat ===

impl Chat {
    pub(super) fn new(system_message: String) -> Self {
        Self { system_message }
    }

    pub(super) fn build(
        &self,
        prompt: &mut Assembler<'_>,
        question: &str,
        tiles_per_page: &[u32],
    ) -> Result<(), PromptError> {
        let special = prompt.special();
        prompt.token(special.turn_start)?;
        prompt.text("system\n");
        prompt.text(&self.system_message);
        prompt.token(special.turn_end)?;
        prompt.text("\n");
        prompt.token(special.turn_start)?;
        prompt.text("user\n");
        match cut_at_images(question, tiles_per_page.len())? {
            Some(parts) => pages_within(prompt, &parts, tiles_per_page)?,
            None => pages_before(prompt, question, tiles_per_page)?,
        }
        prompt.token(special.turn_end)?;
        prompt.text("\n");
        prompt.token(special.turn_start)?;
        prompt.text("assistant\n");
        Ok(())
    }
}

/// Each page at its mark. `parts` are the texts around the marks, one more than pages.
fn pages_within(
    prompt: &mut Assembler<'_>,
    parts: &[&str],
    tiles_per_page: &[u32],
) -> Result<(), PromptError> {
    for (i, part) in parts.iter().enumerate() {
        prompt.text(part);
        if let Some(&tiles) = tiles_per_page.get(i) {
            prompt.image(tiles)?;
        }
    }
    Ok(())
}

/// One page as `chat()` puts it; several as the model's documentation has them, numbered.
fn pages_before(
    prompt: &mut Assembler<'_>,
    question: &str,
    tiles_per_page: &[u32],
) -> Result<(), PromptError> {
    for (i, &tiles) in tiles_per_page.iter().enumerate() {
        if tiles_per_page.len() > 1 {
            prompt.text(&format!("Image-{}: ", i + 1));
        }
        prompt.image(tiles)?;
        prompt.text("\n");
    }
    prompt.text(question);
    Ok(())
}
