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

/// What `answer` means: its first object, or its lines that name fields of `schema`. None where there
/// is neither.
pub fn mend(answer: &str, schema: &Schema) -> Option<Mended> {
    loose::object(answer).or_else(|| lines::object(answer, schema, true))
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

/// The fields of `document`, well-formed JSON text, of which `said` has the place in the answer of each
/// leaf, in order.
fn fields_of(document: &str, said: &[Range<usize>]) -> Vec<(Field, Range<usize>)> {
    let mut fields = Vec::new();
    for event in FieldReader::default().push(document) {
        if let FieldEvent::Completed(field) = event {
            fields.push(field);
        }
    }
    fields.into_iter().zip(said.iter().cloned()).collect()
}

#[cfg(test)]
mod tests;
