//! The text of one answer as it grows: whole characters only, cut before a stop text.
//!
//! Text that may turn out to be the beginning of a stop text is held back until that is decided.

use std::fmt;

use crate::fields::TokenScore;
use crate::model::PageShares;

/// Turns tokens into text, one after the other.
pub(super) trait Detokenize: Send + fmt::Debug {
    /// The whole characters that `token` completes, if any.
    fn push(&mut self, token: u32) -> Option<String>;
    /// What is left at the end: characters that were never completed.
    fn flush(&mut self) -> Option<String>;
}

/// Whether the answer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Open,
    /// A stop text matched; the text ends before it.
    Stopped,
}

/// A piece of text to send.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Tokens since the piece before.
    pub(super) tokens: usize,
    /// Of the tokens that wrote it.
    pub(super) scores: Vec<TokenScore>,
}

/// The text of one request.
#[derive(Debug)]
pub(super) struct Answer {
    detokenizer: Box<dyn Detokenize>,
    stop: Vec<String>,
    /// All text so far; from `released` on it may still be cut.
    text: String,
    /// Where the text of the last token begins.
    newest: usize,
    released: usize,
    /// Bytes of `text` that went out as pieces.
    sent: usize,
    /// Tokens since the last piece.
    tokens: usize,
    /// Of tokens whose text is not sent.
    scores: Vec<TokenScore>,
    /// Log-probabilities of tokens that made no text yet, and where the tokens before them looked.
    unwritten: Vec<(f32, PageShares)>,
}

// === impl Answer ===

impl Answer {
    pub(super) fn new(detokenizer: Box<dyn Detokenize>, stop: Vec<String>) -> Self {
        let stop = stop.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self {
            detokenizer,
            stop,
            text: String::new(),
            newest: 0,
            released: 0,
            sent: 0,
            tokens: 0,
            scores: Vec::new(),
            unwritten: Vec::new(),
        }
    }

    /// How probable the token is that is pushed next, and where the one before it looked; not to be called where
    /// nobody asks.
    pub(super) fn score(&mut self, logprob: f32, looked: PageShares) {
        self.unwritten.push((logprob, looked));
    }

    pub(super) fn push(&mut self, token: u32) -> Verdict {
        self.tokens += 1;
        self.newest = self.text.len();
        match self.detokenizer.push(token) {
            Some(text) => self.append(&text),
            None => Verdict::Open,
        }
    }

    /// The text that the last token completed, whether it can be sent yet or not.
    pub(super) fn newest(&self) -> &str {
        &self.text[self.newest.min(self.text.len())..]
    }

    /// Releases what was held back: no more tokens come.
    pub(super) fn finish(&mut self) -> Verdict {
        let rest = self.detokenizer.flush();
        let verdict = rest.map_or(Verdict::Open, |rest| self.append(&rest));
        self.released = self.text.len();
        verdict
    }

    /// The text that can be sent since the last call.
    pub(super) fn piece(&mut self) -> Option<Piece> {
        if self.released == self.sent {
            return None;
        }
        let text = self.text[self.sent..self.released].to_owned();
        self.sent = self.released;
        let written = self.scores.partition_point(|score| score.text.start < self.released);
        let scores = self.scores.drain(..written).collect();
        Some(Piece { text, tokens: std::mem::take(&mut self.tokens), scores })
    }

    /// The whole text, once the answer is finished.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn append(&mut self, text: &str) -> Verdict {
        let start = self.text.len();
        self.text.push_str(text);
        let written = start..self.text.len();
        let score =
            |(logprob, page_shares)| TokenScore { text: written.clone(), logprob, page_shares };
        self.scores.extend(self.unwritten.drain(..).map(score));
        let open = &self.text[self.released..];
        if let Some(at) = self.stop.iter().filter_map(|stop| open.find(stop.as_str())).min() {
            self.text.truncate(self.released + at);
            self.released = self.text.len();
            return Verdict::Stopped;
        }
        self.released = self.text.len() - held_back(open, &self.stop);
        Verdict::Open
    }
}

/// Bytes at the end of `text` that may be the beginning of a stop text.
fn held_back(text: &str, stop: &[String]) -> usize {
    stop.iter().map(|stop| beginning_of(stop, text)).max().unwrap_or(0)
}

/// The longest end of `text` with which `stop`, longer than it, begins.
fn beginning_of(stop: &str, text: &str) -> usize {
    let most = text.len().min(stop.len() - 1);
    (1..=most)
        .rev()
        .find(|&len| stop.is_char_boundary(len) && text.ends_with(&stop[..len]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each token is a byte; characters come out whole.
    #[derive(Debug, Default)]
    struct Bytes(Vec<u8>);

    impl Detokenize for Bytes {
        fn push(&mut self, token: u32) -> Option<String> {
            self.0.push(token as u8);
            let text = std::str::from_utf8(&self.0).ok()?.to_owned();
            self.0.clear();
            Some(text)
        }

        fn flush(&mut self) -> Option<String> {
            let rest = std::mem::take(&mut self.0);
            (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
        }
    }

    /// The pieces of `text` given byte by byte, and whether a stop text ended it.
    fn pieces(text: &str, stop: &[&str]) -> (Vec<Piece>, String, Verdict) {
        let stop = stop.iter().map(|&stop| stop.to_owned()).collect();
        let mut answer = Answer::new(Box::new(Bytes::default()), stop);
        let mut pieces = Vec::new();
        for byte in text.bytes() {
            let verdict = answer.push(u32::from(byte));
            pieces.extend(answer.piece());
            if verdict == Verdict::Stopped {
                return (pieces, answer.into_text(), verdict);
            }
        }
        let verdict = answer.finish();
        pieces.extend(answer.piece());
        (pieces, answer.into_text(), verdict)
    }

    #[test]
    fn stop_text_across_tokens_is_never_sent() {
        let (sent, text, verdict) = pieces("total 12\n\nEND of", &["\nEND"]);
        assert_eq!((text.as_str(), verdict), ("total 12\n", Verdict::Stopped));
        assert_eq!(sent.concat(), text);
    }

    #[test]
    fn held_text_is_released_when_it_is_no_stop_text() {
        let (sent, text, verdict) = pieces("aaab aab", &["aaac", "b\n"]);
        assert_eq!((text.as_str(), verdict), ("aaab aab", Verdict::Open));
        assert_eq!(sent.concat(), text);
    }

    #[test]
    fn the_earliest_of_several_stop_texts_wins() {
        assert_eq!(pieces("abcdef", &["def", "cd"]).1, "ab");
        assert_eq!(pieces("abcdef", &["bcdx", "cd"]).1, "ab");
    }

    #[test]
    fn characters_are_never_cut() {
        let (sent, text, _) = pieces("12 € für 🦀", &["🦁"]);
        assert_eq!(text, "12 € für 🦀");
        assert_eq!(sent.concat(), text);
        assert!(sent.iter().any(|piece| piece.text == "€" && piece.tokens == 3), "{sent:?}");
        // The crab is held back to its last byte, not beyond: it shares no character with the lion.
        assert_eq!(
            sent.last(),
            Some(&Piece { text: "🦀".to_owned(), tokens: 4, scores: Vec::new() })
        );
    }

    #[test]
    fn scores_go_with_the_text_of_their_tokens() {
        let mut answer = Answer::new(Box::new(Bytes::default()), vec!["bc!".to_owned()]);
        let mut scores = Vec::new();
        for (byte, score) in "a€bcd".bytes().zip(0u8..) {
            answer.score(-f32::from(score), vec![f32::from(score)]);
            answer.push(u32::from(byte));
            scores.push(answer.piece().map_or_else(Vec::new, |piece| piece.scores));
        }
        let score = |text, logprob: f32| TokenScore { text, logprob, page_shares: vec![-logprob] };
        let held = [score(4..5, -4.0), score(5..6, -5.0), score(6..7, -6.0)];
        assert_eq!(
            scores,
            [
                vec![score(0..1, 0.0)],
                vec![],
                vec![],
                vec![score(1..4, -1.0), score(1..4, -2.0), score(1..4, -3.0)],
                vec![],
                vec![],
                held.to_vec(),
            ]
        );
    }

    trait Concat {
        fn concat(&self) -> String;
    }

    impl Concat for Vec<Piece> {
        fn concat(&self) -> String {
            self.iter().map(|piece| piece.text.as_str()).collect()
        }
    }

    proptest! {
        #[test]
        fn pieces_joined_are_the_text_before_the_first_stop(
            text in "[abü]{0,40}",
            stop in proptest::collection::vec("[abü]{1,4}", 0..3),
        ) {
            let stop: Vec<&str> = stop.iter().map(String::as_str).collect();
            let (sent, whole, verdict) = pieces(&text, &stop);
            prop_assert_eq!(sent.concat(), whole.clone());
            // Fed byte by byte, the first stop text to be complete wins.
            let end = (0..=text.len()).find(|&end| {
                text.is_char_boundary(end) && stop.iter().any(|stop| text[..end].ends_with(stop))
            });
            let expected = end.map_or(text.as_str(), |end| {
                let at = stop.iter().filter_map(|stop| text[..end].find(stop)).min();
                &text[..at.unwrap_or(end)]
            });
            prop_assert_eq!(whole, expected);
            prop_assert_eq!(verdict == Verdict::Stopped, end.is_some());
        }
    }
}
