//! Finds the JSON object that an answer should be, and returns the very text the model wrote: parsing
//! and printing again would lose digits and could reorder keys.

use serde::Deserialize as _;
use serde::de::IgnoredAny;

/// Why an answer is not one JSON object.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotADocument {
    #[error("the output is empty")]
    Empty,
    #[error("the output does not start with a JSON object")]
    NoObject,
    #[error("the output is not one JSON object: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// The object that `output` is, whitespace and a Markdown fence around it aside.
pub(super) fn object(output: &str) -> Result<&str, NotADocument> {
    let text = unfence(output.trim()).trim();
    if text.is_empty() {
        return Err(NotADocument::Empty);
    }
    if !text.starts_with('{') {
        return Err(NotADocument::NoObject);
    }
    // `IgnoredAny` checks the grammar and keeps nothing; numbers may have any number of digits.
    let mut parser = serde_json::Deserializer::from_str(text);
    IgnoredAny::deserialize(&mut parser)?;
    parser.end()?;
    Ok(text)
}

/// What is between ```` ```json ```` and ```` ``` ````. A closing fence may be missing: an answer that
/// was cut there is whole otherwise.
fn unfence(text: &str) -> &str {
    let Some(inside) = text.strip_prefix("```") else { return text };
    let inside = inside.strip_prefix("json").or_else(|| inside.strip_prefix("JSON"));
    let Some(inside) = inside.or_else(|| text.strip_prefix("```")) else { return text };
    inside.trim_end().strip_suffix("```").unwrap_or(inside)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn check(output: &str, expected: &Expect) {
        expected.assert_eq(&match object(output) {
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
    fn takes_off_a_fence() {
        check("```json\n{\"a\":1}\n```", &expect![[r#"{"a":1}"#]]);
        check("```\n{\"a\":1}\n```\n", &expect![[r#"{"a":1}"#]]);
        check("```json\n{\"a\":\"```\"}", &expect![[r#"{"a":"```"}"#]]);
    }

    #[test]
    fn says_what_is_wrong() {
        check("  \n", &expect!["error: the output is empty"]);
        check("Total: 3", &expect!["error: the output does not start with a JSON object"]);
        check("[1]", &expect!["error: the output does not start with a JSON object"]);
        check(
            "{\"a\": 1",
            &expect![
                "error: the output is not one JSON object: EOF while parsing an object at line 1 column 7"
            ],
        );
        check(
            "{\"a\": 1} and more",
            &expect![
                "error: the output is not one JSON object: trailing characters at line 1 column 10"
            ],
        );
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(object(&deep).unwrap(), deep);
    }

    proptest! {
        #[test]
        fn never_panics_and_returns_a_slice(text in ".*") {
            if let Ok(found) = object(&text) {
                prop_assert!(text.contains(found));
                let braces = found.starts_with('{') && found.ends_with('}');
                prop_assert!(braces, "{found:?}");
            }
        }
    }
}
