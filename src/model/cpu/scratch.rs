//! Memory that kernels use again and again without clearing it: a page of the system that is touched for the
//! first time costs more than the arithmetic on it.

use std::sync::{Mutex, PoisonError};

use super::kernel::PANEL;

/// Bytes kept for the next ones, at most.
const SPARE_BYTES_MAX: usize = 32 << 20;

/// A cache line, so that reading sixteen values never takes two.
const ALIGNMENT: usize = size_of::<[f32; PANEL]>();

static SPARE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Values that hold anything at first, and begin at a cache line.
#[derive(Debug)]
pub(super) struct Scratch {
    memory: Vec<f32>,
    /// Where they begin.
    first: usize,
    values: usize,
}

impl Scratch {
    pub(super) fn new(values: usize) -> Self {
        let count = Self::room(values);
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        // The smallest that is large enough.
        let fitting = spare.iter().enumerate().filter(|(_, memory)| memory.len() >= count);
        let best = fitting.min_by_key(|(_, memory)| memory.len()).map(|(at, _)| at);
        let memory = best.map(|at| spare.swap_remove(at));
        drop(spare);
        Self::of(memory.unwrap_or_else(|| vec![0.0; count]), values)
    }

    /// In memory that is just enough, to be kept.
    pub(super) fn own(values: usize) -> Self {
        Self::of(vec![0.0; Self::room(values)], values)
    }

    /// What values take, wherever memory begins.
    fn room(values: usize) -> usize {
        (values.div_ceil(PANEL) + 1) * PANEL
    }

    fn of(memory: Vec<f32>, values: usize) -> Self {
        let first = memory.as_ptr().align_offset(ALIGNMENT).min(PANEL);
        Self { memory, first, values }
    }

    /// The values, sixteen by sixteen; the last ones may be more than were asked for.
    pub(super) fn lines(&self) -> &[[f32; PANEL]] {
        &self.memory[self.first..].as_chunks().0[..self.values.div_ceil(PANEL)]
    }

    pub(super) fn lines_mut(&mut self) -> &mut [[f32; PANEL]] {
        &mut self.memory[self.first..].as_chunks_mut().0[..self.values.div_ceil(PANEL)]
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.memory[self.first..][..self.values]
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.first..][..self.values]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push(std::mem::take(&mut self.memory));
        let mut kept: usize = spare.iter().map(|memory| size_of_val(&memory[..])).sum();
        while kept > SPARE_BYTES_MAX {
            let Some(largest) = (0..spare.len()).max_by_key(|at| spare[*at].len()) else { break };
            kept -= size_of_val(&spare.swap_remove(largest)[..]);
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
        assert!(
            spare.iter().map(|memory| size_of_val(&memory[..])).sum::<usize>() <= SPARE_BYTES_MAX
        );
    }

    #[test]
    fn values_begin_at_a_cache_line() {
        for values in [1, 16, 17, 1000, 100_000] {
            let mut scratch = Scratch::new(values);
            assert_eq!(scratch.lines().as_ptr().addr() % ALIGNMENT, 0);
            assert_eq!(scratch.values().as_ptr().addr(), scratch.lines().as_ptr().addr());
            assert_eq!(scratch.values_mut().len(), values);
            assert_eq!(scratch.lines_mut().len(), values.div_ceil(PANEL));
        }
    }
}
