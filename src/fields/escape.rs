//! The inside of a JSON string, character by character: whole characters come out, never a part of
//! an escape or half a surrogate pair.

/// Where in a string the next character stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Unescaper {
    at: At,
    /// The first half of a surrogate pair.
    high: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
enum At {
    #[default]
    Plain,
    Backslash,
    /// Behind `\u`: the value and number of the digits so far.
    Hex(u32, u8),
}

/// What one character of a string meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The string goes on.
    Open,
    /// That was its closing quote.
    Closed,
    /// No JSON string has this.
    Invalid,
}

impl Unescaper {
    /// Takes the next character behind the opening quote; adds to `text` what is decided now.
    pub(super) fn step(&mut self, c: char, text: &mut String) -> Step {
        match self.at {
            At::Plain => self.plain(c, text),
            At::Backslash => self.escaped(c, text),
            At::Hex(value, digits) => {
                let Some(digit) = c.to_digit(16) else { return Step::Invalid };
                let value = value * 16 + digit;
                if digits < 3 {
                    self.at = At::Hex(value, digits + 1);
                } else {
                    self.at = At::Plain;
                    self.unit(value, text);
                }
                Step::Open
            }
        }
    }

    fn plain(&mut self, c: char, text: &mut String) -> Step {
        match c {
            '\\' => {
                self.at = At::Backslash;
                return Step::Open;
            }
            '"' => {
                self.end_pair(text);
                return Step::Closed;
            }
            '\0'..='\u{1f}' => return Step::Invalid,
            c => self.push(c, text),
        }
        Step::Open
    }

    fn escaped(&mut self, c: char, text: &mut String) -> Step {
        self.at = At::Plain;
        match c {
            '"' | '\\' | '/' => self.push(c, text),
            'b' => self.push('\u{8}', text),
            'f' => self.push('\u{c}', text),
            'n' => self.push('\n', text),
            'r' => self.push('\r', text),
            't' => self.push('\t', text),
            'u' => self.at = At::Hex(0, 0),
            _ => return Step::Invalid,
        }
        Step::Open
    }

    /// A UTF-16 unit. A surrogate without its partner is no character and becomes U+FFFD.
    fn unit(&mut self, unit: u32, text: &mut String) {
        if let (Some(high), 0xdc00..=0xdfff) = (self.high, unit) {
            self.high = None;
            let code = 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00);
            text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            return;
        }
        self.end_pair(text);
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            _ => text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    fn push(&mut self, c: char, text: &mut String) {
        self.end_pair(text);
        text.push(c);
    }

    fn end_pair(&mut self, text: &mut String) {
        if self.high.take().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of what stands behind an opening quote; none where it is no string.
    fn unescape(inside: &str) -> Option<String> {
        let mut unescaper = Unescaper::default();
        let mut text = String::new();
        for (at, c) in inside.char_indices() {
            match unescaper.step(c, &mut text) {
                Step::Open => {}
                Step::Closed => return (at + 1 == inside.len()).then_some(text),
                Step::Invalid => return None,
            }
        }
        None
    }

    #[test]
    fn every_escape() {
        for (inside, expected) in [
            (r#"""#, Some("")),
            (r#"a\"b\\c\/d""#, Some("a\"b\\c/d")),
            (r#"\b\f\n\r\t""#, Some("\u{8}\u{c}\n\r\t")),
            (r#"\u0041\u20ac\u20AC""#, Some("A€€")),
            (r#"\ud83e\udd80""#, Some("🦀")),
            (r#"\ud83e""#, Some("\u{fffd}")),
            (r#"\ud83ex""#, Some("\u{fffd}x")),
            (r#"\ud83e\ud83e\udd80""#, Some("\u{fffd}🦀")),
            (r#"\udd80\n""#, Some("\u{fffd}\n")),
            (r#"\x""#, None),
            (r#"\u12g4""#, None),
            ("a\nb\"", None),
            ("open", None),
        ] {
            assert_eq!(unescape(inside).as_deref(), expected, "{inside}");
        }
    }

    #[test]
    fn nothing_comes_before_it_is_decided() {
        let mut unescaper = Unescaper::default();
        let mut text = String::new();
        for c in r"\ud83e\udd8".chars() {
            assert_eq!(unescaper.step(c, &mut text), Step::Open);
            assert_eq!(text, "");
        }
        unescaper.step('0', &mut text);
        assert_eq!(text, "🦀");
    }
}
