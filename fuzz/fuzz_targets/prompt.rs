//! Any text as a question: its prompt has one run of image tokens for each page and not one more,
//! whatever the text says.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tessera::checkpoint::Checkpoint;
use tessera::prompt::{PromptOptions, Prompter};

static PROMPTER: LazyLock<Prompter> = LazyLock::new(|| {
    let options = PromptOptions { tokens_per_tile: 4, ..PromptOptions::default() };
    Prompter::load(&Checkpoint::Embedded, &options).expect("the built-in model")
});

fuzz_target!(|question: &str| {
    let Ok(prompt) = PROMPTER.build(question, &[1, 2]) else { return };
    let images = prompt.ids.iter().filter(|id| **id == PROMPTER.image_token_id()).count();
    assert_eq!(images, 3 * 4);
    let mut detokenizer = PROMPTER.detokenizer();
    for id in prompt.ids {
        detokenizer.push(id);
    }
    detokenizer.flush();
});
