//! Matrix product with a stored `[out, in]` weight.

use candle_core::{Result, Tensor};

use crate::model::cpu::{self, LinearProduct};

/// `x · weightᵀ + bias`.
#[derive(Debug, Clone)]
pub(in crate::model) struct Linear {
    /// `[out, in]`
    weight: Tensor,
    /// `[out]`
    bias: Option<Tensor>,
}

impl Linear {
    pub(in crate::model) fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `[rows, in]` to `[rows, out]`.
    pub(in crate::model) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.product(x, self.bias.as_ref())
    }

    /// `residual + x · weightᵀ`, for a layer without bias; `residual` is `[rows, out]`.
    pub(in crate::model) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        debug_assert!(self.bias.is_none());
        self.product(x, Some(residual))
    }

    fn product(&self, x: &Tensor, addend: Option<&Tensor>) -> Result<Tensor> {
        match addend {
            Some(addend) if cpu::takes(x) && cpu::takes(addend) => {
                x.apply_op3_no_bwd(&self.weight, addend, &LinearProduct)
            }
            None if cpu::takes(x) => x.apply_op2_no_bwd(&self.weight, &LinearProduct),
            Some(addend) => x.matmul(&self.weight.t()?)?.broadcast_add(addend),
            None => x.matmul(&self.weight.t()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn ramp(rows: usize, columns: usize) -> Tensor {
        let values: Vec<f32> =
            (0..rows * columns).map(|i| ((i * 17) % 101) as f32 / 50.0 - 1.0).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    /// The kernel's f32 result against the library's in f64.
    #[test]
    fn bias_and_residual_are_added() {
        for (rows, inner, columns) in [(1, 64, 96), (5, 33, 7), (130, 96, 100)] {
            let (x, weight) = (ramp(rows, inner), ramp(columns, inner));
            let bias = ramp(1, columns).squeeze(0).unwrap();
            let wide = |x: &Tensor| x.to_dtype(DType::F64).unwrap();
            let product = wide(&x).matmul(&wide(&weight).t().unwrap()).unwrap();
            let close = |ours: &Tensor, expected: &Tensor| {
                let difference = (wide(ours) - expected).unwrap().abs().unwrap();
                assert!(difference.max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-4);
            };
            let biased = Linear::new(weight.clone(), Some(bias.clone())).forward(&x).unwrap();
            close(&biased, &product.broadcast_add(&wide(&bias)).unwrap());
            let plain = Linear::new(weight, None);
            close(&plain.forward(&x).unwrap(), &product);
            let residual = ramp(rows, columns);
            let added = plain.forward_add(&x, &residual).unwrap();
            close(&added, &(&product + wide(&residual)).unwrap());
        }
    }
}
