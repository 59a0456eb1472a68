//! Whether traces hold what was asked and answered. They do not, unless the operator says so: documents are
//! personal data, and a backend for traces is seldom made for such.

/// Characters of one attribute; the rest is cut off, and said to be.
const CHARS_MAX: usize = 16_384;

/// How much of an answer's text its trace shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// Nothing.
    #[default]
    Off,
    /// Its form: names of fields, punctuation and spaces stay, letters become `x` and `X`, digits `0`.
    Redacted,
    /// All of it, and the question too.
    Whole,
}

impl Content {
    /// The text as it may be shown. `is_name` says which words are names of fields.
    pub fn answer(self, text: &str, is_name: impl Fn(&str) -> bool) -> Option<String> {
        match self {
            Self::Off => None,
            Self::Redacted => Some(cut(&redacted(text, is_name))),
            Self::Whole => Some(cut(text)),
        }
    }

    /// The question as it may be shown: callers write theirs themselves, and anything into it.
    pub fn question(self, text: &str) -> Option<String> {
        (self == Self::Whole).then(|| cut(text))
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => {
            format!("{} [{} bytes more]", &text[..end], text.len() - end)
        }
    }
}

fn redacted(text: &str, is_name: impl Fn(&str) -> bool) -> String {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if in_word(first) {
            rest.find(|c| !in_word(c)).unwrap_or(rest.len())
        } else {
            rest.find(in_word).unwrap_or(rest.len())
        };
        let (run, after) = rest.split_at(end);
        // A name only where it is used as one: `"NAME":` in JSON, `NAME:` at the start of a line.
        let is_key = after.trim_start_matches('"').trim_start().starts_with(':');
        if is_key && is_name(run) {
            out.push_str(run);
        } else {
            out.extend(run.chars().map(masked));
        }
        rest = after;
    }
    out
}

/// Marks and spaces say how a text is written, not what.
fn masked(c: char) -> char {
    match c {
        _ if c.is_numeric() => '0',
        _ if c.is_uppercase() => 'X',
        _ if c.is_alphabetic() => 'x',
        _ if c.is_ascii() => c,
        _ => '·',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "{\"SUPPLIER_NAME\":\"Jane Doe\",\n \"TOTAL_AMOUNT\" : \"$12.50\", \"NOTE\":\"Ärger, 漢字 €5\"}";

    fn is_name(word: &str) -> bool {
        ["SUPPLIER_NAME", "TOTAL_AMOUNT"].contains(&word)
    }

    #[test]
    fn nothing_is_shown_by_default() {
        assert_eq!(Content::default().answer(ANSWER, is_name), None);
        assert_eq!(Content::default().question("who is Jane Doe?"), None);
    }

    #[test]
    fn names_and_form_stay() {
        let shown = Content::Redacted.answer(ANSWER, is_name).unwrap();
        assert_eq!(
            shown,
            "{\"SUPPLIER_NAME\":\"Xxxx Xxx\",\n \"TOTAL_AMOUNT\" : \"$00.00\", \"XXXX\":\"Xxxxx, xx ·0\"}"
        );
        assert_eq!(Content::Redacted.question("who is Jane Doe?"), None);
    }

    #[test]
    fn a_name_that_is_a_value_does_not_stay() {
        let shown = Content::Redacted.answer("{\"TOTAL_AMOUNT\":\"SUPPLIER_NAME\"}", is_name);
        assert_eq!(shown.unwrap(), "{\"TOTAL_AMOUNT\":\"XXXXXXXX_XXXX\"}");
        let shown = Content::Redacted.answer("TOTAL_AMOUNT: 7\nJane: 5", is_name);
        assert_eq!(shown.unwrap(), "TOTAL_AMOUNT: 0\nXxxx: 0");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let shown = Content::Whole.answer(&"é".repeat(CHARS_MAX + 3), is_name).unwrap();
        assert!(shown.starts_with("éé") && shown.ends_with("é [6 bytes more]"), "{shown}");
        assert_eq!(Content::Whole.answer(ANSWER, is_name).unwrap(), ANSWER);
    }
}
