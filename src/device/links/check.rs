//! Known patterns through a copy, compared bit for bit on the other side.

use std::time::Instant;

use candle_core::{DType, Device, Error, Result, Tensor};

use crate::device::mark::{Interval, Mark};

/// Sizes of the patterns: a decode step's row, a prefill chunk's rows, and sizes that are no multiple
/// of anything.
const LENGTHS: [usize; 5] = [3_584, 1, 4_099, 512 * 3_584, 65_537];

/// Checks of each link at start-up.
pub(super) const ROUNDS: u32 = 40;

/// Elements of the copy that is timed: 64 MiB of f32.
const TIMED_LENGTH: usize = 16 << 20;

/// What a link did to the patterns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Findings {
    pub(super) checks: u32,
    /// Checks in which at least one bit was wrong.
    pub(super) wrong: u32,
    /// Zero where it was not measured.
    pub(super) bytes_per_second: f64,
}

impl Findings {
    /// An error where even this route is wrong: nothing can be computed on such a machine.
    pub(super) fn require_right(self, from: &str, to: &str) -> Result<()> {
        if self.wrong == 0 {
            return Ok(());
        }
        Err(Error::Msg(format!(
            "{} of {} copies from {from} to {to} returned wrong data even through host memory",
            self.wrong, self.checks
        )))
    }
}

/// Produces on `source`, sends, consumes on `target` and compares, with work queued on both devices
/// all the while: copies that are not ordered show only when there is something to overtake.
pub(super) fn check(
    source: &Device,
    target: &Device,
    rounds: u32,
    send: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Findings> {
    let busy = |device: &Device| -> Result<Tensor> {
        let side = if device.is_cuda() { 1024 } else { 16 };
        Tensor::ones((side, side), DType::F32, device)
    };
    let (busy_source, busy_target) = (busy(source)?, busy(target)?);
    let mut wrong = 0;
    for round in 0..rounds {
        let length = LENGTHS[round as usize % LENGTHS.len()];
        // Whole numbers below 2^24 are exact in f32, whatever is done to them here.
        let pattern: Vec<f32> = (0..length)
            .map(|i| ((i * 2_654_435_761 + round as usize * 40_503) % 4_000_037) as f32)
            .collect();
        let here = Tensor::from_slice(&pattern, length, source)?;
        let there = Tensor::from_slice(&pattern, length, target)?;
        let step = f64::from(round + 1);
        let _work = (busy_source.matmul(&busy_source)?, busy_target.matmul(&busy_target)?);
        let sent = send(&here.affine(3.0, step)?)?;
        let received = sent.affine(1.0, 0.0)?;
        drop(sent);
        let _more = (busy_source.matmul(&busy_source)?, busy_target.matmul(&busy_target)?);
        let expected = there.affine(3.0, step)?;
        let differing = received.ne(&expected)?.to_dtype(DType::F32)?.sum_all()?;
        wrong += u32::from(differing.to_scalar::<f32>()? != 0.0);
    }
    let bytes_per_second =
        if source.is_cuda() && target.is_cuda() { speed(source, target, send)? } else { 0.0 };
    Ok(Findings { checks: rounds, wrong, bytes_per_second })
}

fn speed(
    source: &Device,
    target: &Device,
    send: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<f64> {
    const TIMES: u32 = 8;
    let x = Tensor::ones(TIMED_LENGTH, DType::F32, source)?;
    drop(send(&x)?);
    source.synchronize()?;
    target.synchronize()?;
    let start = Instant::now();
    for _ in 0..TIMES {
        drop(send(&x)?);
    }
    target.synchronize()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(f64::from(TIMES) * (TIMED_LENGTH * DType::F32.size_in_bytes()) as f64 / seconds)
}

/// Seconds of one copy of a decode step's row, in a chain of copies there and back. The devices' time: the first has
/// other work before the chain, so that the host is through with the whole chain when it begins.
pub(super) fn hop_seconds(
    source: &Device,
    target: &Device,
    there: impl Fn(&Tensor) -> Result<Tensor>,
    back: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<f64> {
    const HOPS: u32 = 100;
    /// Matrices of this side multiplied so often keep a GPU busy for tens of milliseconds.
    const BUSY: (usize, usize) = (4_096, 8);
    let (side, times) = if source.is_cuda() { BUSY } else { (16, 1) };
    let busy = Tensor::ones((side, side), DType::F32, source)?;
    let mut row = Tensor::ones(LENGTHS[0], DType::BF16, source)?;
    row = back(&there(&row)?)?;
    source.synchronize()?;
    target.synchronize()?;
    for _ in 0..times {
        drop(busy.matmul(&busy)?);
    }
    let begin = Mark::on(source)?;
    for _ in 0..HOPS / 2 {
        row = back(&there(&row)?)?;
    }
    let chain = Interval { begin, end: Mark::on(source)? };
    source.synchronize()?;
    target.synchronize()?;
    drop(row);
    let seconds = chain.duration().map_or(f64::NAN, |duration| duration.as_secs_f64());
    Ok(seconds / f64::from(HOPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_copy_passes_and_each_wrong_one_is_counted() {
        let cpu = Device::Cpu;
        let right = check(&cpu, &cpu, ROUNDS, Tensor::copy).unwrap();
        assert_eq!(right, Findings { checks: ROUNDS, wrong: 0, bytes_per_second: 0.0 });
        assert!(right.require_right("a", "b").is_ok());
        // The tail is not there yet: what an unordered copy looks like.
        let late = |x: &Tensor| {
            let cut = x.dim(0)? / 2;
            let tail = x.narrow(0, cut, x.dim(0)? - cut)?.zeros_like()?;
            Tensor::cat(&[x.narrow(0, 0, cut)?, tail], 0)
        };
        let wrong = check(&cpu, &cpu, ROUNDS, late).unwrap();
        assert_eq!(wrong.wrong, ROUNDS);
        assert!(wrong.require_right("cuda:0", "cuda:1").is_err());
        // One bit in one element of one size.
        let flip = |x: &Tensor| {
            let mut values: Vec<f32> = x.to_vec1()?;
            if let Some(value) = values.get_mut(4_098) {
                *value = f32::from_bits(value.to_bits() ^ 1);
            }
            Tensor::from_vec(values, x.shape(), x.device())
        };
        let flipped = check(&cpu, &cpu, ROUNDS, flip).unwrap().wrong;
        assert_eq!(flipped, ROUNDS * 3 / LENGTHS.len() as u32);
    }
}
