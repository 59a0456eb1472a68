//! A model's tokens as the parser needs them: their bytes, and how text is cut into them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{
    InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv,
};
use llguidance::{Matcher, ParserFactory};

use super::shelf::Shelf;
use super::{Constraint, ConstraintError};
use crate::limits;
use crate::prompt::Prompter;
use crate::schema::Grammar;

/// What one model can write, with the grammars that were asked for last.
pub struct Vocabulary {
    factory: ParserFactory,
    plain: Arc<Plain>,
    /// The newest last.
    shelves: Mutex<VecDeque<Arc<Shelf>>>,
    /// Parsers that wait on shelves.
    waiting: Arc<AtomicUsize>,
}

/// Sets of tokens that a mask takes as one where each of them may follow, instead of trying all of them one by one:
/// those of any text, and those of items in one text, which have no bar. An item that may also be `NOT_FOUND`, or
/// end, is seen to take all of a set only if the set begins with one character by itself.
///
/// All sets have a bound, as all texts have: that one without is not within what may follow is found only by looking
/// for long, which would double what a mask takes.
fn slices() -> Vec<String> {
    let (text, item) = (r#"[^"\\\x00-\x1F\x7F]"#, r#"[^"\\|\x00-\x1F\x7F]"#);
    let mut slices: Vec<String> = [text, item]
        .iter()
        .flat_map(|of| [10, 30].map(|most| format!("{of}{{1,{most}}}")))
        .collect();
    slices.push(format!(r#"[^"\\| \x00-\x1F\x7F]{item}{{0,9}}"#));
    slices
}

/// Tokens after which free text goes on, in every grammar: none of their bytes ends a text or an item, begins an escape, or
/// is a control character.
pub(super) struct Plain(Vec<bool>);

/// A model's tokens. Special ones and gaps have no bytes that a grammar could ask for.
struct Tokens<E> {
    trie: TokTrie,
    encode: E,
}

// === impl Plain ===

impl Plain {
    fn of(words: &[Vec<u8>]) -> Self {
        let is_ordinary = |byte: &u8| !byte.is_ascii_control() && !b"\"\\|".contains(byte);
        Self(words.iter().map(|word| !word.is_empty() && word.iter().all(is_ordinary)).collect())
    }

    pub(super) fn has(&self, token: u32) -> bool {
        self.0.get(token as usize).is_some_and(|is_plain| *is_plain)
    }
}

// === impl Tokens ===

impl<E: Fn(&str) -> Vec<TokenId> + Send> TokenizerEnv for Tokens<E> {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.tokenize_with_greedy_fallback(bytes, &self.encode)
    }
}

// === impl Vocabulary ===

impl Vocabulary {
    /// Of the model that `prompter` speaks to, whose rows of logits have `vocab_size` values.
    pub fn of(prompter: &Arc<Prompter>, vocab_size: usize) -> Result<Self, ConstraintError> {
        let words: Vec<Vec<u8>> =
            (0..vocab_size as u32).map(|id| prompter.token_bytes(id).to_vec()).collect();
        let encoder = Arc::clone(prompter);
        // What cannot be encoded is not forced; the model then writes it token by token.
        let encode = move |text: &str| encoder.encode(text).unwrap_or_default();
        Self::new(words, prompter.stop_ids(), encode)
    }

    /// Of tokens with these bytes; none for those that no text has. `stop_ids` end an answer.
    pub fn new(
        mut words: Vec<Vec<u8>>,
        stop_ids: &[u32],
        encode: impl Fn(&str) -> Vec<u32> + Send + Sync + 'static,
    ) -> Result<Self, ConstraintError> {
        let wrong = |message: String| ConstraintError::Vocabulary { message };
        for &id in stop_ids {
            // Marked bytes: no grammar of text can ask for them.
            let word = words
                .get_mut(id as usize)
                .ok_or_else(|| wrong(format!("the model has no token {id}, which ends answers")))?;
            *word = format!("_<stop{id}>").into_bytes();
            word[0] = TokTrie::SPECIAL_TOKEN_MARKER;
        }
        let first = stop_ids.first().copied();
        let first = first.ok_or_else(|| wrong("no token ends an answer".to_owned()))?;
        let plain = Arc::new(Plain::of(&words));
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, first), &words)
            .with_eos_tokens(stop_ids);
        let tokens: TokEnv = Arc::new(Tokens { trie, encode });
        let mut factory = ParserFactory::new(&tokens, InferenceCapabilities::default(), &slices())
            .map_err(|error| wrong(error.to_string()))?;
        factory.quiet().limits_mut().verbose_errors = false;
        Ok(Self { factory, plain, shelves: Mutex::default(), waiting: Arc::default() })
    }

    /// An answer to be, held to `grammar`.
    pub fn constrain(&self, grammar: &Grammar) -> Result<Constraint, ConstraintError> {
        if let Some(shelf) = self.find(grammar) {
            return Ok(Constraint::new(shelf));
        }
        // Outside the lock: a large grammar takes a while, and others must not wait for it.
        let parser = self
            .factory
            .create_parser(TopLevelGrammar::from_lark(grammar.as_str().to_owned()))
            .map_err(|error| ConstraintError::Grammar { message: error.to_string() })?;
        let (plain, waiting) = (Arc::clone(&self.plain), Arc::clone(&self.waiting));
        let matcher = Matcher::new(Ok(parser));
        let shelf = Arc::new(Shelf::new(grammar.clone(), matcher, plain, waiting));
        self.keep(Arc::clone(&shelf));
        Ok(Constraint::new(shelf))
    }

    fn find(&self, grammar: &Grammar) -> Option<Arc<Shelf>> {
        let shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        shelves.iter().find(|shelf| shelf.grammar == *grammar).map(Arc::clone)
    }

    fn keep(&self, shelf: Arc<Shelf>) {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        if shelves.len() == limits::GRAMMARS_KEPT_MAX {
            shelves.pop_front();
        }
        shelves.push_back(shelf);
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.factory.tok_env().tok_trie().vocab_size();
        f.debug_struct("Vocabulary").field("tokens", &tokens).finish_non_exhaustive()
    }
}
