//! Any text as a JSON Schema: it is refused with reasons, or becomes fields, a grammar that constrains a model,
//! and a schema of its own that says the same again. Any answer can be mended against it, and the fields of what
//! comes of that lie inside the answer.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use tessera::checkpoint::Checkpoint;
use tessera::constraint::Vocabulary;
use tessera::fields::mend;
use tessera::prompt::{PromptOptions, Prompter};
use tessera::schema::Schema;

const VOCABULARY_SIZE: usize = 1024;

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let prompter = Prompter::load(&Checkpoint::Embedded, &PromptOptions::default());
    let prompter = Arc::new(prompter.expect("the built-in model"));
    Vocabulary::of(&prompter, VOCABULARY_SIZE).expect("its vocabulary")
});

fuzz_target!(|input: (String, String, bool)| {
    let (text, answer, whole) = input;
    let schema = match Schema::from_json_schema(&text) {
        Ok(schema) => schema,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            return;
        }
    };
    assert!(schema.names().next().is_some(), "a schema without fields asks for nothing");
    let again = Schema::from_json_schema(&schema.to_json_schema().to_string());
    assert_eq!(again.expect("its own text").names().count(), schema.names().count());
    // Refused or not, it is said in time.
    let _ = VOCABULARY.constrain(&schema.grammar());
    if let Some(mended) = mend(&answer, &schema, whole) {
        for (_, place) in &mended.fields {
            assert!(answer.get(place.clone()).is_some(), "{place:?} in {answer:?}");
        }
    }
});
