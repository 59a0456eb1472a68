//! Kernels that are wrong, so that tests can see the start-up probe find them; nothing outside of tests.

use candle_core::{Result, Tensor};

use super::observe::Part;

/// What the operations that serve made of `part`: as it is.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it may change what it is given")]
pub(super) fn served(_: Part, x: Tensor) -> Result<Tensor> {
    Ok(x)
}

/// What the operations that serve made of `part`: as it is, or as a kernel would leave it that is off by one column,
/// where a test has asked for that.
#[cfg(test)]
pub(super) fn served(part: Part, x: Tensor) -> Result<Tensor> {
    if WRONG.get() == Some(part) { off_by_one(&x) } else { Ok(x) }
}

/// The logits that a decoding step made: as they are.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it may change what it is given")]
pub(super) fn decoded(logits: Tensor) -> Result<Tensor> {
    Ok(logits)
}

/// The logits that a decoding step made: as they are, or wrong, where a test has asked for that.
#[cfg(test)]
pub(super) fn decoded(logits: Tensor) -> Result<Tensor> {
    if WRONG_DECODING.get() { off_by_one(&logits) } else { Ok(logits) }
}

#[cfg(test)]
fn off_by_one(x: &Tensor) -> Result<Tensor> {
    use candle_core::D;

    let columns = x.dim(D::Minus1)?;
    let (behind, first) = (x.narrow(D::Minus1, 1, columns - 1)?, x.narrow(D::Minus1, 0, 1)?);
    Tensor::cat(&[behind, first], D::Minus1)
}

/// Whether the decoder is to be taken for one with kernels of its own.
#[cfg(not(test))]
pub(super) fn has_decoder_kernels() -> bool {
    false
}

/// Whether the decoder is to be taken for one with kernels of its own: where a test has made them wrong.
#[cfg(test)]
pub(super) fn has_decoder_kernels() -> bool {
    WRONG.get().is_some_and(|part| !matches!(part, Part::Vision | Part::Projector))
}

#[cfg(test)]
thread_local! {
    /// The part whose serving kernels are wrong on this thread.
    static WRONG: std::cell::Cell<Option<Part>> = const { std::cell::Cell::new(None) };
    /// Whether decoding steps are wrong on this thread.
    static WRONG_DECODING: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `work` with wrong kernels in `part`.
#[cfg(test)]
pub(super) fn with_wrong_kernels<T>(part: Part, work: impl FnOnce() -> T) -> T {
    WRONG.set(Some(part));
    let done = work();
    WRONG.set(None);
    done
}

/// Runs `work` with wrong decoding steps, which only a GPU has.
#[cfg(all(test, feature = "cuda"))]
pub(super) fn with_wrong_decoding<T>(work: impl FnOnce() -> T) -> T {
    WRONG_DECODING.set(true);
    let done = work();
    WRONG_DECODING.set(false);
    done
}
