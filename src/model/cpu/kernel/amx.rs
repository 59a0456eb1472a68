//! Tiles of Advanced Matrix Extensions, for processors that were found to have them and systems that let them be used: 16
//! rows by 16 columns of sums in f32, and operands in bf16, whose products an f32 holds exactly.
//!
//! A number in f32 has 24 bits and is three of bf16, with 8 bits each. [`split`] makes them, and a product of two such
//! numbers is the sum of what their parts make: of the smaller parts what counts in 24 bits. Tiles take parts below the smallest normal
//! number as 0, and what is infinite has parts that are no numbers.

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid_count, __m512, __m512i, _CMP_UNORD_Q, _mm512_add_epi32, _mm512_and_si512,
    _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_loadu_epi16,
    _mm512_mask_mov_epi32, _mm512_maskz_loadu_ps, _mm512_or_si512, _mm512_permutex2var_epi16,
    _mm512_reduce_or_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_ps,
    _mm512_sub_ps,
};
use std::cell::Cell;
use std::sync::OnceLock;

use super::avx512;

mod multiply;

pub(in super::super) use multiply::{Sums, multiply_square, multiply_wide};

/// Sixteen words of a tile.
pub(in super::super) type Line = [f32; 16];

/// Rows of a tile, and columns of sums.
pub(in super::super) const TILE: usize = 16;

/// Of the inner dimension, what one instruction multiplies: pairs, a word each.
pub(in super::super) const CHUNK: usize = 2 * TILE;

/// Parts of an f32.
pub(in super::super) const PARTS: usize = 3;

thread_local! {
    static IS_TAKEN: Cell<bool> = const { Cell::new(false) };
}

/// Proof that the processor has tiles, and that the system lets this process use them: only [`Detected::new`] makes one.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Detected(());

/// Parts of 32 values, each a line of pairs.
pub(in super::super) type Split = [Line; PARTS];

impl Detected {
    pub(in super::super) fn new() -> Option<Self> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        let is_found = || {
            avx512::Detected::new().is_some()
                && is_x86_feature_detected!("avx512bw")
                && has_tiles()
                && may_use_tiles()
        };
        FOUND.get_or_init(is_found).then_some(Self(()))
    }
}

/// Takes this thread's tiles until the result is dropped. Nothing that waits for other threads' work may come between, which
/// might take them, too.
///
/// # Panics
///
/// Where this thread's are taken already.
#[expect(unsafe_code, reason = "the configuration of tiles is an instruction")]
pub(in super::super) fn configure(_: Detected) -> Configured {
    #[repr(C, align(64))]
    struct Configuration([u8; 64]);
    let mut all = Configuration([0; 64]);
    all.0[0] = 1;
    for tile in 0..8 {
        // Bytes of a row, of two bytes each, and rows.
        all.0[16 + 2 * tile] = size_of::<Line>() as u8;
        all.0[48 + tile] = TILE as u8;
    }
    assert!(!IS_TAKEN.replace(true), "tiles are taken twice");
    // SAFETY: there are tiles, and the configuration is one that they can have. Compiled code never uses them.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const all, options(nostack, readonly)) };
    Configured { _not_send: std::marker::PhantomData }
}

/// Splits rows of up to `chunks` times 32 values: line `r` of tile `(r / 16, chunk, part)` is a row's. What a row lacks is
/// zeros; what is beyond the last row stays as it is.
#[expect(unsafe_code, reason = "calling code compiled for a newer processor than the rest")]
pub(in super::super) fn split_rows<'a>(
    _: Detected,
    rows: impl Iterator<Item = &'a [f32]>,
    chunks: usize,
    lines: &mut [Line],
) {
    let of_tile = chunks * PARTS * TILE;
    for (row, values) in rows.enumerate() {
        let lines = &mut lines[row / TILE * of_tile..][..of_tile];
        // SAFETY: a `Detected` exists only where the processor has what the function was compiled for.
        unsafe { split_row(values, &mut lines[row % TILE..]) };
    }
}

/// The parts of up to 32 values, a line each: what is lacking is zeros. Says whether the first part is all of the values.
#[expect(unsafe_code, reason = "calling code compiled for a newer processor than the rest")]
pub(in super::super) fn split(_: Detected, values: &[f32], parts: &mut Split) -> bool {
    let (first, second) = values.split_at(values.len().min(TILE));
    // SAFETY: a `Detected` exists only where the processor has what the function was compiled for.
    unsafe { split_halves([first, second], &IN_ORDER, parts) }
}

/// The parts of two rows of up to 16 values, in pairs of what stands below each other.
#[expect(unsafe_code, reason = "calling code compiled for a newer processor than the rest")]
pub(in super::super) fn split_pairs(_: Detected, rows: [&[f32]; 2]) -> Split {
    let mut parts = [[0.0; TILE]; PARTS];
    // SAFETY: a `Detected` exists only where the processor has what the function was compiled for.
    unsafe { split_halves(rows, &IN_PAIRS, &mut parts) };
    parts
}

/// This thread's tiles are configured.
#[derive(Debug)]
pub(in super::super) struct Configured {
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for Configured {
    #[expect(unsafe_code, reason = "tiles are given back by an instruction")]
    fn drop(&mut self) {
        // SAFETY: there are tiles. Without them a thread's state is smaller where it is put aside.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
        IS_TAKEN.set(false);
    }
}

fn has_tiles() -> bool {
    let (bf16, tiles) = (1 << 22, 1 << 24);
    let has_leaf = __cpuid_count(0, 0).eax >= 7;
    has_leaf && __cpuid_count(7, 0).edx & (bf16 | tiles) == bf16 | tiles
}

/// Asks the system, once for all threads of the process; one that does not keep what is in tiles refuses.
#[expect(unsafe_code, reason = "a call of the system that no library has")]
fn may_use_tiles() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let refused: i64;
    // SAFETY: the call takes two numbers and touches no memory of the process; what it may change is named.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => refused,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    refused == 0
}

/// The upper halves of two registers' words, one register's behind the other's.
const IN_ORDER: [i16; CHUNK] = {
    let mut order = [0; CHUNK];
    let mut i = 0;
    while i < CHUNK {
        order[i] = 2 * i as i16 + 1;
        i += 1;
    }
    order
};

/// In turns.
const IN_PAIRS: [i16; CHUNK] = {
    let mut order = [0; CHUNK];
    let mut i = 0;
    while i < CHUNK {
        order[i] = (i / 2 * 2 + i % 2 * CHUNK) as i16 + 1;
        i += 1;
    }
    order
};

/// Every sixteenth line is a part of 32 values.
#[target_feature(enable = "avx512f,avx512bw")]
fn split_row(values: &[f32], lines: &mut [Line]) {
    let mut chunks = values.chunks(CHUNK);
    for lines in lines.chunks_mut(PARTS * TILE) {
        let values = chunks.next().unwrap_or(&[]);
        let (first, second) = values.split_at(values.len().min(TILE));
        let mut parts = [[0.0; TILE]; PARTS];
        split_halves([first, second], &IN_ORDER, &mut parts);
        for (part, line) in parts.into_iter().enumerate() {
            lines[part * TILE] = line;
        }
    }
}

/// Says whether the first part is all of the values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn split_halves(halves: [&[f32]; 2], order: &[i16; CHUNK], parts: &mut Split) -> bool {
    let mut rest = [load(halves[0]), load(halves[1])];
    // SAFETY: the array has 32 words.
    #[expect(unsafe_code, reason = "the load takes a raw pointer")]
    let order = unsafe { _mm512_loadu_epi16(order.as_ptr()) };
    let mut left = _mm512_setzero_si512();
    for (index, part) in parts.iter_mut().enumerate() {
        let mut upper = [_mm512_setzero_si512(); 2];
        for (rest, upper) in rest.iter_mut().zip(&mut upper) {
            *upper = rounded(*rest);
            *rest = _mm512_sub_ps(*rest, _mm512_castsi512_ps(*upper));
        }
        let halves = _mm512_permutex2var_epi16(upper[0], order, upper[1]);
        // SAFETY: the line has 16 words.
        #[expect(unsafe_code, reason = "the store takes a raw pointer")]
        unsafe {
            _mm512_storeu_ps(part.as_mut_ptr(), _mm512_castsi512_ps(halves));
        }
        if index == 0 {
            left = _mm512_or_si512(_mm512_castps_si512(rest[0]), _mm512_castps_si512(rest[1]));
        }
    }
    _mm512_reduce_or_epi32(left) == 0
}

/// The first 16 values, and zeros where there are fewer.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load(values: &[f32]) -> __m512 {
    let mask = ((1_u32 << values.len().min(TILE)) - 1) as u16;
    // SAFETY: reads no more values than there are.
    #[expect(unsafe_code, reason = "the load takes a raw pointer")]
    unsafe {
        _mm512_maskz_loadu_ps(mask, values.as_ptr())
    }
}

/// Rounds to the nearest with 8 bits, half of a step away from 0; what is cut off is exact. What is no number stays none: its
/// bits could be carried to 0.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rounded(values: __m512) -> __m512i {
    let added = _mm512_add_epi32(_mm512_castps_si512(values), _mm512_set1_epi32(0x8000));
    let upper = _mm512_and_si512(added, _mm512_set1_epi32(0xffff_0000_u32.cast_signed()));
    let is_none = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
    _mm512_mask_mov_epi32(upper, is_none, _mm512_set1_epi32(f32::NAN.to_bits().cast_signed()))
}
