//! Matrix product with a stored `[out, in]` weight.

use candle_core::{DType, Result, Tensor};

use crate::model::cpu::{self, LinearProduct};
use crate::model::cuda;
use crate::model::layers::Visit;

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

    /// `[rows, in]` to `[rows, out]`, in the dtype of `x`.
    pub(in crate::model) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_as(x, x.dtype())
    }

    /// As [`forward`](Self::forward), rounded to `out` instead. A sum of f16 products that is asked
    /// for in f32 never passes through f16, whose range it may leave.
    pub(in crate::model) fn forward_as(&self, x: &Tensor, out: DType) -> Result<Tensor> {
        self.product(x, self.bias.as_ref(), out)
    }

    /// `residual + x · weightᵀ`, for a layer without bias; `residual` is `[rows, out]`, and the sum
    /// has its dtype.
    pub(in crate::model) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        debug_assert!(self.bias.is_none());
        self.product(x, Some(residual), residual.dtype())
    }

    /// Whether `tensor` itself is the weight, not only equal to it.
    pub(in crate::model) fn has_weight(&self, tensor: &Tensor) -> bool {
        self.weight.id() == tensor.id()
    }

    /// Shows the stored tensors of the product called `name`.
    pub(in crate::model) fn visit(&self, name: &str, visit: Visit<'_>) {
        visit(&format!("{name}.weight"), &self.weight);
        if let Some(bias) = &self.bias {
            visit(&format!("{name}.bias"), bias);
        }
    }

    fn product(&self, x: &Tensor, addend: Option<&Tensor>, out: DType) -> Result<Tensor> {
        if cpu::takes(x) && out == DType::F32 && addend.is_none_or(cpu::takes) {
            return match addend {
                Some(addend) => x.apply_op3_no_bwd(&self.weight, addend, &LinearProduct),
                None => x.apply_op2_no_bwd(&self.weight, &LinearProduct),
            };
        }
        let product = if x.dtype() == DType::F16 && out == DType::F32 {
            if x.device().is_cpu() {
                x.to_dtype(out)?.matmul(&self.weight.to_dtype(out)?.t()?)?
            } else {
                cuda::wide_product(x, &self.weight)?
            }
        } else {
            x.matmul(&self.weight.t()?)?.to_dtype(out)?
        };
        match addend {
            Some(addend) => product.broadcast_add(&addend.to_dtype(out)?),
            None => Ok(product),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

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

    #[test]
    fn a_wide_sum_of_f16_products_leaves_the_range_of_f16() {
        let half = |value: f64, shape| {
            Tensor::full(value as f32, shape, &Device::Cpu).unwrap().to_dtype(DType::F16).unwrap()
        };
        let (x, linear) = (half(300.0, (1, 8)), Linear::new(half(300.0, (2, 8)), None));
        let first = |x: &Tensor| x.to_dtype(DType::F32).unwrap().to_vec2::<f32>().unwrap()[0][0];
        assert!(first(&linear.forward(&x).unwrap()).is_infinite());
        let expected = 8.0 * 300.0 * 300.0;
        let wide = linear.forward_as(&x, DType::F32).unwrap();
        assert!((first(&wide) - expected).abs() < 1.0);
        let residual = Tensor::ones((1, 2), DType::F32, &Device::Cpu).unwrap();
        assert!((first(&linear.forward_add(&x, &residual).unwrap()) - expected - 1.0).abs() < 1.0);
    }
}
