//! The tokens that may come next, which another thread may still be at.

use std::sync::{Arc, OnceLock};

use super::ConstraintError;

/// Which tokens may come next: token `t` is bit `t % 32` of word `t / 32`, and at least one is set.
///
/// It can be handed on before it is known: whoever reads it waits.
#[derive(Debug, Clone)]
pub struct Mask(Arc<OnceLock<Result<Known, ConstraintError>>>);

/// A mask that is known.
#[derive(Debug)]
struct Known {
    words: Vec<u32>,
    /// Whether half of all tokens and more may come next: the answer is in the middle of free text.
    is_free: bool,
}

/// The other end of a mask that is on its way. A mask whose promise is gone has failed: nobody waits for ever.
pub(super) struct Promise(Mask);

// === impl Mask ===

impl Mask {
    /// One that is known.
    pub fn of(words: Vec<u32>) -> Self {
        Self(Arc::new(OnceLock::from(Ok(Known::new(words)))))
    }

    /// One to be known once its promise is kept.
    pub(super) fn promised() -> (Self, Promise) {
        let mask = Self(Arc::default());
        (mask.clone(), Promise(mask))
    }

    /// The words, or why there are none. Waits.
    pub fn wait(&self) -> Result<&[u32], ConstraintError> {
        self.known().map(|known| known.words.as_slice()).map_err(Clone::clone)
    }

    /// The words, for those to whom a mask that failed allows nothing. Waits.
    pub fn words(&self) -> &[u32] {
        self.known().map_or(&[], |known| &known.words)
    }

    /// Whether the answer is in the middle of free text, where most tokens may come next. Waits.
    pub fn is_free(&self) -> bool {
        self.known().is_ok_and(|known| known.is_free)
    }

    fn known(&self) -> Result<&Known, &ConstraintError> {
        self.0.wait().as_ref()
    }
}

/// Masks are equal if they are one.
impl PartialEq for Mask {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Mask {}

// === impl Known ===

impl Known {
    fn new(words: Vec<u32>) -> Self {
        let allowed: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        let all = words.len() * u32::BITS as usize;
        Self { is_free: 2 * allowed >= all, words }
    }
}

// === impl Promise ===

impl Promise {
    pub(super) fn keep(self, words: Result<Vec<u32>, ConstraintError>) {
        // It is set here or where it is dropped, once.
        drop(self.0.0.set(words.map(Known::new)));
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let gone = || ConstraintError::Answer {
            message: "the thread that computed what may follow is gone".to_owned(),
        };
        self.0.0.get_or_init(|| Err(gone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_a_mask_waits_for_it() {
        let (mask, promise) = Mask::promised();
        let reader = std::thread::spawn({
            let mask = mask.clone();
            move || mask.words().to_vec()
        });
        promise.keep(Ok(vec![5, 7]));
        assert_eq!(reader.join().unwrap(), [5, 7]);
        assert_eq!(mask.wait(), Ok(&[5, 7][..]));
    }

    #[test]
    fn a_broken_promise_fails_the_mask() {
        let (mask, promise) = Mask::promised();
        let worker = std::thread::spawn(move || {
            let _promise = promise;
            std::panic::resume_unwind(Box::new("worker"));
        });
        assert!(matches!(mask.wait(), Err(ConstraintError::Answer { .. })));
        assert!(mask.words().is_empty());
        assert!(worker.join().is_err());
    }

    #[test]
    fn half_of_all_tokens_are_most() {
        let is_free = |words: &[u32]| Mask::of(words.to_vec()).is_free();
        assert!(is_free(&[u32::MAX, 0]) && is_free(&[0x5555_5555; 3]));
        assert!(!is_free(&[u32::MAX >> 1, 0]) && !is_free(&[1]));
    }

    #[test]
    fn a_mask_equals_itself() {
        let mask = Mask::of(vec![1]);
        assert_eq!(mask, mask.clone());
        assert_ne!(mask, Mask::of(vec![1]));
    }
}
