//! Any text as a question: its prompt has one run of image tokens for each page and not one more,
//! whatever the text says.

use std::sync::LazyLock;

use tessera::checkpoint::Checkpoint;
use tessera::prompt::{PromptOptions, Prompter};

static PROMPTER: LazyLock<Prompter> = LazyLock::new(|| {
    let options = PromptOptions { tokens_per_tile: 4, ..PromptOptions::default() };
    Prompter::load(&Checkpoint::Embedded, &options).expect("the built-in model")
});

/// The prompt that `question` becomes, as text; nothing where it was refused.
pub fn text(question: &str) -> Option<String> {
    let prompt = PROMPTER.build(question, &[1, 2]).ok()?;
    let images = prompt.ids.iter().filter(|id| **id == PROMPTER.image_token_id()).count();
    assert_eq!(images, 3 * 4);
    let mut detokenizer = PROMPTER.detokenizer();
    let mut text: String = prompt.ids.into_iter().filter_map(|id| detokenizer.push(id)).collect();
    text.extend(detokenizer.flush());
    Some(text)
}
