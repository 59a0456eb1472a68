//! Blocks of four tiles of sums: two of rows by two of columns, and, where rows are few, one by four.

use std::arch::asm;

use super::{Configured, Line, PARTS, TILE};

/// What sums begin with.
#[derive(Clone, Copy, Debug)]
pub(in super::super::super) enum Sums<'a> {
    Zero,
    /// The same values for all rows.
    Row(&'a [f32]),
    /// Rows, so far apart.
    Rows(&'a [f32], usize),
    /// What is there.
    There,
}

/// Sums of four tiles, two side by side at each of these: what is there, or zeros where that is nowhere. The loop begins behind
/// it, at a line of the instructions' cache.
macro_rules! begin {
    ($first:literal, $second:literal) => {
        concat!(
            "test {from}, {from}\n",
            "jz 3f\n",
            "tileloadd tmm0, [",
            $first,
            " + {from_stride}]\n",
            "tileloadd tmm1, [",
            $first,
            " + {from_stride} + 64]\n",
            "tileloadd tmm2, [",
            $second,
            " + {from_stride}]\n",
            "tileloadd tmm3, [",
            $second,
            " + {from_stride} + 64]\n",
            "jmp 2f\n",
            "3:\n",
            "tilezero tmm0\n",
            "tilezero tmm1\n",
            "tilezero tmm2\n",
            "tilezero tmm3\n",
            ".p2align 6\n",
            "2:\n",
        )
    };
}

/// Where they go.
macro_rules! end {
    ($first:literal, $second:literal) => {
        concat!(
            "tilestored [",
            $first,
            " + {stride}], tmm0\n",
            "tilestored [",
            $first,
            " + {stride} + 64], tmm1\n",
            "tilestored [",
            $second,
            " + {stride}], tmm2\n",
            "tilestored [",
            $second,
            " + {stride} + 64], tmm3\n",
        )
    };
}

/// `out = sums + a · b` of 32 rows and 32 columns, rows of `out` `stride` apart. Tiles of `a` stand as
/// [`split_rows`](super::split_rows) leaves them, one chunk behind the other; those of `b` have `parts` of each
/// chunk: 1 or [`PARTS`].
///
/// # Panics
///
/// Where something does not fit into its slice.
#[inline(never)]
pub(in super::super::super) fn multiply_square(
    _: &Configured,
    a: [&[Line]; 2],
    (b, parts): ([&[Line]; 2], usize),
    out: (&mut [f32], usize),
    sums: Sums<'_>,
) {
    assert!(matches!(parts, 1 | PARTS), "parts of other numbers");
    let chunks = chunks_of(&a, PARTS);
    assert_eq!(chunks, chunks_of(&b, parts), "tiles differ");
    let sums = Addresses::new((2 * TILE, 2 * TILE), out, sums);
    let square = Square { a: a.map(<[Line]>::as_ptr), b: b.map(<[Line]>::as_ptr), chunks, sums };
    // SAFETY: tiles are configured on this thread, which keeps `Configured`; all that is read and written is in the slices,
    // as was asserted.
    #[expect(unsafe_code, reason = "the loop is assembler")]
    unsafe {
        if parts == 1 { square.of_one_part() } else { square.of_all_parts() }
    }
}

/// The same of 16 rows and 64 columns, where `b` has one part.
///
/// # Panics
///
/// Where something does not fit into its slice.
#[inline(never)]
pub(in super::super::super) fn multiply_wide(
    _: &Configured,
    a: &[Line],
    b: [&[Line]; 4],
    out: (&mut [f32], usize),
    sums: Sums<'_>,
) {
    let chunks = chunks_of(&[a], PARTS);
    assert_eq!(chunks, chunks_of(&b, 1), "tiles differ");
    let sums = Addresses::new((TILE, 4 * TILE), out, sums);
    let [b0, b1, b2, b3] = b.map(<[Line]>::as_ptr);
    // SAFETY: as in a square.
    #[expect(unsafe_code, reason = "the loop is assembler")]
    unsafe {
        asm!(
            begin!("{from}", "{from} + 128"),
            "tileloadd tmm4, [{a} + {line}]",
            "tileloadd tmm5, [{a} + {line} + 1024]",
            "tileloadd tmm6, [{a} + {line} + 2048]",
            "tileloadd tmm7, [{b0} + {line}]",
            "tdpbf16ps tmm0, tmm4, tmm7",
            "tdpbf16ps tmm0, tmm5, tmm7",
            "tdpbf16ps tmm0, tmm6, tmm7",
            "tileloadd tmm7, [{b1} + {line}]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm1, tmm5, tmm7",
            "tdpbf16ps tmm1, tmm6, tmm7",
            "tileloadd tmm7, [{b2} + {line}]",
            "tdpbf16ps tmm2, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm7",
            "tdpbf16ps tmm2, tmm6, tmm7",
            "tileloadd tmm7, [{b3} + {line}]",
            "tdpbf16ps tmm3, tmm4, tmm7",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "tdpbf16ps tmm3, tmm6, tmm7",
            "add {a}, 3072",
            "add {b0}, 1024",
            "add {b1}, 1024",
            "add {b2}, 1024",
            "add {b3}, 1024",
            "dec {chunks}",
            "jnz 2b",
            end!("{out}", "{out} + 128"),
            a = inout(reg) a.as_ptr() => _,
            b0 = inout(reg) b0 => _, b1 = inout(reg) b1 => _,
            b2 = inout(reg) b2 => _, b3 = inout(reg) b3 => _,
            chunks = inout(reg) chunks => _,
            line = in(reg) size_of::<Line>(),
            from = in(reg) sums.from, from_stride = in(reg) sums.from_stride,
            out = in(reg) sums.out, stride = in(reg) sums.stride,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// Chunks that all of `tiles` have.
fn chunks_of(tiles: &[&[Line]], parts: usize) -> usize {
    let of_chunk = parts * TILE;
    let lines = tiles.first().map_or(0, |lines| lines.len());
    let is_even = tiles.iter().all(|tile| tile.len() == lines);
    assert!(is_even && lines > 0 && lines.is_multiple_of(of_chunk), "tiles differ");
    lines / of_chunk
}

/// Where sums are; strides are in bytes.
struct Addresses {
    /// Null: sums begin with zeros.
    from: *const f32,
    from_stride: usize,
    out: *mut f32,
    stride: usize,
}

impl Addresses {
    /// Of so many rows and columns, for which there is room.
    fn new(
        (rows, columns): (usize, usize),
        (out, stride): (&mut [f32], usize),
        sums: Sums<'_>,
    ) -> Self {
        let room = |stride: usize| (rows - 1).saturating_mul(stride).saturating_add(columns);
        assert!(out.len() >= room(stride), "no room");
        let to = out.as_mut_ptr();
        let (from, from_stride) = match sums {
            Sums::Zero => (std::ptr::null(), 0),
            Sums::Row(values) => (values[..room(0)].as_ptr(), 0),
            Sums::Rows(values, stride) => (values[..room(stride)].as_ptr(), stride),
            Sums::There => (to.cast_const(), stride),
        };
        let bytes = |stride: usize| stride * size_of::<f32>();
        Self { from, from_stride: bytes(from_stride), out: to, stride: bytes(stride) }
    }
}

struct Square {
    a: [*const Line; 2],
    b: [*const Line; 2],
    chunks: usize,
    sums: Addresses,
}

/// Four products, each of a tile of rows by one of columns, which are at these bytes.
macro_rules! products {
    ($a:literal) => {
        concat!(
            "tileloadd tmm4, [{a0} + {line} + ",
            $a,
            "]\n",
            "tileloadd tmm5, [{a1} + {line} + ",
            $a,
            "]\n",
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
            "tdpbf16ps tmm2, tmm5, tmm6\n",
            "tdpbf16ps tmm3, tmm5, tmm7\n",
        )
    };
}

macro_rules! columns {
    ($b:literal) => {
        concat!(
            "tileloadd tmm6, [{b0} + {line} + ",
            $b,
            "]\n",
            "tileloadd tmm7, [{b1} + {line} + ",
            $b,
            "]\n",
        )
    };
}

/// Strides are where an address has its index: the step from row to row.
macro_rules! multiply {
    ($operands:expr, $b_bytes:literal, $($step:expr),+) => {{
        let Square { a, b, chunks, sums: Addresses { from, from_stride, out, stride } } = $operands;
        asm!(
            begin!("{from}", "{from_below}"),
            $($step),+,
            "add {a0}, 3072",
            "add {a1}, 3072",
            concat!("add {b0}, ", $b_bytes),
            concat!("add {b1}, ", $b_bytes),
            "dec {chunks}",
            "jnz 2b",
            end!("{out}", "{below}"),
            a0 = inout(reg) a[0] => _, a1 = inout(reg) a[1] => _,
            b0 = inout(reg) b[0] => _, b1 = inout(reg) b[1] => _,
            chunks = inout(reg) *chunks => _,
            line = in(reg) size_of::<Line>(),
            from = in(reg) *from, from_below = in(reg) from.wrapping_byte_add(TILE * from_stride),
            from_stride = in(reg) *from_stride,
            out = in(reg) *out, below = in(reg) out.wrapping_byte_add(TILE * stride),
            stride = in(reg) *stride,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }};
}

impl Square {
    /// # Safety
    ///
    /// Tiles are configured, and all memory is there.
    #[expect(unsafe_code, reason = "the loop is assembler")]
    unsafe fn of_one_part(&self) {
        // SAFETY: the caller's.
        unsafe {
            multiply!(
                self,
                "1024",
                columns!("0"),
                products!("0"),
                products!("1024"),
                products!("2048")
            );
        }
    }

    /// Those parts of both whose product counts: the first with all, the second with two, the third with the first.
    ///
    /// # Safety
    ///
    /// Tiles are configured, and all memory is there.
    #[expect(unsafe_code, reason = "the loop is assembler")]
    unsafe fn of_all_parts(&self) {
        // SAFETY: the caller's.
        unsafe {
            multiply!(
                self,
                "3072",
                columns!("0"),
                products!("0"),
                products!("1024"),
                products!("2048"),
                columns!("1024"),
                products!("0"),
                products!("1024"),
                columns!("2048"),
                products!("0")
            );
        }
    }
}
