//! Memory that kernels use again and again without clearing it: a page of the system that is touched for the
//! first time costs more than the arithmetic on it.

use std::sync::{Mutex, PoisonError};

use super::kernel::PANEL;

/// Bytes kept for the next ones, at most.
const SPARE_BYTES_MAX: usize = 32 << 20;

static SPARE: Mutex<Vec<Vec<[f32; PANEL]>>> = Mutex::new(Vec::new());

/// Values that hold anything at first.
#[derive(Debug)]
pub(super) struct Scratch {
    lines: Vec<[f32; PANEL]>,
    values: usize,
}

fn bytes(lines: &[[f32; PANEL]]) -> usize {
    size_of_val(lines)
}

impl Scratch {
    pub(super) fn new(values: usize) -> Self {
        let count = values.div_ceil(PANEL);
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that is large enough.
        let fitting = spare.iter().enumerate().filter(|(_, lines)| lines.len() >= count);
        let best = fitting.min_by_key(|(_, lines)| lines.len()).map(|(at, _)| at);
        let lines = best.map(|at| spare.swap_remove(at));
        drop(spare);
        Self { lines: lines.unwrap_or_else(|| vec![[0.0; PANEL]; count]), values }
    }

    /// The values, sixteen by sixteen; the last ones may be more than were asked for.
    pub(super) fn lines(&self) -> &[[f32; PANEL]] {
        &self.lines[..self.values.div_ceil(PANEL)]
    }

    pub(super) fn lines_mut(&mut self) -> &mut [[f32; PANEL]] {
        &mut self.lines[..self.values.div_ceil(PANEL)]
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.lines.as_flattened()[..self.values]
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.lines.as_flattened_mut()[..self.values]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(std::mem::take(&mut self.lines));
        let mut kept: usize = spare.iter().map(|lines| bytes(lines)).sum();
        while kept > SPARE_BYTES_MAX {
            let Some(largest) = (0..spare.len()).max_by_key(|at| spare[*at].len()) else { break };
            kept -= bytes(&spare.swap_remove(largest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_again_and_is_bounded() {
        let mut first = Scratch::new(1000);
        first.values_mut().fill(7.0);
        assert_eq!((first.values().len(), first.lines().len()), (1000, 63));
        drop(first);
        let large: Vec<Scratch> = (0..5).map(|_| Scratch::new(SPARE_BYTES_MAX / 8)).collect();
        drop(large);
        let spare = SPARE.lock().unwrap();
        assert!(spare.iter().map(|lines| bytes(lines)).sum::<usize>() <= SPARE_BYTES_MAX);
    }
}
