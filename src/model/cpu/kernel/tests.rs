//! Each kernel against sums in f64.

use super::*;

fn ramp(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0).collect()
}

/// All that this processor has.
fn kernels() -> Vec<Kernel> {
    let mut kernels = vec![Kernel::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        kernels.extend(avx2::Detected::new().map(Kernel::Avx2));
        kernels.extend(avx512::Detected::new().map(Kernel::Avx512));
    }
    kernels
}

#[track_caller]
fn check(ours: f32, expected: f64) {
    assert!((f64::from(ours) - expected).abs() < 1e-4, "{ours} {expected}");
}

#[test]
fn strips_equal_the_sum_of_products_in_f64() {
    let (stride, out_stride) = (45, 21);
    for kernel in kernels() {
        for (rows, columns, inner) in [(1, 16, 1), (6, 16, 40), (13, 5, 33), (11, 16, 7)] {
            let a = ramp((rows - 1) * stride + inner, 1);
            let panel: Vec<[f32; PANEL]> = ramp(inner * PANEL, 2).as_chunks::<PANEL>().0.to_vec();
            let bias = ramp(columns, 3);
            let before = ramp(rows * out_stride, 4);
            for (start, accumulates) in [(Start::Row(&bias), false), (Start::Output, true)] {
                let mut out = before.clone();
                kernel.multiply(
                    (rows, columns),
                    Rows::new(&a, stride),
                    &panel,
                    (&mut out, out_stride),
                    start,
                );
                for (at, ours) in out.iter().enumerate() {
                    let (row, column) = (at / out_stride, at % out_stride);
                    if column >= columns {
                        assert_eq!(ours.to_bits(), before[at].to_bits(), "beside the output");
                        continue;
                    }
                    let first = if accumulates { before[at] } else { bias[column] };
                    let sum: f64 = (0..inner)
                        .map(|k| f64::from(a[row * stride + k]) * f64::from(panel[k][column]))
                        .sum();
                    check(*ours, f64::from(first) + sum);
                }
            }
        }
    }
}

#[test]
fn two_panels_are_multiplied_as_each_alone() {
    let (stride, out_stride) = (45, 37);
    for kernel in kernels() {
        for (rows, inner) in [(1, 1), (6, 40), (13, 33), (11, 7), (36, 24)] {
            let a = ramp((rows - 1) * stride + inner, 1);
            let panels = ramp(2 * inner * PANEL, 2).as_chunks::<PANEL>().0.to_vec();
            let panels: [&[[f32; PANEL]]; 2] = [&panels[..inner], &panels[inner..]];
            let bias = ramp(2 * PANEL, 3);
            let before = ramp(rows * out_stride, 4);
            let rows_before = Rows::new(&before, out_stride);
            for start in [Start::Zero, Start::Row(&bias), Start::Rows(rows_before), Start::Output] {
                let a = Rows::new(&a, stride);
                let (mut together, mut alone) = (before.clone(), before.clone());
                kernel.multiply_two(rows, a, panels, (&mut together, out_stride), start);
                for (index, panel) in panels.into_iter().enumerate() {
                    let first = index * PANEL;
                    let out = (&mut alone[first..], out_stride);
                    kernel.multiply((rows, PANEL), a, panel, out, start.from(0, first));
                }
                let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&together), bits(&alone), "{kernel:?} {rows} {inner} {start:?}");
            }
        }
    }
}

#[test]
fn dots_are_the_same_whatever_stands_beside_them() {
    for kernel in kernels() {
        for (rows, columns, inner) in
            [(1, 1, 5), (1, 17, 24), (5, 7, 67), (3, 8, 64), (4, 4, 8), (10, 21, 43)]
        {
            let (x, weight) = (ramp(rows * inner, 1), ramp(columns * inner, 2));
            let mut out = vec![1.0; rows * columns];
            kernel.dots(rows, (&x, &weight), inner, (&mut out, columns));
            for (at, ours) in out.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let (x, weight) = (&x[row * inner..][..inner], &weight[column * inner..][..inner]);
                let sum: f64 =
                    x.iter().zip(weight).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                check(*ours, 1.0 + sum);
                let mut alone = [1.0];
                kernel.dots(1, (x, weight), inner, (&mut alone, 1));
                assert_eq!(ours.to_bits(), alone[0].to_bits());
            }
        }
    }
}

#[test]
fn rows_become_columns() {
    for kernel in kernels() {
        for inner in [1, 8, 16, 37] {
            let values = ramp(PANEL * inner, 1);
            let mut panel = vec![[0.0; PANEL]; inner];
            kernel
                .write_rows(&mut panel, std::array::from_fn(|row| &values[row * inner..][..inner]));
            for (k, row) in panel.iter().enumerate() {
                for (column, value) in row.iter().enumerate() {
                    assert_eq!(value.to_bits(), values[column * inner + k].to_bits());
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "range")]
fn rows_beyond_their_slice_are_refused() {
    let panel = [[1.0; PANEL]; 3];
    let mut out = [0.0; 2 * PANEL];
    let a = Rows::new(&[1.0; 5], 3);
    Kernel::new().multiply((2, PANEL), a, &panel, (&mut out, PANEL), Start::Zero);
}
