//! How many bytes the program holds: what it asked its allocator for and has not given back. The memory that the
//! system counts for a process says less: an allocator keeps for a while what was freed, each thread of it its
//! own, so that it swings by more than a leak amounts to in hours.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

/// Counters that threads share: with one alone they would wait for each other's cache line.
const COUNTERS: usize = 32;

/// On cache lines of its own; two of them, which processors fetch together.
#[repr(align(128))]
struct Counter(AtomicIsize);

/// Their sum is what is held. One alone means nothing: a thread may free what another asked for.
static HELD: [Counter; COUNTERS] = [const { Counter(AtomicIsize::new(0)) }; COUNTERS];

/// Threads that have allocated so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Made at compile time and never dropped: it can be used at any time in a thread's life, and needs no memory.
    static COUNTER: Cell<Option<&'static Counter>> = const { Cell::new(None) };
}

/// An allocator whose bytes are counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted<A>(pub A);

/// Bytes that the program holds; 0 where it counts none.
pub fn held() -> u64 {
    let sum: isize = HELD.iter().map(|counter| counter.0.load(Ordering::Relaxed)).sum();
    u64::try_from(sum).unwrap_or(0)
}

fn count(bytes: isize) {
    COUNTER.with(|mine| {
        let counter = mine.get().unwrap_or_else(|| {
            let counter = &HELD[THREADS.fetch_add(1, Ordering::Relaxed) % COUNTERS];
            mine.set(Some(counter));
            counter
        });
        counter.0.fetch_add(bytes, Ordering::Relaxed);
    });
}

/// A layout's size is at most `isize::MAX`.
fn signed(bytes: usize) -> isize {
    bytes as isize
}

#[expect(unsafe_code, reason = "an allocator has no safe form")]
// SAFETY: each call is handed on as it came, with the same contract; counting neither allocates nor panics.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is that of the allocator below.
        let found = unsafe { self.0.alloc(layout) };
        if !found.is_null() {
            count(signed(layout.size()));
        }
        found
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let found = unsafe { self.0.alloc_zeroed(layout) };
        if !found.is_null() {
            count(signed(layout.size()));
        }
        found
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let found = unsafe { self.0.realloc(old, layout, size) };
        if !found.is_null() {
            count(signed(size) - signed(layout.size()));
        }
        found
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(old, layout) };
        count(-signed(layout.size()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;

    /// The only counted allocator of this process: tests have the system's.
    const ALLOCATOR: Counted<System> = Counted(System);

    #[test]
    #[expect(unsafe_code, reason = "an allocator has no safe form")]
    fn what_is_given_back_is_not_held_whoever_gives_it_back() {
        let (small, large) = (Layout::new::<[u8; 100]>(), Layout::new::<[u8; 5000]>());
        // SAFETY: layouts have a size, and memory is given back as it was asked for.
        let (plain, zeroed) = unsafe { (ALLOCATOR.alloc(small), ALLOCATOR.alloc_zeroed(large)) };
        assert_eq!(held(), 5100);
        // SAFETY: as above.
        let grown = unsafe { ALLOCATOR.realloc(plain, small, 700) };
        assert_eq!(held(), 5700);
        let (grown, zeroed) = (grown as usize, zeroed as usize);
        let elsewhere = std::thread::spawn(move || {
            // SAFETY: as above; the other thread has no use of it any more.
            unsafe {
                ALLOCATOR.dealloc(grown as *mut u8, Layout::new::<[u8; 700]>());
                ALLOCATOR.dealloc(zeroed as *mut u8, large);
            }
        });
        elsewhere.join().unwrap();
        assert_eq!(held(), 0);
    }
}
