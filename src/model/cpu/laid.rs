//! Weights that are laid out once, as the kernels read them.

use candle_core::{Device, Result, Tensor, bail};

use super::kernel::{Rows, Start};
use super::lent::Lent;
use super::linear::multiply_panels;
use super::panels::{Panels, Stored};
use super::takes;

/// Values of the largest weight that is kept in this form, beside the one that it was loaded in. Larger ones are laid out for each
/// pass: the memory that is planned for a model does not count them twice.
const KEPT_MAX: usize = 1 << 19;

/// A weight, `[out, in]`, in panels that take half of its memory: where the processor multiplies such panels many times
/// faster than values as they are stored, and bf16 holds every value.
#[derive(Debug)]
pub(in crate::model) struct Laid {
    panels: Panels,
    inner: usize,
}

impl Laid {
    /// None where nothing is gained by it.
    pub(in crate::model) fn of(weight: &Tensor) -> Option<Self> {
        if !takes(weight) || weight.elem_count() > KEPT_MAX || weight.elem_count() == 0 {
            return None;
        }
        let (columns, inner) = weight.dims2().ok()?;
        let values = Lent::new(weight).ok()?;
        let rows = Rows::new(values.values(), inner);
        let panels = Panels::kept(Stored { rows, columns, inner })?;
        Some(Self { panels, inner })
    }

    pub(super) fn panels(&self) -> &Panels {
        &self.panels
    }

    /// `x · weightᵀ` of `[rows, in]`, with `addend`, `[out]` or `[rows, out]`, plus that.
    pub(in crate::model) fn product(&self, x: &Tensor, addend: Option<&Tensor>) -> Result<Tensor> {
        let Self { panels, inner } = self;
        let ((rows, width), columns) = (x.dims2()?, panels.columns());
        if width != *inner {
            bail!("rows of {width} values for a weight of {inner}");
        }
        let x = Lent::new(x)?;
        let is_row = addend.is_some_and(|addend| addend.rank() == 1);
        let addend = addend.map(Lent::new).transpose()?;
        let start = match &addend {
            None => Start::Zero,
            Some(bias) if is_row => Start::Row(bias.values()),
            Some(rows) => Start::Rows(Rows::new(rows.values(), columns)),
        };
        let mut out = vec![0.0; rows * columns];
        multiply_panels(panels, (x.values(), *inner), (&mut out, columns), start);
        Tensor::from_vec(out, (rows, columns), &Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::model::cpu::LinearProduct;

    fn short(shape: &[usize], seed: usize) -> Tensor {
        let count: usize = shape.iter().product();
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0;
        let values: Vec<f32> = (0..count).map(value).collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        tensor.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap()
    }

    #[test]
    fn a_laid_weight_multiplies_as_the_stored_one() {
        // Columns of one task, of several, and such as fill no panel.
        for (inner, columns) in [(64, 96), (300, 500), (256, 1537)] {
            let weight = short(&[columns, inner], 1);
            let Some(laid) = Laid::of(&weight) else {
                eprintln!("not run: it needs tiles");
                return;
            };
            assert!(laid.product(&short(&[2, inner + 1], 2), None).is_err());
            for rows in [1, 9, 16, 17, 70] {
                let (x, bias) = (short(&[rows, inner], 2), short(&[columns], 3));
                let x = (x * 1.1).unwrap();
                let added = short(&[rows, columns], 4);
                for addend in [&bias, &added] {
                    let ours = laid.product(&x, Some(addend)).unwrap();
                    let expected = x.apply_op3_no_bwd(&weight, addend, &LinearProduct).unwrap();
                    let error = (ours - expected).unwrap().abs().unwrap().max_all().unwrap();
                    let error: f32 = error.to_scalar().unwrap();
                    assert!(error < 1e-4, "{rows}x{inner}x{columns}: {error:e}");
                }
            }
        }
    }

    #[test]
    fn what_bf16_does_not_hold_stays_as_it_is() {
        let weight = (short(&[32, 64], 1) * 1.1).unwrap();
        assert!(Laid::of(&weight).is_none());
    }
}
