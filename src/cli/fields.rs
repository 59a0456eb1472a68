//! Fields of an answer while it is still being written: each member of its JSON object as soon as that
//! member is whole.

use serde_json::{Map, Value};

/// Takes the answer piece by piece.
#[derive(Debug, Default)]
pub(super) struct FieldScanner {
    text: String,
    /// Bytes of `text` looked at.
    seen: usize,
    /// Start of the member being written; none outside the object.
    member: Option<usize>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    ended: bool,
}

impl FieldScanner {
    /// Takes `piece` and returns the members that it made whole.
    pub(super) fn push(&mut self, piece: &str) -> Map<String, Value> {
        self.text.push_str(piece);
        let mut whole = Map::new();
        while self.seen < self.text.len() && !self.ended {
            let at = self.seen;
            let byte = self.text.as_bytes()[at];
            self.seen += 1;
            if let Some(member) = self.step(at, byte) {
                // A member that is no JSON is the final check's to report.
                let object = format!("{{{}}}", &self.text[member..at]);
                whole.extend(
                    serde_json::from_str::<Map<String, Value>>(&object).unwrap_or_default(),
                );
            }
        }
        whole
    }

    /// What is being written after the last whole member.
    pub(super) fn rest(&self) -> &str {
        if self.ended { "" } else { &self.text[self.member.unwrap_or(0)..] }
    }

    /// Looks at one byte; the start of the member that ends before it, if one does.
    fn step(&mut self, at: usize, byte: u8) -> Option<usize> {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return None;
        }
        match byte {
            b'"' if self.depth > 0 => self.in_string = true,
            b'{' | b'[' if self.depth > 0 => self.depth += 1,
            // Whatever stands before the object, like a code fence, is skipped.
            b'{' => {
                self.depth = 1;
                self.member = Some(at + 1);
            }
            b',' if self.depth == 1 => return self.member.replace(at + 1),
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.ended = true;
                    return self.member.take();
                }
            }
            _ => {}
        }
        None
    }
}

/// A value as people read it: text without quotes.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str =
        "```json\n{\"A\": \"x, \\\"y\\\" {z}\", \"B\": [1, {\"c\": 2}],\n \"C\": null}\n```";

    #[test]
    fn any_cut_gives_the_same_fields_in_order() {
        for size in 1..ANSWER.len() {
            let mut scanner = FieldScanner::default();
            let mut fields = Map::new();
            for piece in ANSWER.as_bytes().chunks(size) {
                fields.extend(scanner.push(std::str::from_utf8(piece).unwrap()));
            }
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect();
            assert_eq!(fields, ["A=x, \"y\" {z}", "B=[1,{\"c\":2}]", "C=null"]);
        }
    }

    #[test]
    fn a_field_comes_with_its_last_byte() {
        let mut scanner = FieldScanner::default();
        assert!(scanner.push("{\"A\": \"1\"").is_empty());
        assert_eq!(scanner.rest(), "\"A\": \"1\"");
        assert_eq!(scanner.push(",").len(), 1);
        assert_eq!(scanner.push(" \"B\": 2}").len(), 1);
        assert_eq!(scanner.push(", \"C\": 3}").len(), 0, "the object has ended");
    }

    #[test]
    fn text_without_an_object_has_no_fields() {
        assert!(FieldScanner::default().push("Total: 3, [4], \"5\"").is_empty());
    }
}
