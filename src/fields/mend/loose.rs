//! A reader of what models write where JSON was asked for.

use serde_json::Value;

use super::{Draft, Leaf, Mended, Repair};
use crate::limits::FIELD_DEPTH_MAX;

/// Where the text stops making sense, or ends.
struct Stuck;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The object so far.
    out: Draft,
    repairs: Vec<Repair>,
    depth: usize,
    /// Lists and objects that are open in `out`, as their closing brackets.
    open: Vec<char>,
    /// Length of `out`, and brackets open, behind the last value that is whole.
    whole: (usize, usize),
}

/// The first object of `answer` that has a member.
pub(super) fn object(answer: &str) -> Option<Mended> {
    let start = answer.find('{')?;
    let mut reader = Reader {
        text: answer,
        at: start,
        out: Draft::default(),
        repairs: Vec::new(),
        depth: 0,
        open: Vec::new(),
        whole: (0, 0),
    };
    let is_whole = reader.object().is_ok();
    if reader.out.leaves.is_empty() {
        return None;
    }
    reader.repairs.sort_unstable();
    reader.repairs.dedup();
    let Reader { mut out, repairs, open, whole, .. } = reader;
    if !is_whole {
        // What is whole of it, closed, so that its fields can be read.
        out.json.truncate(whole.0);
        out.json.extend(open[..whole.1.min(open.len())].iter().rev());
    }
    let fields = out.fields();
    Some(Mended { document: is_whole.then_some(out.json), fields, repairs })
}

// === impl Reader ===

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn mended(&mut self, repair: Repair) {
        self.repairs.push(repair);
    }

    /// Passes over blanks and comments.
    fn blanks(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let rest = self.rest();
            let len = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else {
                return;
            };
            self.at += len;
            self.mended(Repair::Comments);
        }
    }

    fn object(&mut self) -> Result<(), Stuck> {
        self.open('{', '}')?;
        let mut first = true;
        loop {
            self.blanks();
            if self.skip('}') {
                self.close(first);
                return Ok(());
            }
            if self.comma(first, '}')? {
                self.close(first);
                return Ok(());
            }
            let name = self.name()?;
            self.blanks();
            if !self.skip(':') {
                return Err(Stuck);
            }
            if !first {
                self.out.json.push_str(", ");
            }
            self.out.json.push_str(&Value::from(name).to_string());
            self.out.json.push_str(": ");
            self.value()?;
            first = false;
        }
    }

    fn list(&mut self) -> Result<(), Stuck> {
        self.open('[', ']')?;
        let mut first = true;
        loop {
            self.blanks();
            if self.skip(']') {
                self.close(first);
                return Ok(());
            }
            if self.comma(first, ']')? {
                self.close(first);
                return Ok(());
            }
            if !first {
                self.out.json.push_str(", ");
            }
            self.value()?;
            first = false;
        }
    }

    fn open(&mut self, open: char, close: char) -> Result<(), Stuck> {
        self.depth += 1;
        if self.depth > FIELD_DEPTH_MAX || !self.skip(open) {
            return Err(Stuck);
        }
        self.out.json.push(open);
        self.open.push(close);
        Ok(())
    }

    fn close(&mut self, is_empty: bool) {
        self.depth -= 1;
        self.out.json.extend(self.open.pop());
        // An empty list or object is a leaf.
        if is_empty && self.depth > 0 {
            let at = self.out.json.len() - "[]".len();
            self.out.leaves.push(Leaf { at, said: self.at - 1..self.at });
        }
        self.whole = (self.out.json.len(), self.open.len());
    }

    /// What stands between members. True where there was one comma too many and the end follows.
    fn comma(&mut self, first: bool, close: char) -> Result<bool, Stuck> {
        if self.peek().is_none() {
            return Err(Stuck);
        }
        if first {
            return Ok(false);
        }
        if !self.skip(',') {
            self.mended(Repair::MissingComma);
            return Ok(false);
        }
        self.blanks();
        if self.skip(close) {
            self.mended(Repair::TrailingComma);
            return Ok(true);
        }
        Ok(false)
    }

    fn name(&mut self) -> Result<String, Stuck> {
        if let Some(quote) = self.peek().and_then(closing) {
            return self.quoted(quote);
        }
        let rest = self.rest();
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let len = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        if len == 0 {
            return Err(Stuck);
        }
        let name = rest[..len].to_owned();
        self.at += len;
        self.mended(Repair::BareNames);
        Ok(name)
    }

    fn value(&mut self) -> Result<(), Stuck> {
        self.blanks();
        let start = self.at;
        let (leaf, said) = match self.peek().ok_or(Stuck)? {
            '{' => return self.object(),
            '[' => return self.list(),
            quote if closing(quote).is_some() => {
                let text = self.quoted(closing(quote).ok_or(Stuck)?)?;
                // As for whole answers: the opening quote says nothing yet.
                (Value::from(text).to_string(), start + quote.len_utf8()..self.at)
            }
            _ => {
                let leaf = self.bare()?;
                (leaf, start..self.at)
            }
        };
        self.out.leaf(&leaf, said);
        self.whole = (self.out.json.len(), self.open.len());
        Ok(())
    }

    /// A number or a word, up to what ends it.
    fn bare(&mut self) -> Result<String, Stuck> {
        let rest = self.rest();
        // A value that the text ends in may not be whole.
        let len = rest.find([',', '}', ']', '\n', ' ']).ok_or(Stuck)?;
        let word = &rest[..len];
        let leaf = match word {
            "true" | "false" | "null" => word.to_owned(),
            "True" | "TRUE" => self.word("true"),
            "False" | "FALSE" => self.word("false"),
            "None" | "NULL" | "undefined" | "NaN" => self.word("null"),
            number if serde_json::from_str::<serde_json::Number>(number).is_ok() => {
                number.to_owned()
            }
            _ => return Err(Stuck),
        };
        self.at += len;
        Ok(leaf)
    }

    fn word(&mut self, json: &str) -> String {
        self.repairs.push(Repair::Words);
        json.to_owned()
    }

    /// A text up to its closing quote.
    fn quoted(&mut self, close: char) -> Result<String, Stuck> {
        let open = self.peek().ok_or(Stuck)?;
        self.at += open.len_utf8();
        if close != '"' {
            self.mended(Repair::Quotes);
        }
        let mut text = String::new();
        loop {
            let c = self.peek().ok_or(Stuck)?;
            self.at += c.len_utf8();
            match c {
                c if c == close => return Ok(text),
                '\\' => self.escape(&mut text)?,
                '\0'..='\u{1f}' => {
                    self.mended(Repair::Characters);
                    text.push(c);
                }
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), Stuck> {
        let c = self.peek().ok_or(Stuck)?;
        self.at += c.len_utf8();
        match c {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            '"' | '\\' | '/' => text.push(c),
            'u' => {
                let digits = self.rest().get(..4).ok_or(Stuck)?;
                let unit = u32::from_str_radix(digits, 16).map_err(|_| Stuck)?;
                self.at += 4;
                // Half of a pair is no character; nobody writes pairs where JSON was not held to.
                text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            other => {
                self.mended(Repair::Characters);
                text.push(other);
            }
        }
        Ok(())
    }
}

/// The quote that closes what `open` opens.
fn closing(open: char) -> Option<char> {
    match open {
        '"' | '\'' => Some(open),
        '“' => Some('”'),
        '‘' => Some('’'),
        _ => None,
    }
}
