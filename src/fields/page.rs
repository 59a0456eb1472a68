//! Which page a value is from.
//!
//! A PDF that a program wrote brings the text of its pages, and a value that stands on one of them alone is from
//! there. Scans have no text, and a value may stand on several pages: then it is where the model looked while it wrote
//! the value, if it looked at one page more than at all others.

use std::borrow::Cow;
use std::ops::Range;

use super::confidence::TokenScore;
use super::looked::Looked;
use super::normal::{SEPARATOR, abn, is_absent};
use super::{Field, FieldValue};
use crate::schema::{Kind, Printed};

/// What there is to read on each page of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageTexts {
    pages: usize,
    /// Of each page, in the form of [`words`]; none where a page has no text.
    texts: Option<Vec<String>>,
}

/// The page that a value is from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundPage {
    pub page: usize,
    pub by: PageEvidence,
}

/// By what a page is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PageEvidence {
    /// There is no other.
    OnlyPage,
    /// The text of no other page has the value.
    Text,
    /// So much of the attention that fell on pages while the value was written, `0..=1`.
    Attention(f32),
}

// === impl PageTexts ===

impl PageTexts {
    /// Of a document with these pages, each with its text where it brought one.
    pub fn new<'a>(pages: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let texts: Vec<Option<&str>> = pages.into_iter().collect();
        let pages = texts.len();
        // Of a single page nothing has to be found out.
        if pages < 2 {
            return Self { pages, texts: None };
        }
        let texts: Option<Vec<String>> = texts.into_iter().map(|text| text.map(words)).collect();
        let texts = texts.filter(|texts| texts.iter().all(|text| text.len() > BLANK.len()));
        Self { pages, texts }
    }

    /// The page that `field` is from, where that is known. `kind` is what the schema says it is; the tokens of
    /// `scores` that wrote the text `said` wrote the value.
    pub fn page_of(
        &self,
        field: &Field,
        kind: Option<&Kind>,
        said: &Range<usize>,
        scores: &[TokenScore],
    ) -> Option<FoundPage> {
        if self.pages == 1 {
            return Some(FoundPage { page: 0, by: PageEvidence::OnlyPage });
        }
        let having = self.having(field, kind);
        if let [page] = having[..] {
            return Some(FoundPage { page, by: PageEvidence::Text });
        }
        if !is_written(field, kind) {
            return None;
        }
        let Looked { page, share } = Looked::of(said, scores)?;
        // What stands on some pages is from one of those.
        let is_possible = page < self.pages && (having.is_empty() || having.contains(&page));
        is_possible.then_some(FoundPage { page, by: PageEvidence::Attention(share) })
    }

    /// The pages whose text has the value, where all have a text.
    fn having(&self, field: &Field, kind: Option<&Kind>) -> Vec<usize> {
        let (Some(texts), Some(wanted)) = (&self.texts, spellings(field, kind)) else {
            return Vec::new();
        };
        let has = |text: &String| {
            wanted.iter().all(|spellings| spellings.iter().any(|one| text.contains(one.as_str())))
        };
        let pages = texts.iter().enumerate();
        pages.filter(|(_, text)| has(text)).map(|(page, _)| page).collect()
    }
}

/// Whether there is a value that stands on a page. What a page is, and what is said of it, follows from all of it.
fn is_written(field: &Field, kind: Option<&Kind>) -> bool {
    let is_said_of_it = is_said_of_pages(kind);
    match &field.value {
        FieldValue::Text(text) => {
            !is_said_of_it && !is_absent(text) && words(text).len() > BLANK.len()
        }
        FieldValue::Number(_) => !is_said_of_it,
        FieldValue::Bool(_)
        | FieldValue::Null
        | FieldValue::EmptyList
        | FieldValue::EmptyObject => false,
    }
}

/// Values of this kind are no words that stand there.
fn is_said_of_pages(kind: Option<&Kind>) -> bool {
    matches!(kind, Some(Kind::Choice(_) | Kind::Boolean | Kind::Printed(Printed::Boolean)))
}

/// Words without any: a blank.
const BLANK: &str = " ";

/// What a page must have, all of it, each in one of its spellings; none for a value that no page has as it is
/// written.
fn spellings(field: &Field, kind: Option<&Kind>) -> Option<Vec<Vec<String>>> {
    let text = match &field.value {
        FieldValue::Text(text) if !is_absent(text) => text.as_str(),
        FieldValue::Number(_) => field.raw.as_str(),
        _ => return None,
    };
    let parts: Vec<&str> = match kind {
        Some(Kind::Joined { .. }) => text.split(SEPARATOR).collect(),
        kind if is_said_of_pages(kind) => return None,
        _ => vec![text],
    };
    let is_abn = matches!(kind, Some(Kind::Printed(Printed::Abn)));
    let wanted: Vec<Vec<String>> = parts
        .into_iter()
        .map(|part| match abn(part).filter(|_| is_abn) {
            Some(digits) => spellings_of_abn(&digits),
            None => vec![words(part)],
        })
        .collect();
    // A blank is on every page.
    let says = |spellings: &Vec<String>| spellings.iter().all(|one| one.len() > BLANK.len());
    (!wanted.is_empty() && wanted.iter().all(says)).then_some(wanted)
}

/// Pages have the eleven digits in one, or in groups.
fn spellings_of_abn(digits: &str) -> Vec<String> {
    let groups = [&digits[..2], &digits[2..5], &digits[5..8], &digits[8..]].join(" ");
    [digits, &groups].map(words).to_vec()
}

/// `text` as it is compared: words of letters and digits, each between two blanks, whatever stood between them.
/// Numbers keep their point and lose the commas between thousands; capital letters become small ones.
fn words(text: &str) -> String {
    let text: Cow<'_, str> = if text.is_ascii() {
        text.into()
    } else {
        text.chars().map(unligated).collect::<String>().into()
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push_str(BLANK);
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        let in_number = before.is_ascii_digit() && rest.peek().is_some_and(char::is_ascii_digit);
        match char {
            ',' if in_number => {}
            '.' if in_number => out.push(char),
            char if char.is_alphanumeric() => out.extend(char.to_lowercase()),
            _ if out.ends_with(BLANK) => {}
            _ => out.push_str(BLANK),
        }
        before = char;
    }
    if !out.ends_with(BLANK) {
        out.push_str(BLANK);
    }
    out
}

/// What a glyph of two or three letters says.
fn unligated(char: char) -> Cow<'static, str> {
    match char {
        '\u{fb00}' => "ff".into(),
        '\u{fb01}' => "fi".into(),
        '\u{fb02}' => "fl".into(),
        '\u{fb03}' => "ffi".into(),
        '\u{fb04}' => "ffl".into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: &str =
        "ACME Pty. Ltd  ABN 51824753556\nTax invoice  03/04/2028\nQty 2  11.00  22.00 Coﬀee";
    const SECOND: &str = "Page 2\nAmount due: $1,234.50\nABN: 93 283 243 719  Qty 1  11.00";

    fn field(value: FieldValue, raw: &str) -> Field {
        Field { pointer: "/A".to_owned(), value, raw: raw.to_owned(), start: 0 }
    }

    fn said(text: &str) -> Field {
        field(FieldValue::Text(text.to_owned()), "")
    }

    fn both() -> PageTexts {
        PageTexts::new([Some(FIRST), Some(SECOND)])
    }

    /// The page by its text, or because it is the only one.
    fn page_of(texts: &PageTexts, field: &Field, kind: Option<&Kind>) -> Option<usize> {
        let found = texts.page_of(field, kind, &(0..1), &[])?;
        assert!(!matches!(found.by, PageEvidence::Attention(_)), "{found:?}");
        Some(found.page)
    }

    #[track_caller]
    fn check(text: &str, kind: &Kind, expected: Option<usize>) {
        assert_eq!(page_of(&both(), &said(text), Some(kind)), expected, "{text}");
    }

    /// A token that looked at the pages so much.
    fn looked(page_shares: &[f32]) -> [TokenScore; 1] {
        [TokenScore { text: 0..5, logprob: 0.0, page_shares: page_shares.to_vec() }]
    }

    #[test]
    fn without_text_a_value_is_from_where_the_model_looked() {
        let scans = PageTexts::new([None, None, Some("a page with text")]);
        let find = |texts: &PageTexts, field: &Field, shares: &[f32]| {
            texts.page_of(field, None, &(0..5), &looked(shares))
        };
        let found = |page, by| Some(FoundPage { page, by });
        // Halves and quarters have no rounding.
        let shares = [0.125, 0.375];
        let looked_at = found(1, PageEvidence::Attention(0.75));
        assert_eq!(find(&scans, &said("11.00"), &[0.125, 0.375, 0.0]), looked_at);
        assert_eq!(find(&scans, &said("11.00"), &[0.1, 0.1, 0.1]), None);
        // What is said of a page stands nowhere on it.
        assert_eq!(find(&scans, &field(FieldValue::Bool(true), "true"), &[0.3]), None);
        let choice = Kind::Choice(vec!["invoice".into(), "receipt".into()]);
        let chosen = scans.page_of(&said("invoice"), Some(&choice), &(0..5), &looked(&[0.3]));
        assert_eq!(chosen, None);
        // A page that there is not.
        assert_eq!(find(&scans, &said("11.00"), &[0.0, 0.0, 0.0, 0.3]), None);
        // On both pages: the one that was looked at. On one alone: that one.
        assert_eq!(find(&both(), &said("11.00"), &shares), looked_at);
        assert_eq!(find(&both(), &said("coffee"), &[0.1, 0.3]), found(0, PageEvidence::Text));
        // Nothing is from nowhere.
        for nothing in ["NOT_FOUND", " / "] {
            assert_eq!(find(&scans, &said(nothing), &[0.1, 0.3]), None, "{nothing}");
        }
        assert_eq!(find(&scans, &field(FieldValue::Null, "null"), &[0.1, 0.3]), None);
    }

    /// Text of a third page, which the model looked at, does not have it.
    #[test]
    fn a_page_whose_text_lacks_the_value_is_not_named() {
        let three = PageTexts::new([Some("11.00"), Some("11.00"), Some("12.00")]);
        let scores = looked(&[0.0, 0.1, 0.4]);
        assert_eq!(three.page_of(&said("11.00"), None, &(0..5), &scores), None);
    }

    #[test]
    fn a_value_is_on_the_only_page_that_has_it() {
        let (money, text) = (Kind::Printed(Printed::Money), Kind::TEXT);
        check("acme PTY LTD", &text, Some(0));
        check("coffee", &text, Some(0));
        check("$1234.50", &money, Some(1));
        check("3/04/2028", &Kind::Printed(Printed::Date), None);
        check("03/04/2028", &Kind::Printed(Printed::Date), Some(0));
        let total = field(FieldValue::Number(1234.5), "1234.50");
        assert_eq!(page_of(&both(), &total, Some(&Kind::Decimal)), Some(1));
        // On both, on none, and a part of a word or a number only.
        check("11.00", &money, None);
        check("ACM", &text, None);
        check("2.00", &money, None);
        check("234.50", &money, None);
        // A quantity and a price are no price.
        check("211.00", &money, None);
    }

    #[test]
    fn an_abn_may_be_grouped() {
        let abn = Kind::Printed(Printed::Abn);
        check("51 824 753 556", &abn, Some(0));
        check("93283243719", &abn, Some(1));
        check("ABN 93 283 243 719", &abn, Some(1));
    }

    #[test]
    fn a_list_is_where_all_its_items_are() {
        let list = |item| Kind::Joined { item: Box::new(item), items_max: 8 };
        check("2 | 1", &list(Kind::Printed(Printed::Quantity)), Some(1));
        check("11.00 | 22.00", &list(Kind::Printed(Printed::Money)), Some(0));
        check("11.00 | | 22.00", &list(Kind::Printed(Printed::Money)), None);
    }

    /// A receipt does not always say that it is one, and `true` stands nowhere.
    #[test]
    fn what_stands_on_no_page_is_on_none() {
        let choice = Kind::Choice(vec!["invoice".into(), "page".into()]);
        check("invoice", &choice, None);
        let both = PageTexts::new([Some("true"), Some("null and void")]);
        assert_eq!(page_of(&both, &said("true"), Some(&Kind::Printed(Printed::Boolean))), None);
        assert_eq!(page_of(&both, &field(FieldValue::Bool(true), "true"), None), None);
        assert_eq!(page_of(&both, &field(FieldValue::Null, "null"), None), None);
        assert_eq!(page_of(&both, &said(" / "), None), None);
        let both = PageTexts::new([Some("Supplier not found"), Some("2")]);
        assert_eq!(page_of(&both, &said("NOT_FOUND"), None), None);
    }

    #[test]
    fn a_page_without_text_may_have_anything() {
        for texts in [[Some(FIRST), None], [Some(FIRST), Some(" \n")], [None, None]] {
            assert_eq!(page_of(&PageTexts::new(texts), &said("coffee"), None), None, "{texts:?}");
        }
        assert_eq!(page_of(&PageTexts::new([None]), &said("coffee"), None), Some(0));
        assert_eq!(page_of(&PageTexts::default(), &said("coffee"), None), None);
    }

    proptest! {
        /// Whatever is said, and however pages are laid out: a page that is named has it, and no other does.
        #[test]
        fn only_a_page_that_has_the_value_is_named(
            pages in prop::collection::vec("[a-c1-3., \n]{0,12}", 2..4),
            value in "[a-c1-3.,$ ]{0,6}",
        ) {
            let texts = PageTexts::new(pages.iter().map(|page| Some(page.as_str())));
            if let Some(found) = page_of(&texts, &said(&value), None) {
                let holds = |page: &str| {
                    let all: Vec<String> = words(page).split(' ').map(str::to_owned).collect();
                    let wanted = words(&value);
                    let wanted: Vec<&str> = wanted.trim().split(' ').collect();
                    all.windows(wanted.len()).any(|some| some == wanted)
                };
                for (index, page) in pages.iter().enumerate() {
                    prop_assert_eq!(holds(page), index == found, "{:?} in {:?}", value, pages);
                }
            }
        }
    }
}
