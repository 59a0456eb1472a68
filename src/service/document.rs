//! Finds the JSON object that an answer should hold, and returns the very text the model wrote: parsing
//! and printing again would lose digits and could reorder keys.

use serde::Deserialize as _;
use serde::de::IgnoredAny;

use crate::fields::FieldReader;

/// Why an answer holds no JSON object.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotADocument {
    #[error("the output is empty")]
    Empty,
    #[error("there is no JSON object in the output")]
    NoObject,
    #[error("the object in the output is no JSON: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// The first object in `output`, all of which `reader` has read.
pub(super) fn object<'a>(output: &'a str, reader: &FieldReader) -> Result<&'a str, NotADocument> {
    if let Some(object) = reader.object().and_then(|range| output.get(range)) {
        return Ok(object);
    }
    if output.trim().is_empty() {
        return Err(NotADocument::Empty);
    }
    let begun = reader.object_start().and_then(|start| output.get(start..));
    let begun = begun.ok_or(NotADocument::NoObject)?;
    // What the reader does not take for whole, the parser does not either, and it says why.
    // `IgnoredAny` checks the grammar and keeps nothing.
    IgnoredAny::deserialize(&mut serde_json::Deserializer::from_str(begun))?;
    Err(NotADocument::NoObject)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn read(output: &str) -> Result<&str, NotADocument> {
        let mut reader = FieldReader::default();
        reader.push(output);
        object(output, &reader)
    }

    fn check(output: &str, expected: &Expect) {
        expected.assert_eq(&match read(output) {
            Ok(text) => text.to_owned(),
            Err(error) => format!("error: {error}"),
        });
    }

    #[test]
    fn keeps_order_and_digits() {
        check(
            " {\"b\":1.10, \"a\":123456789012345678901234567890}\n",
            &expect![[r#"{"b":1.10, "a":123456789012345678901234567890}"#]],
        );
    }

    #[test]
    fn what_stands_around_it_is_left_out() {
        check("```json\n{\"a\":1}\n```", &expect![[r#"{"a":1}"#]]);
        check("```json\n{\"a\":\"```\"}", &expect![[r#"{"a":"```"}"#]]);
        check("Here it is: {\"a\":1}. More?", &expect![[r#"{"a":1}"#]]);
    }

    #[test]
    fn says_what_is_wrong() {
        check("  \n", &expect!["error: the output is empty"]);
        check("Total: 3", &expect!["error: there is no JSON object in the output"]);
        check("[1]", &expect!["error: there is no JSON object in the output"]);
        check(
            "so: {\"a\": 1",
            &expect![
                "error: the object in the output is no JSON: EOF while parsing an object at line 1 column 7"
            ],
        );
        check(
            "{\"a\": 1, b}",
            &expect![
                "error: the object in the output is no JSON: key must be a string at line 1 column 10"
            ],
        );
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(read(&deep).unwrap(), deep);
    }

    proptest! {
        #[test]
        fn never_panics_and_returns_an_object(text in ".*\\{?.*\\}?.*") {
            if let Ok(found) = read(&text) {
                prop_assert!(text.contains(found));
                prop_assert!(serde_json::from_str::<IgnoredAny>(found).is_ok(), "{}", found);
            }
        }
    }
}
