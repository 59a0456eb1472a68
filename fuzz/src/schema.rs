//! Any text as a JSON Schema: it is refused with reasons, or becomes fields, a grammar that constrains a model,
//! and a schema of its own that says the same again. Any answer can be mended against it, and the fields of what
//! comes of that lie inside the answer.

use std::sync::{Arc, LazyLock};

use tessera::checkpoint::Checkpoint;
use tessera::constraint::Vocabulary;
use tessera::fields::mend;
use tessera::prompt::{PromptOptions, Prompter};
use tessera::schema::Schema;

use super::BETWEEN;

const VOCABULARY_SIZE: usize = 1024;

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let prompter = Prompter::load(&Checkpoint::Embedded, &PromptOptions::default());
    let prompter = Arc::new(prompter.expect("the built-in model"));
    Vocabulary::of(&prompter, VOCABULARY_SIZE).expect("its vocabulary")
});

/// How far an input came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Fields of the schema; none where it was refused.
    pub fields: usize,
    /// A model can be held to it.
    pub is_constrained: bool,
    /// Fields of the answer that was mended.
    pub mended: usize,
}

/// `input` is a schema and, behind a line `---`, an answer; behind one more the answer goes on, so that it is not
/// whole.
pub fn reached(input: &str) -> Reached {
    let (text, answer) = input.split_once(BETWEEN).unwrap_or((input, ""));
    let (answer, whole) =
        answer.split_once(BETWEEN).map_or((answer, true), |(cut, _)| (cut, false));
    let schema = match Schema::from_json_schema(text) {
        Ok(schema) => schema,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            return Reached::default();
        }
    };
    let fields = schema.names().count();
    assert!(fields > 0, "a schema without fields asks for nothing");
    let again = Schema::from_json_schema(&schema.to_json_schema().to_string());
    assert_eq!(again.expect("its own text").names().count(), fields);
    // Refused or not, it is said in time.
    let is_constrained = VOCABULARY.constrain(&schema.grammar()).is_ok();
    let mended = mend(answer, &schema, whole);
    for (_, place) in mended.iter().flat_map(|mended| &mended.fields) {
        assert!(answer.get(place.clone()).is_some(), "{place:?} in {answer:?}");
    }
    Reached { fields, is_constrained, mended: mended.map_or(0, |mended| mended.fields.len()) }
}
