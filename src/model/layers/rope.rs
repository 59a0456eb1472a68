//! Rotary position embedding, rotate-half form, with f32 tables.
//!
//! Angles are computed in f64 and stored as f32 cosines and sines, and the rotation itself runs in
//! f32: positions held in bf16 are inexact above 256, in f16 above 2048, and a page has thousands.

use candle_core::{D, DType, Device, Result, Tensor};

use crate::model::cpu::Rotate;

/// How frequencies change beyond the context the model was trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::model) struct DynamicNtk {
    pub(in crate::model) factor: f64,
    pub(in crate::model) trained_positions: usize,
}

/// Cosines and sines of all positions of the KV cache.
#[derive(Debug, Clone)]
pub(in crate::model) struct RopeTable {
    theta: f64,
    head_dim: usize,
    ntk: Option<DynamicNtk>,
    /// `[positions, head_dim / 2]`
    cos: Tensor,
    sin: Tensor,
}

impl RopeTable {
    pub(in crate::model) fn new(
        theta: f64,
        head_dim: usize,
        positions: usize,
        ntk: Option<DynamicNtk>,
        device: &Device,
    ) -> Result<Self> {
        let (cos, sin) = tables(theta, head_dim, 0..positions, device)?;
        Ok(Self { theta, head_dim, ntk, cos, sin })
    }

    /// Cosines and sines, `[len, head_dim / 2]` each, of the `len` positions from `start`, in a
    /// sequence that is `start + len` long: longer than the trained context, the base grows with it.
    pub(in crate::model) fn angles(&self, start: usize, len: usize) -> Result<(Tensor, Tensor)> {
        let end = start + len;
        match self.ntk {
            Some(ntk) if end > ntk.trained_positions => {
                let d = self.head_dim as f64;
                let trained = ntk.trained_positions as f64;
                let growth = ntk.factor * end as f64 / trained - (ntk.factor - 1.0);
                let theta = self.theta * growth.powf(d / (d - 2.0));
                tables(theta, self.head_dim, start..end, self.cos.device())
            }
            _ => Ok((self.cos.narrow(0, start, len)?, self.sin.narrow(0, start, len)?)),
        }
    }

    /// Tokens of the longest sequence whose angles do not depend on its length.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn unscaled_positions(&self) -> usize {
        let all = self.cos.dims().first().copied().unwrap_or(0);
        self.ntk.map_or(all, |ntk| ntk.trained_positions.min(all))
    }

    /// Cosines and sines of all positions from 0; none where a sequence of `end` positions would have
    /// others.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn unscaled(&self, end: usize) -> Option<(&Tensor, &Tensor)> {
        let scaled = self.ntk.is_some_and(|ntk| end > ntk.trained_positions);
        (!scaled).then_some((&self.cos, &self.sin))
    }
}

fn tables(
    theta: f64,
    head_dim: usize,
    positions: std::ops::Range<usize>,
    device: &Device,
) -> Result<(Tensor, Tensor)> {
    let half = head_dim / 2;
    let len = positions.len();
    let inverse_frequencies: Vec<f64> =
        (0..half).map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64)).collect();
    let angles = || {
        positions
            .clone()
            .flat_map(|position| inverse_frequencies.iter().map(move |f| position as f64 * f))
    };
    let cos: Vec<f32> = angles().map(|angle| angle.cos() as f32).collect();
    let sin: Vec<f32> = angles().map(|angle| angle.sin() as f32).collect();
    Ok((Tensor::from_vec(cos, (len, half), device)?, Tensor::from_vec(sin, (len, half), device)?))
}

/// Rotates `x`, `[rows, heads, head_dim]`, by the angles of its rows, `[rows, head_dim / 2]`, in f32;
/// the result is f32.
pub(in crate::model) fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() && x.dtype() == DType::F32 {
        return x.apply_op3_no_bwd(cos, sin, &Rotate);
    }
    composite(x, cos, sin)
}

/// The same of library operations, for every device and dtype.
fn composite(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let x = x.to_dtype(DType::F32)?;
    let (cos, sin) = (cos.unsqueeze(1)?, sin.unsqueeze(1)?);
    let first = x.narrow(D::Minus1, 0, half)?;
    let second = x.narrow(D::Minus1, half, half)?;
    Tensor::cat(
        &[
            (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?,
            (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?,
        ],
        D::Minus1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_a_product_are_turned_where_they_are() {
        let (rows, heads, d) = (70, 3, 8);
        let table = RopeTable::new(1e4, d, 200, None, &Device::Cpu).unwrap();
        let (cos, sin) = table.angles(5, rows).unwrap();
        let count = rows * 6 * d;
        let values: Vec<f32> = (0..count).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
        let product = Tensor::from_vec(values, (rows, 6 * d), &Device::Cpu).unwrap();
        let x = product.narrow(1, 2 * d, heads * d).unwrap().reshape((rows, heads, d)).unwrap();
        let flat = |x: Tensor| -> Vec<f32> { x.flatten_all().unwrap().to_vec1().unwrap() };
        let ours = flat(rotate(&x, &cos, &sin).unwrap());
        for (ours, expected) in ours.iter().zip(flat(composite(&x, &cos, &sin).unwrap())) {
            assert!((ours - expected).abs() < 1e-6, "{ours} {expected}");
        }
    }

    /// The largest error of a rotated vector at `position` against f64, for input rounded to `dtype`.
    fn error_at(position: usize, dtype: DType) -> f64 {
        let (theta, d) = (1e6, 128);
        let table = RopeTable::new(theta, d, position + 1, None, &Device::Cpu).unwrap();
        let (cos, sin) = table.angles(position, 1).unwrap();
        let values: Vec<f32> = (0..d).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
        let x = Tensor::from_vec(values, (1, 1, d), &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        let rounded: Vec<f32> =
            x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let rotated: Vec<f32> =
            rotate(&x, &cos, &sin).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        (0..d / 2)
            .flat_map(|i| {
                let angle = position as f64 * theta.powf(-2.0 * i as f64 / d as f64);
                let (a, b) = (f64::from(rounded[i]), f64::from(rounded[i + d / 2]));
                let (sin, cos) = angle.sin_cos();
                [
                    (f64::from(rotated[i]) - (a * cos - b * sin)).abs(),
                    (f64::from(rotated[i + d / 2]) - (b * cos + a * sin)).abs(),
                ]
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn far_positions_are_exact_in_every_dtype() {
        for dtype in [DType::F32, DType::BF16, DType::F16] {
            for position in [0, 257, 2_049, 16_000] {
                let error = error_at(position, dtype);
                assert!(error < 1e-6, "{dtype:?} at {position}: {error}");
            }
        }
    }

    #[test]
    fn the_base_grows_only_beyond_the_trained_context() {
        let ntk = DynamicNtk { factor: 2.0, trained_positions: 64 };
        let scaled = RopeTable::new(1e4, 8, 128, Some(ntk), &Device::Cpu).unwrap();
        let plain = RopeTable::new(1e4, 8, 128, None, &Device::Cpu).unwrap();
        let sines = |table: &RopeTable, start, len| -> Vec<f32> {
            table.angles(start, len).unwrap().1.flatten_all().unwrap().to_vec1().unwrap()
        };
        assert_eq!(sines(&scaled, 10, 54), sines(&plain, 10, 54));
        assert_ne!(sines(&scaled, 10, 55), sines(&plain, 10, 55));
    }
}
