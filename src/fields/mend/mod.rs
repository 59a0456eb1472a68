//! Answers that are nearly JSON, or `KEY: value` lines: what they mean, and what had to be mended to
//! say so.
//!
//! For answers that no grammar held. Only what is whole is taken: a value that was cut off is none.

mod lines;
mod loose;

use std::ops::Range;

use super::{Field, FieldEvent, FieldReader};
use crate::schema::Schema;

/// What was wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// Texts in single quotes, or in typographic ones.
    Quotes,
    /// Names without quotes.
    BareNames,
    /// A comma behind the last member.
    TrailingComma,
    /// No comma between two members.
    MissingComma,
    /// `True`, `None`, `undefined`.
    Words,
    /// A line break or tab inside a text, or an escape that JSON does not have.
    Characters,
    /// `// …`, `/* … */`
    Comments,
    /// `KEY: value` lines instead of JSON.
    Lines,
}

/// An answer that was mended.
#[derive(Debug, Clone, PartialEq)]
pub struct Mended {
    /// JSON text of the object; none where it is not whole.
    pub document: Option<String>,
    /// Its fields, each with the bytes of the answer that say it.
    pub fields: Vec<(Field, Range<usize>)>,
    /// Without repetition.
    pub repairs: Vec<Repair>,
}

/// The JSON text of an object as it grows, and of each of its leaves where the answer says it.
#[derive(Debug, Default)]
struct Draft {
    json: String,
    leaves: Vec<Leaf>,
}

#[derive(Debug)]
struct Leaf {
    /// Where in the JSON text it begins, in bytes.
    at: usize,
    said: Range<usize>,
}

/// What `answer` means: its first object, or its lines that name fields of `schema`. None where there
/// is neither. Where the answer is not `whole`, without the value that may still go on.
pub fn mend(answer: &str, schema: &Schema, whole: bool) -> Option<Mended> {
    loose::object(answer).or_else(|| lines::object(answer, schema, whole))
}

/// What the `KEY: value` lines of `answer` mean; where it is not `whole`, without the value that may
/// still go on.
pub fn mend_lines(answer: &str, schema: &Schema, whole: bool) -> Option<Mended> {
    lines::object(answer, schema, whole)
}

/// What the `KEY: value` lines of `answer` say, which a grammar held: nothing had to be mended. Where it is not
/// `whole`, without the value that may still go on.
pub fn held_lines(answer: &str, schema: &Schema, whole: bool) -> Option<Mended> {
    lines::held(answer, schema, whole)
}

// === impl Draft ===

impl Draft {
    /// Appends a leaf's JSON text.
    fn leaf(&mut self, json: &str, said: Range<usize>) {
        self.leaves.push(Leaf { at: self.json.len(), said });
        self.json.push_str(json);
    }

    /// The fields of the text, which is well-formed, each with the bytes of the answer that say it. Some leaves are
    /// no fields, such as those of a repeated key: places, not their order, say which is which.
    fn fields(&self) -> Vec<(Field, Range<usize>)> {
        let said = |event| {
            let FieldEvent::Completed(field) = event else { return None };
            let leaf = self.leaves.binary_search_by_key(&field.start, |leaf| leaf.at).ok()?;
            Some((field, self.leaves[leaf].said.clone()))
        };
        FieldReader::default().push(&self.json).into_iter().filter_map(said).collect()
    }
}

#[cfg(test)]
mod tests;
