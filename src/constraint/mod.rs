//! Holds an answer to a grammar: which tokens may come next, and which must.
//!
//! [`Vocabulary`] knows a model's tokens as bytes and turns a [`Grammar`](crate::schema::Grammar) into
//! a [`Constraint`], the state of one answer. The parser is llguidance's; what is ours is the
//! vocabulary, the grammars, and when masks are computed: on threads of their own, beside the forward
//! pass after which they are needed.

mod answer;
mod mask;
mod shelf;
mod turn;
mod vocabulary;
mod workers;

pub use answer::Constraint;
pub use mask::Mask;
pub use turn::Begun;
pub use vocabulary::Vocabulary;
pub use workers::each;

/// Why an answer cannot be held to a grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// The grammar is too large, or names what the vocabulary cannot write. Another schema may do.
    #[error(
        "the schema makes a grammar that is too large: {message}; ask for fewer fields, or turn constrained decoding off"
    )]
    Grammar { message: String },
    /// The vocabulary's files do not fit together.
    #[error("the tokenizer cannot be used for constrained decoding: {message}")]
    Vocabulary { message: String },
    /// An answer is no beginning of what the grammar allows, or the parser gave up on it.
    #[error("constrained decoding failed: {message}")]
    Answer { message: String },
}

#[cfg(test)]
mod tests;
