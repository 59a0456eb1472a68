//! Products with 8-bit weights: bytes, row by row, and one f32 scale per row. Only signed integers are multiplied here;
//! 8-bit floats are for GPUs, and their bytes are made and read here.
//!
//! Few rows of `x` are multiplied with the bytes as they are, which reads a quarter of what f32 weights
//! would; for more rows a panel of weights at a time becomes f32 and goes through the common product.

use candle_core::{CpuStorage, DType, Layout, Result, Shape, bail};
use float8::F8E4M3;
use half::{bf16, f16};
use rayon::prelude::*;

use super::elementwise::contiguous_f32;
use super::kernel::Start;
use super::linear::{Addend, multiply_rows};
use crate::placement::Quantization;

/// Rows of `x` up to which bytes are multiplied directly: above, converting them once pays.
const DIRECT_ROWS_MAX: usize = 4;

/// Rows of weights of one task, and of one panel of f32.
const TASK_COLUMNS: usize = 16;
const PANEL_COLUMNS: usize = 256;

/// Largest magnitude of an integer: -128 is not used, so that the range is symmetric.
const LEVELS: f32 = 127.0;
/// Largest magnitude of an 8-bit float with four bits of exponent and three of mantissa.
const E4M3_MAX: f32 = 448.0;
/// What each byte is as such a float.
const E4M3: [f32; 256] = {
    let mut values = [0.0; 256];
    let mut byte = 0;
    while byte < values.len() {
        values[byte] = F8E4M3::from_bits(byte as u8).to_f32();
        byte += 1;
    }
    values
};

/// A storage and which of its elements are meant.
type Operand<'a> = (&'a CpuStorage, &'a Layout);

/// Rows of `width` elements to bytes and a scale per row, the largest magnitude of a row becoming the largest of the
/// format. A row of zeros has scale 0. `read` makes an f32 of an element; a row that is not finite is refused.
pub(in crate::model) fn quantise<T: Copy + Sync>(
    elements: &[T],
    width: usize,
    format: Quantization,
    read: impl Fn(T) -> f32 + Sync,
) -> Result<(Vec<u8>, Vec<f32>)> {
    let top = match format {
        Quantization::Q8 => LEVELS,
        Quantization::Fp8 => E4M3_MAX,
    };
    let mut bytes = vec![0; elements.len()];
    let mut scales = vec![0.0; elements.len() / width];
    bytes.par_chunks_mut(width).zip(elements.par_chunks(width)).zip(&mut scales).for_each(
        |((bytes, row), scale)| {
            // In the total order a NaN is larger than all, so none gets lost.
            let largest = row.iter().map(|x| read(*x).abs()).max_by(f32::total_cmp);
            *scale = largest.unwrap_or(0.0) / top;
            let inverse = if *scale > 0.0 { 1.0 / *scale } else { 0.0 };
            for (byte, x) in bytes.iter_mut().zip(row) {
                let value = (read(*x) * inverse).clamp(-top, top);
                *byte = match format {
                    Quantization::Q8 => (value.round_ties_even() as i8).cast_unsigned(),
                    Quantization::Fp8 => F8E4M3::from_f32(value).to_bits(),
                };
            }
        },
    );
    if let Some(row) = scales.iter().position(|scale| !scale.is_finite()) {
        bail!("row {row} of the weights is not finite");
    }
    Ok((bytes, scales))
}

/// The bytes of a weight, `[out, in]`, and its scales, `[out]`.
#[derive(Clone, Copy)]
pub(in crate::model) struct Rows<'a> {
    bytes: &'a [u8],
    scales: &'a [f32],
    width: usize,
    format: Quantization,
}

impl<'a> Rows<'a> {
    pub(in crate::model) fn new(
        weight: Operand<'a>,
        scales: Operand<'a>,
        format: Quantization,
    ) -> Result<Self> {
        let (_, width) = weight.1.shape().dims2()?;
        let (CpuStorage::U8(bytes), Some((start, end))) = (weight.0, weight.1.contiguous_offsets())
        else {
            bail!("8-bit weights are contiguous bytes")
        };
        let scales = contiguous_f32(scales.0, scales.1)?;
        Ok(Self { bytes: &bytes[start..end], scales, width, format })
    }

    /// The dense weight in `dtype`.
    pub(in crate::model) fn dequantise(self, dtype: DType) -> Result<CpuStorage> {
        let mut dense = vec![0.0; self.bytes.len()];
        self.write_panel(0, &mut dense);
        Ok(match dtype {
            DType::F32 => CpuStorage::F32(dense),
            DType::F16 => CpuStorage::F16(dense.into_iter().map(f16::from_f32).collect()),
            DType::BF16 => CpuStorage::BF16(dense.into_iter().map(bf16::from_f32).collect()),
            other => bail!("8-bit weights become f32, f16 or bf16, not {other:?}"),
        })
    }

    /// Rows `first..` as f32, as many as `panel` holds.
    fn write_panel(self, first: usize, panel: &mut [f32]) {
        let bytes = &self.bytes[first * self.width..][..panel.len()];
        panel
            .par_chunks_mut(self.width)
            .zip(bytes.par_chunks(self.width))
            .zip(&self.scales[first..])
            .for_each(|((panel, bytes), scale)| {
                let scale = *scale;
                match self.format {
                    Quantization::Q8 => {
                        pulp::Arch::new().dispatch(Dequantise { panel, bytes, scale });
                    }
                    Quantization::Fp8 => {
                        for (out, byte) in panel.iter_mut().zip(bytes) {
                            *out = E4M3[usize::from(*byte)] * scale;
                        }
                    }
                }
            });
    }
}

struct Dequantise<'a> {
    panel: &'a mut [f32],
    bytes: &'a [u8],
    scale: f32,
}

impl pulp::NullaryFnOnce for Dequantise<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (out, byte) in self.panel.iter_mut().zip(self.bytes) {
            *out = f32::from(byte.cast_signed()) * self.scale;
        }
    }
}

/// `x · weightᵀ + addend` of `[rows, in]`, in f32, with weights that are integers.
pub(in crate::model) fn product(
    x: Operand<'_>,
    weight: Rows<'_>,
    addend: Option<Operand<'_>>,
) -> Result<(CpuStorage, Shape)> {
    let (rows, _) = x.1.shape().dims2()?;
    let columns = weight.scales.len();
    if weight.format != Quantization::Q8 {
        bail!("8-bit floats are multiplied on GPUs");
    }
    let x = contiguous_f32(x.0, x.1)?;
    let addend = Addend::new(addend)?;
    let mut out = vec![0.0; rows * columns];
    addend.fill(&mut out, columns);
    if rows <= DIRECT_ROWS_MAX {
        direct(&mut out, x, weight);
    } else {
        by_panels(&mut out, x, weight);
    }
    Ok((CpuStorage::F32(out), Shape::from((rows, columns))))
}

/// Adds the product to `out`, a task for some columns of all rows.
fn direct(out: &mut [f32], x: &[f32], weight: Rows<'_>) {
    let columns = weight.scales.len();
    let rows = x.len() / weight.width;
    // A task's sums stand together; they are added to the rows they belong to afterwards.
    let mut sums = vec![0.0; out.len()];
    sums.par_chunks_mut(TASK_COLUMNS * rows)
        .zip(weight.bytes.par_chunks(TASK_COLUMNS * weight.width))
        .zip(weight.scales.par_chunks(TASK_COLUMNS))
        .for_each(|((sums, bytes), scales)| {
            pulp::Arch::new().dispatch(Direct { sums, x, bytes, scales });
        });
    for (column, sums) in sums.chunks_exact(rows).enumerate() {
        for (row, sum) in sums.iter().enumerate() {
            out[row * columns + column] += sum;
        }
    }
}

struct Direct<'a> {
    sums: &'a mut [f32],
    x: &'a [f32],
    bytes: &'a [u8],
    scales: &'a [f32],
}

impl pulp::NullaryFnOnce for Direct<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let width = self.bytes.len() / self.scales.len();
        let rows = self.x.len() / width;
        for ((sums, bytes), scale) in
            self.sums.chunks_exact_mut(rows).zip(self.bytes.chunks_exact(width)).zip(self.scales)
        {
            for (sum, x) in sums.iter_mut().zip(self.x.chunks_exact(width)) {
                *sum = dot(x, bytes) * scale;
            }
        }
    }
}

/// Independent lanes, so that it vectorises.
#[inline(always)]
fn dot(x: &[f32], bytes: &[u8]) -> f32 {
    const LANES: usize = 64;
    let mut lanes = [0.0f32; LANES];
    let (x_chunks, x_rest) = x.as_chunks::<LANES>();
    let (byte_chunks, byte_rest) = bytes.as_chunks::<LANES>();
    for (x, bytes) in x_chunks.iter().zip(byte_chunks) {
        for ((lane, x), byte) in lanes.iter_mut().zip(x).zip(bytes) {
            *lane += x * f32::from(byte.cast_signed());
        }
    }
    let rest = x_rest.iter().zip(byte_rest).map(|(x, byte)| x * f32::from(byte.cast_signed()));
    lanes.iter().sum::<f32>() + rest.sum::<f32>()
}

/// Adds the product to `out`, some columns of all rows after the other, each with all cores.
fn by_panels(out: &mut [f32], x: &[f32], weight: Rows<'_>) {
    let (columns, width) = (weight.scales.len(), weight.width);
    let mut panel = vec![0.0; PANEL_COLUMNS.min(columns) * width];
    for first in (0..columns).step_by(PANEL_COLUMNS) {
        let count = PANEL_COLUMNS.min(columns - first);
        let panel = &mut panel[..count * width];
        weight.write_panel(first, panel);
        multiply_rows(&mut out[first..], columns, (x, panel), width, Start::Output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_off_by_half_a_step_at_most() {
        let weights: Vec<f32> =
            (0..37 * 101).map(|i| ((i * 7919) % 2003) as f32 / 1001.0 - 1.0).collect();
        let (bytes, scales) = quantise(&weights, 101, Quantization::Q8, |x| x).unwrap();
        for (i, (weight, byte)) in weights.iter().zip(&bytes).enumerate() {
            let scale = scales[i / 101];
            let error = (weight - f32::from(byte.cast_signed()) * scale).abs();
            assert!(error <= scale * 0.500_01, "{weight}: {error} of {scale}");
        }
        // The whole range is used in each row, and nothing beyond it.
        for row in bytes.chunks(101) {
            let largest = row.iter().map(|byte| byte.cast_signed().unsigned_abs()).max();
            assert_eq!(largest, Some(127));
        }
    }

    #[test]
    fn an_8_bit_float_is_the_nearest_there_is() {
        // By the format's definition, not by the library that rounds.
        let value = |byte: u8| {
            let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f32::from(byte & 7));
            match exponent {
                0 => mantissa * 2f32.powi(-9),
                _ => (1.0 + mantissa / 8.0) * 2f32.powi(exponent - 7),
            }
        };
        for byte in 0..0x7f {
            assert_eq!(E4M3[usize::from(byte)].to_bits(), value(byte).to_bits(), "{byte:#x}");
            assert_eq!(E4M3[usize::from(byte | 0x80)].to_bits(), (-value(byte)).to_bits());
        }
        let weights: Vec<f32> = (0..5 * 501)
            .map(|i| (((i * 7919) % 2003) as f32 / 1001.0 - 1.0).powi(5) * 3.0)
            .collect();
        let (bytes, scales) = quantise(&weights, 501, Quantization::Fp8, |x| x).unwrap();
        for (i, (weight, byte)) in weights.iter().zip(&bytes).enumerate() {
            let scale = scales[i / 501];
            let error = (weight.abs() / scale - value(byte & 0x7f)).abs();
            let nearest = (0..0x7f).map(|byte| (weight.abs() / scale - value(byte)).abs());
            let nearest = nearest.min_by(f32::total_cmp).unwrap();
            assert!(error <= nearest * 1.000_1 + 1e-5, "{weight} of {scale}: {byte:#x}");
        }
        for row in bytes.chunks(501) {
            assert_eq!(row.iter().map(|byte| byte & 0x7f).max(), Some(0x7e));
        }
    }

    #[test]
    fn zeros_have_scale_zero_and_infinities_are_refused() {
        let (bytes, scales) =
            quantise(&[0.0, -0.0, 1.0, -2.0], 2, Quantization::Q8, |x| x).unwrap();
        assert_eq!(bytes, [0, 0, 64, 129]);
        assert_eq!(
            scales.iter().map(|s| s.to_bits()).collect::<Vec<_>>(),
            [0.0f32, 2.0 / 127.0].map(f32::to_bits)
        );
        for bad in [f32::NAN, f32::INFINITY] {
            for format in [Quantization::Q8, Quantization::Fp8] {
                let error = quantise(&[1.0, 1.0, bad, 1.0], 2, format, |x| x).unwrap_err();
                assert!(error.to_string().contains("row 1"), "{error}");
            }
        }
    }
}
