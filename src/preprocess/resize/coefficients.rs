//! Pillow's bicubic weights for one axis, in Pillow's fixed point.
//!
//! Every expression keeps Pillow's types and order of operations, since a last bit of an `f64` can
//! move a weight by one and a weight by one can move a pixel.

use std::ops::Range;

use super::kernel::{Kernel, LANES, Pair, Window};

/// Fraction bits of a weight: 32, less 8 for the sample and 2 for overshoot of the negative lobes.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Half a unit of the result, so that the final shift rounds.
pub(super) const ROUNDING: i32 = 1 << (PRECISION_BITS - 1);

/// Reach of the filter, in pixels of the larger of both scales.
const SUPPORT: f64 = 2.0;

/// For each output position, which input positions it sums and with what weights.
#[derive(Debug)]
pub(super) struct Coefficients {
    windows: Vec<Window>,
    pairs: Vec<Pair>,
    kernel: Kernel,
}

// === impl Coefficients ===

impl Coefficients {
    pub(super) fn new(input: u32, output: u32) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let filter_scale = scale.max(1.0);
        let support = SUPPORT * filter_scale;
        let taps_max = 2 * support.ceil() as usize + 1;

        let mut windows = Vec::with_capacity(output as usize);
        let mut pairs = Vec::with_capacity(output as usize * taps_max.div_ceil(2));
        let mut exact = Vec::with_capacity(taps_max);
        for position in 0..output {
            let center = (f64::from(position) + 0.5) * scale;
            // `as` truncates towards zero and stops at zero, as Pillow's cast and clamp do.
            let first = (center - support + 0.5) as u32;
            let end = ((center + support + 0.5) as u32).min(input);
            fill_exact(&mut exact, first, end, center, 1.0 / filter_scale);
            let (skipped, weights) = fixed(&exact);
            windows.push(Window {
                first: first as usize + skipped,
                taps: weights.len(),
                pairs_at: pairs.len(),
            });
            pairs.extend(Pair::all(&weights));
        }
        Self { windows, pairs, kernel: Kernel::new() }
    }

    /// Weighted sums for some output positions, one after another into equal parts of `out`;
    /// `samples` starts at input position 0, and `stride` bytes lie between input positions.
    pub(super) fn sum(
        &self,
        positions: Range<usize>,
        samples: &[u8],
        stride: usize,
        out: &mut [[u8; LANES]],
    ) {
        self.kernel.sum(&self.windows[positions], &self.pairs, samples, stride, out);
    }

    /// The same for one output position, where `samples`, `stride` bytes apart, start at input position `origin`.
    pub(super) fn sum_one(
        &self,
        position: usize,
        origin: usize,
        (samples, stride): (&[u8], usize),
        out: &mut [[u8; LANES]],
    ) {
        let window = self.windows[position];
        let window = Window { first: window.first - origin, ..window };
        self.kernel.sum(&[window], &self.pairs, samples, stride, out);
    }

    /// The input positions that some output positions read.
    pub(super) fn inputs_of(&self, positions: Range<usize>) -> Range<usize> {
        // Zeros at their ends are left out: windows need not begin in their order.
        let windows = &self.windows[positions];
        let first = windows.iter().map(|window| window.first).min().unwrap_or(0);
        let end = windows.iter().map(|window| window.inputs().end).max().unwrap_or(0);
        first..end.max(first)
    }

    /// The input positions an output position reads.
    pub(super) fn inputs(&self, position: usize) -> Range<usize> {
        self.windows[position].inputs()
    }

    /// Output positions.
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }
}

/// The weights of one window, adding up to one.
fn fill_exact(exact: &mut Vec<f64>, first: u32, end: u32, center: f64, inverse_scale: f64) {
    exact.clear();
    exact.extend((0..end - first).map(|offset| {
        bicubic((f64::from(offset) + f64::from(first) - center + 0.5) * inverse_scale)
    }));
    let sum: f64 = exact.iter().sum();
    if sum != 0.0 {
        for weight in exact {
            *weight /= sum;
        }
    }
}

/// Rounds a window's weights to fixed point, and drops the zeros at its ends: (how many in front,
/// weights).
///
/// Zeros add nothing, and dropping them makes a pass between equal sizes a plain copy: one weight
/// of one.
fn fixed(exact: &[f64]) -> (usize, Vec<i32>) {
    let round = |&weight: &f64| {
        let scaled = weight * f64::from(1 << PRECISION_BITS);
        (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
    };
    let weights: Vec<i32> = exact.iter().map(round).collect();
    let is_used = |&weight: &i32| weight != 0;
    let first = weights.iter().position(is_used).unwrap_or(0);
    let end = weights.iter().rposition(is_used).map_or(0, |last| last + 1);
    (first, weights[first.min(end)..end].to_vec())
}

/// Keys' cubic with a = -0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < SUPPORT {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sizes_copy() {
        let same = Coefficients::new(37, 37);
        for position in 0..same.len() {
            assert_eq!(same.inputs(position), position..position + 1);
        }
        assert_eq!(fixed(&[0.0, -0.0, 1.0, 0.0]), (2, vec![1 << PRECISION_BITS]));
    }

    #[test]
    fn windows_stay_inside_the_input() {
        for (input, output) in [(1, 448), (448, 1), (3, 7), (1000, 448), (448, 1344), (32768, 448)]
        {
            let coefficients = Coefficients::new(input, output);
            assert_eq!(coefficients.len(), output as usize);
            for position in 0..coefficients.len() {
                let inputs = coefficients.inputs(position);
                assert!(!inputs.is_empty() && inputs.end <= input as usize);
            }
        }
    }
}
