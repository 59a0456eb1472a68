//! A model's tokens as the parser needs them: their bytes, and how text is cut into them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use llguidance::{Matcher, ParserFactory};

use super::{Constraint, ConstraintError};
use crate::limits;
use crate::prompt::Prompter;
use crate::schema::Grammar;

/// What one model can write, with the grammars that were asked for last.
pub struct Vocabulary {
    factory: ParserFactory,
    /// Parsers that have read nothing, the newest last.
    compiled: Mutex<VecDeque<(Grammar, Matcher)>>,
}

/// A model's tokens. Special ones and gaps have no bytes that a grammar could ask for.
struct Tokens<E> {
    trie: TokTrie,
    encode: E,
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
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, first), &words)
            .with_eos_tokens(stop_ids);
        let tokens: TokEnv = Arc::new(Tokens { trie, encode });
        let mut factory =
            ParserFactory::new_simple(&tokens).map_err(|error| wrong(error.to_string()))?;
        factory.quiet().limits_mut().verbose_errors = false;
        Ok(Self { factory, compiled: Mutex::default() })
    }

    /// An answer to be, held to `grammar`.
    pub fn constrain(&self, grammar: &Grammar) -> Result<Constraint, ConstraintError> {
        if let Some(matcher) = self.find(grammar) {
            return Ok(Constraint::new(matcher));
        }
        // Outside the lock: a large grammar takes a while, and others must not wait for it.
        let parser = self
            .factory
            .create_parser(TopLevelGrammar::from_lark(grammar.as_str().to_owned()))
            .map_err(|error| ConstraintError::Grammar { message: error.to_string() })?;
        let matcher = Matcher::new(Ok(parser));
        self.keep(grammar, matcher.deep_clone());
        Ok(Constraint::new(matcher))
    }

    fn find(&self, grammar: &Grammar) -> Option<Matcher> {
        let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let found = compiled.iter().find(|(known, _)| known == grammar);
        // A deep clone: others would share its lexer, and wait for one another at every token.
        found.map(|(_, matcher)| matcher.deep_clone())
    }

    fn keep(&self, grammar: &Grammar, matcher: Matcher) {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() == limits::GRAMMARS_KEPT_MAX {
            compiled.pop_front();
        }
        compiled.push_back((grammar.clone(), matcher));
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.factory.tok_env().tok_trie().vocab_size();
        f.debug_struct("Vocabulary").field("tokens", &tokens).finish_non_exhaustive()
    }
}
