//! Masks on their way: begun by the step thread, computed by others, all of a step handed over at once.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use llguidance::Matcher;

use super::mask::{Mask, Promise};
use super::shelf::{Reader, Shelf};
use super::{ConstraintError, workers};

/// Masks that were begun and that no thread has yet. They are handed over together, when this is dropped: each wake-up of
/// another thread holds up the step.
#[derive(Default)]
pub struct Begun(Vec<Turn>);

/// A mask to be computed, and the parser for it.
pub(super) struct Turn {
    reader: Reader,
    /// Said since the parser knew last.
    token: Option<u32>,
    promise: Promise,
    way: Arc<Way>,
    /// Where the parser goes if nobody wants it back.
    shelf: Arc<Shelf>,
}

/// A parser that another thread has, as its owner sees it.
pub(super) struct Away {
    /// Known once the parser is back, or lost.
    mask: Mask,
    way: Arc<Way>,
}

/// Between a parser's owner and the thread that has it.
struct Way(Mutex<Where>);

enum Where {
    There,
    Back(Reader),
    /// Its owner is gone.
    Unwanted,
}

// === impl Begun ===

impl Begun {
    pub(super) fn push(&mut self, turn: Turn) {
        self.0.push(turn);
    }

    /// Takes over what was begun elsewhere.
    pub fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        workers::give(std::mem::take(&mut self.0), Turn::go);
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Begun").field(&self.0.len()).finish()
    }
}

// === impl Turn ===

impl Turn {
    /// Of what may follow `token`, or what `reader` has read so far. With where the parser comes back, and the mask.
    pub(super) fn new(reader: Reader, token: Option<u32>, shelf: Arc<Shelf>) -> (Self, Away, Mask) {
        let (mask, promise) = Mask::promised();
        let way = Arc::new(Way(Mutex::new(Where::There)));
        let away = Away { mask: mask.clone(), way: Arc::clone(&way) };
        (Self { reader, token, promise, way, shelf }, away, mask)
    }

    fn go(self) {
        let Self { mut reader, token, promise, way, shelf } = self;
        let matcher = reader.matcher();
        let taken = token.map_or(Ok(()), |token| matcher.consume_token(token).map_err(failed));
        let words = taken.and_then(|()| allowed(matcher));
        // First: whoever knows the mask may ask for the parser.
        if let Some(unwanted) = way.come_back(reader) {
            shelf.give_back(unwanted);
        }
        promise.keep(words);
    }
}

// === impl Away ===

impl Away {
    /// Waits for the parser; none where the thread that had it is gone.
    pub(super) fn wait(&self) -> Option<Reader> {
        // What the mask says does not matter: by then the parser is back.
        drop(self.mask.wait());
        match self.way.put(Where::There) {
            Where::Back(reader) => Some(reader),
            Where::There | Where::Unwanted => None,
        }
    }

    /// Its owner goes. The parser, if it was back.
    pub(super) fn leave(&self) -> Option<Reader> {
        match self.way.put(Where::Unwanted) {
            Where::Back(reader) => Some(reader),
            Where::There | Where::Unwanted => None,
        }
    }
}

// === impl Way ===

impl Way {
    /// The parser itself where nobody wants it.
    fn come_back(&self, reader: Reader) -> Option<Reader> {
        let mut at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*at, Where::Unwanted) {
            return Some(reader);
        }
        *at = Where::Back(reader);
        None
    }

    fn put(&self, new: Where) -> Where {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), new)
    }
}

/// What may come next, as [`Mask`] has it.
pub(super) fn allowed(matcher: &mut Matcher) -> Result<Vec<u32>, ConstraintError> {
    let mask = matcher.compute_mask_or_eos().map_err(failed)?;
    if mask.is_zero() {
        return Err(ConstraintError::Answer { message: "no token may follow".to_owned() });
    }
    Ok(mask.as_slice().to_vec())
}

pub(super) fn failed(error: impl fmt::Display) -> ConstraintError {
    ConstraintError::Answer { message: error.to_string() }
}
