//! Matrix product with a stored `[out, in]` weight, dense or in 8 bits: callers see no difference.

use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};

use super::Visit;
use super::quantized::QuantizedLinear;
use crate::model::cpu::{self, Laid, LinearProduct, ProductOf};
use crate::model::cuda;
use crate::placement::Quantization;

/// `x · weightᵀ + bias`.
#[derive(Debug, Clone)]
pub(in crate::model) struct Linear(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Dense {
        /// `[out, in]`
        weight: Tensor,
        /// `[out]`
        bias: Option<Tensor>,
        /// The weight as the CPU's kernels read it fastest, where they do.
        laid: Option<Arc<Laid>>,
    },
    Quantized(QuantizedLinear),
}

impl Linear {
    pub(in crate::model) fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        let laid = Laid::of(&weight).map(Arc::new);
        Self(Kind::Dense { weight, bias, laid })
    }

    /// An 8-bit weight of stored rows of `width` elements, little-endian f32, f16 or bf16. `parts` are
    /// stacked; none of them is placed on `device` in its own dtype.
    pub(in crate::model) fn quantized(
        parts: &[(DType, &[u8])],
        width: usize,
        format: Quantization,
        bias: Option<Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let layer = QuantizedLinear::from_rows(parts, width, format, bias, device)?;
        Ok(Self(Kind::Quantized(layer)))
    }

    /// An 8-bit weight of a dense one, `[out, in]`, on the same device.
    pub(in crate::model) fn quantized_from(
        weight: &Tensor,
        format: Quantization,
        bias: Option<Tensor>,
    ) -> Result<Self> {
        Ok(Self(Kind::Quantized(QuantizedLinear::from_dense(weight, format, bias)?)))
    }

    /// `[rows, in]` to `[rows, out]`, in the dtype of `x`.
    pub(in crate::model) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_as(x, x.dtype())
    }

    /// As [`forward`](Self::forward), rounded to `out` instead. A sum of f16 products that is asked
    /// for in f32 never passes through f16, whose range it may leave.
    pub(in crate::model) fn forward_as(&self, x: &Tensor, out: DType) -> Result<Tensor> {
        match &self.0 {
            Kind::Dense { weight, bias, laid } => {
                product(x, (weight, laid.as_deref()), bias.as_ref(), out)
            }
            Kind::Quantized(layer) => layer.forward_as(x, out),
        }
    }

    /// Writes the product to `out`, `[rows, out]` on a GPU, and returns the bias that it still lacks: for a
    /// kernel that adds it on the way.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn product_into(
        &self,
        x: &Tensor,
        out: &Tensor,
    ) -> Result<Option<&Tensor>> {
        match &self.0 {
            Kind::Dense { weight, bias, .. } => {
                cuda::product::product_into(x, weight, out)?;
                Ok(bias.as_ref())
            }
            Kind::Quantized(layer) => layer.product_into(x, out),
        }
    }

    /// Parts of likeliest tokens that [`logits_into`](Self::logits_into) finds of each row; none where it finds none.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn found_parts(&self, x: &Tensor, out: &Tensor) -> Result<Option<usize>> {
        let Kind::Dense { weight, bias: None, .. } = &self.0 else { return Ok(None) };
        cuda::product::found_parts(x, weight, out)
    }

    /// As [`product_into`](Self::product_into), where [`found_parts`](Self::found_parts) says that likeliest tokens are found:
    /// with these, and without rows of `out`, f32, that are not wanted.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn logits_into(
        &self,
        x: &Tensor,
        out: &Tensor,
        found: cuda::found::Found<'_>,
    ) -> Result<()> {
        let Kind::Dense { weight, bias: None, .. } = &self.0 else {
            candle_core::bail!("likeliest tokens are not found by this layer");
        };
        cuda::product::logits_into(x, weight, out, found)
    }

    /// Writes `silu(x · gateᵀ) * (x · upᵀ)` to `out`, `[rows, out / 2]` on a GPU, for a layer of both, where a kernel does
    /// so at once and is faster, or is to be `tried` all the same; says whether it did.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn swiglu_into(
        &self,
        x: &Tensor,
        out: &Tensor,
        tried: bool,
    ) -> Result<bool> {
        let Kind::Dense { weight, bias: None, .. } = &self.0 else { return Ok(false) };
        let is_taken = cuda::hopper_swiglu::takes(x, weight, out, tried)?;
        if is_taken {
            cuda::hopper_swiglu::swiglu_product(x, weight, out, tried)?;
        }
        Ok(is_taken)
    }

    /// Writes the product of `silu(gate) * up` to `out`, `[rows, out]` on a GPU, for a layer without bias. Rows of `gate_up` have
    /// both side by side; `inner` is room for the former.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn swiglu_product_into(
        &self,
        gate_up: &Tensor,
        inner: &Tensor,
        out: &Tensor,
    ) -> Result<()> {
        if let Kind::Quantized(layer) = &self.0
            && layer.swiglu_product_into(gate_up, inner, out)?
        {
            return Ok(());
        }
        cuda::rows::swiglu(gate_up, inner)?;
        self.product_into(inner, out).map(drop)
    }

    /// Weight and bias, where the weight is dense.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn dense(&self) -> Option<(&Tensor, Option<&Tensor>)> {
        match &self.0 {
            Kind::Dense { weight, bias, .. } => Some((weight, bias.as_ref())),
            Kind::Quantized(_) => None,
        }
    }

    /// What the CPU's kernels take, where the weight is dense.
    pub(in crate::model) fn parts(&self) -> Option<ProductOf<'_>> {
        match &self.0 {
            Kind::Dense { weight, bias, laid } => {
                Some(ProductOf { weight, laid: laid.as_deref(), bias: bias.as_ref() })
            }
            Kind::Quantized(_) => None,
        }
    }

    /// Whether the product of `x` allocates memory of its own.
    #[cfg(feature = "cuda")]
    pub(in crate::model) fn allocates(&self, x: &Tensor) -> bool {
        match &self.0 {
            Kind::Dense { .. } => false,
            Kind::Quantized(_) => !QuantizedLinear::takes(x),
        }
    }

    /// `residual + x · weightᵀ`, for a layer without bias; `residual` is `[rows, out]`, and the sum
    /// has its dtype.
    pub(in crate::model) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Kind::Dense { weight, bias, laid } => {
                debug_assert!(bias.is_none());
                product(x, (weight, laid.as_deref()), Some(residual), residual.dtype())
            }
            Kind::Quantized(layer) => layer.forward_add(x, residual),
        }
    }

    /// Whether `tensor` itself is the weight, not only equal to it.
    pub(in crate::model) fn has_weight(&self, tensor: &Tensor) -> bool {
        matches!(&self.0, Kind::Dense { weight, .. } if weight.id() == tensor.id())
    }

    /// The weight, and the scales that belong to it where it is in 8 bits; each has a row for each output.
    pub(in crate::model) fn weights(&self) -> Vec<Tensor> {
        match &self.0 {
            Kind::Dense { weight, .. } => vec![weight.clone()],
            Kind::Quantized(layer) => layer.weights().to_vec(),
        }
    }

    /// Shows the stored tensors of the product called `name`.
    pub(in crate::model) fn visit(&self, name: &str, visit: Visit<'_>) {
        let bias = match &self.0 {
            Kind::Dense { weight, bias, .. } => {
                visit(&format!("{name}.weight"), weight);
                bias.as_ref()
            }
            Kind::Quantized(layer) => layer.visit(name, visit),
        };
        if let Some(bias) = bias {
            visit(&format!("{name}.bias"), bias);
        }
    }
}

/// The product of a layer with `weight`, `[out, in]`, as a function of `[rows, in]` in the same dtype and on the same device: a
/// benchmark tells by it what a processor multiplies at best.
pub fn large_product(weight: Tensor) -> impl Fn(&Tensor) -> Result<Tensor> {
    let linear = Linear::new(weight, None);
    move |x| linear.forward(x)
}

fn product(
    x: &Tensor,
    (weight, laid): (&Tensor, Option<&Laid>),
    addend: Option<&Tensor>,
    out: DType,
) -> Result<Tensor> {
    if cpu::takes(x) && out == DType::F32 && addend.is_none_or(cpu::takes) {
        if let Some(laid) = laid {
            return laid.product(x, addend);
        }
        return match addend {
            Some(addend) => x.apply_op3_no_bwd(weight, addend, &LinearProduct),
            None => x.apply_op2_no_bwd(weight, &LinearProduct),
        };
    }
    let product = if cuda::product::takes(x, out) {
        cuda::product::product(x, weight, out)?
    } else if x.dtype() == DType::F16 && out == DType::F32 {
        wide_product(x, weight)?
    } else {
        x.matmul(&weight.t()?)?.to_dtype(out)?
    };
    match addend {
        Some(addend) => product.broadcast_add(&addend.to_dtype(out)?),
        None => Ok(product),
    }
}

/// `x · weightᵀ` of f16 matrices in f32.
pub(super) fn wide_product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        x.to_dtype(DType::F32)?.matmul(&weight.to_dtype(DType::F32)?.t()?)
    } else {
        cuda::product::product(x, weight, DType::F32)
    }
}

#[cfg(test)]
mod tests {
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
    fn a_quantized_layer_stands_in_for_a_dense_one() {
        let (x, weight) = (ramp(3, 40), ramp(21, 40));
        let bytes: Vec<u8> = weight
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let dense = Linear::new(weight.clone(), None);
        let stored =
            Linear::quantized(&[(DType::F32, &bytes)], 40, Quantization::Q8, None, &Device::Cpu)
                .unwrap();
        let made = Linear::quantized_from(&weight, Quantization::Q8, None).unwrap();
        // 40 products, each off by at most half of 1/127 of the largest weight, which is 1.
        let bound = 40.0 * 0.5 / 127.0;
        for layer in [made, stored] {
            let pairs = [
                (layer.forward(&x).unwrap(), dense.forward(&x).unwrap()),
                (
                    layer.forward_add(&x, &ramp(3, 21)).unwrap(),
                    dense.forward_add(&x, &ramp(3, 21)).unwrap(),
                ),
            ];
            for (ours, theirs) in pairs {
                let difference = (ours - theirs).unwrap().abs().unwrap();
                let difference: f32 = difference.max_all().unwrap().to_scalar().unwrap();
                // Not equal either: it is the rounded weight that is multiplied.
                assert!(difference > 0.0 && difference < bound, "{difference}");
            }
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
