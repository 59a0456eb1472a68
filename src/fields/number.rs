//! The grammar of a JSON number, character by character.

/// What of a number has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberPart {
    Minus,
    /// A leading zero, which no digit may follow.
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    ESign,
    Exponent,
}

impl NumberPart {
    /// The part that a number's first character is; none where no number begins with it.
    pub(super) fn first(c: char) -> Option<Self> {
        match c {
            '-' => Some(Self::Minus),
            '0' => Some(Self::Zero),
            '1'..='9' => Some(Self::Whole),
            _ => None,
        }
    }

    /// The part that `c` leads to; none where `c` does not belong to the number any more.
    pub(super) fn next(self, c: char) -> Option<Self> {
        match (self, c) {
            (Self::Minus, c) => Self::first(c).filter(|part| *part != Self::Minus),
            (Self::Whole, '0'..='9') => Some(Self::Whole),
            (Self::Zero | Self::Whole, '.') => Some(Self::Point),
            (Self::Point | Self::Fraction, '0'..='9') => Some(Self::Fraction),
            (Self::Zero | Self::Whole | Self::Fraction, 'e' | 'E') => Some(Self::E),
            (Self::E, '+' | '-') => Some(Self::ESign),
            (Self::E | Self::ESign | Self::Exponent, '0'..='9') => Some(Self::Exponent),
            _ => None,
        }
    }

    /// Whether a number may end here.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Exponent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_number(text: &str) -> bool {
        let mut chars = text.chars();
        let first = chars.next().and_then(NumberPart::first);
        let last = chars.fold(first, |part, c| part.and_then(|part| part.next(c)));
        last.is_some_and(NumberPart::is_whole)
    }

    proptest! {
        /// The library parses numbers of any size as unchecked text here, so its grammar decides.
        #[test]
        fn is_the_grammar_of_serde(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?") {
            let known = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(is_number(&text), known);
        }
    }
}
