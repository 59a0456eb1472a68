//! A checked door to the `gemm` crate's strided f32 product.

use gemm::Parallelism;

/// A matrix inside a slice: element `(row, column)` is at `row * row_stride + column * column_stride`.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl View {
    /// Rows one after the other, `row_stride` apart.
    pub(super) fn row_major(rows: usize, columns: usize, row_stride: usize) -> Self {
        Self { rows, columns, row_stride, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Elements from the first to the last, both included.
    fn span(self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// How a product is computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    /// Factor of the product.
    pub(super) scale: f32,
    /// Adds to what `out` holds instead of replacing it.
    pub(super) accumulate: bool,
    /// Takes all cores instead of the calling thread alone.
    pub(super) parallel: bool,
}

/// `out = scale * a * b`, or `out += ...`.
///
/// # Panics
///
/// Where the shapes do not fit together or a view leaves its slice.
pub(super) fn matmul(
    (out, out_view): (&mut [f32], View),
    (a, a_view): (&[f32], View),
    (b, b_view): (&[f32], View),
    product: Product,
) {
    let parallelism = if product.parallel {
        Parallelism::Rayon(rayon::current_num_threads())
    } else {
        Parallelism::None
    };
    assert!(a_view.rows == out_view.rows && b_view.columns == out_view.columns);
    assert!(a_view.columns == b_view.rows);
    assert!(out_view.span() <= out.len() && a_view.span() <= a.len() && b_view.span() <= b.len());
    #[expect(unsafe_code, reason = "the product takes raw pointers")]
    // SAFETY: the assertions above prove that every element the product touches, the last one being
    // `span - 1`, lies inside its slice; `out` is borrowed mutably, so it overlaps neither input; row
    // and column strides of `out` are distinct positions because a row is at most `row_stride` long
    // wherever this crate builds a view (`row_major`).
    unsafe {
        gemm::gemm(
            out_view.rows,
            out_view.columns,
            a_view.columns,
            out.as_mut_ptr(),
            out_view.column_stride as isize,
            out_view.row_stride as isize,
            product.accumulate,
            a.as_ptr(),
            a_view.column_stride as isize,
            a_view.row_stride as isize,
            b.as_ptr(),
            b_view.column_stride as isize,
            b_view.row_stride as isize,
            1.0,
            product.scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_product_is_scaled() {
        // a is 2x3 with rows 4 apart, b is the transpose of a 2x3.
        let a = [1.0, 2.0, 3.0, 9.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 1.0, 0.0, 2.0, 0.0];
        let mut out = [0.0; 4];
        matmul(
            (&mut out, View::row_major(2, 2, 2)),
            (&a, View::row_major(2, 3, 4)),
            (&b, View::row_major(2, 3, 3).transposed()),
            Product { scale: 0.5, accumulate: false, parallel: false },
        );
        assert_eq!(out.map(f32::to_bits), [2.0f32, 2.0, 5.0, 5.0].map(f32::to_bits));
    }

    #[test]
    #[should_panic(expected = "span")]
    fn a_view_beyond_its_slice_is_refused() {
        let a = [1.0; 5];
        let mut out = [0.0; 4];
        matmul(
            (&mut out, View::row_major(2, 2, 2)),
            (&a, View::row_major(2, 3, 3)),
            (&a, View::row_major(3, 2, 2)),
            Product { scale: 1.0, accumulate: false, parallel: false },
        );
    }
}
