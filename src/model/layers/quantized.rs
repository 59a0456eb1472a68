//! Matrix product with a stored 8-bit `[out, in]` weight.
//!
//! Weights are bytes with one f32 scale per output row: symmetric signed integers, a row's largest magnitude being 127,
//! or 8-bit floats, 448. Sums are f32. Integers are multiplied with activations in their own dtype, so all that is lost is
//! the rounding of weights; so are floats in the few rows of a decoding step, while many rows are rounded to 8 bits
//! themselves, which doubles the rate of tensor cores. A decoding step reads half the bytes of bf16 weights.

use candle_core::{
    CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Storage, Tensor, bail,
};
use half::{bf16, f16};

use super::Visit;
use super::linear::wide_product;
use crate::model::byte_matrix::ByteMatrix;
use crate::model::cpu;
use crate::model::cpu::q8::{Rows, product, quantise};
use crate::model::cuda;
use crate::placement::Quantization;

/// Rows of `x` for which the kernels read weights as bytes in every dtype.
const FEW_ROWS: usize = 8;

/// `x · (weight * scales)ᵀ + bias`.
#[derive(Debug, Clone)]
pub(in crate::model) struct QuantizedLinear {
    weight: ByteMatrix,
    /// `[out]`, of the activations' dtype.
    bias: Option<Tensor>,
}

impl QuantizedLinear {
    /// Quantises rows of `width` little-endian elements and places them on `device`. `parts` are
    /// stacked; the only copy that is made is of bytes.
    pub(in crate::model) fn from_rows(
        parts: &[(DType, &[u8])],
        width: usize,
        format: Quantization,
        bias: Option<Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let (mut bytes, mut scales) = (Vec::new(), Vec::new());
        for (dtype, elements) in parts {
            let part = match dtype {
                DType::F32 => quantise(elements.as_chunks().0, width, format, f32::from_le_bytes),
                DType::F16 => quantise(elements.as_chunks().0, width, format, |x| {
                    f16::from_le_bytes(x).to_f32()
                }),
                DType::BF16 => quantise(elements.as_chunks().0, width, format, |x| {
                    bf16::from_le_bytes(x).to_f32()
                }),
                other => bail!("{other:?} weights cannot be quantised"),
            }?;
            bytes.extend(part.0);
            scales.extend(part.1);
        }
        Self::place((bytes, scales), width, format, bias, device)
    }

    /// Quantises a dense `[out, in]` weight and leaves it on its device.
    pub(in crate::model) fn from_dense(
        weight: &Tensor,
        format: Quantization,
        bias: Option<Tensor>,
    ) -> Result<Self> {
        let (_, width) = weight.dims2()?;
        let host = weight.to_device(&Device::Cpu)?.contiguous()?;
        let (storage, layout) = host.storage_and_layout();
        let range = layout.start_offset()..layout.start_offset() + host.elem_count();
        let quantised = match &*storage {
            Storage::Cpu(CpuStorage::F32(x)) => quantise(&x[range], width, format, |x| x),
            Storage::Cpu(CpuStorage::F16(x)) => quantise(&x[range], width, format, f16::to_f32),
            Storage::Cpu(CpuStorage::BF16(x)) => quantise(&x[range], width, format, bf16::to_f32),
            _ => bail!("{:?} weights cannot be quantised", host.dtype()),
        }?;
        Self::place(quantised, width, format, bias, weight.device())
    }

    fn place(
        (bytes, scales): (Vec<u8>, Vec<f32>),
        width: usize,
        format: Quantization,
        bias: Option<Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let rows = scales.len();
        let bytes = Tensor::from_vec(bytes, (rows, width), device)?;
        let scales = Tensor::from_vec(scales, rows, device)?;
        let weight = ByteMatrix { bytes, scales, format };
        weight.dims()?;
        Ok(Self { weight, bias })
    }

    /// `[rows, in]` to `[rows, out]`, in the dtype of `x`.
    #[cfg(test)]
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward_as(x, x.dtype())
    }

    /// `[rows, in]` to `[rows, out]`, rounded to `out`.
    pub(in crate::model) fn forward_as(&self, x: &Tensor, out: DType) -> Result<Tensor> {
        self.product(x, self.bias.as_ref(), out)
    }

    /// `residual + x · weightᵀ`, for a layer without bias; `residual` is `[rows, out]`.
    pub(in crate::model) fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        debug_assert!(self.bias.is_none());
        self.product(x, Some(residual), residual.dtype())
    }

    /// Whether [`product_into`](Self::product_into) takes these rows without memory of its own.
    #[cfg(feature = "cuda")]
    pub(super) fn takes(x: &Tensor) -> bool {
        cuda::q8::takes(x, None)
    }

    /// Writes the product to `out`, `[rows, out]` on a GPU, and returns the bias that it still lacks.
    #[cfg(feature = "cuda")]
    pub(super) fn product_into(&self, x: &Tensor, out: &Tensor) -> Result<Option<&Tensor>> {
        if Self::takes(x) {
            cuda::q8::product_into(x, &self.weight, None, out)?;
        } else if cuda::fp8::takes(x, &self.weight) {
            cuda::fp8::product_into(x, &self.weight, out)?;
        } else {
            let weight = self.dense(x.dtype())?;
            cuda::product::product_into(x, &weight, out)?;
        }
        Ok(self.bias.as_ref())
    }

    /// Writes the product of `silu(gate) * up` to `out` where that need not be stored in between; `inner` is like it. False
    /// where it must be.
    #[cfg(feature = "cuda")]
    pub(super) fn swiglu_product_into(
        &self,
        gate_up: &Tensor,
        inner: &Tensor,
        out: &Tensor,
    ) -> Result<bool> {
        let is_taken = !Self::takes(inner) && cuda::fp8::takes(inner, &self.weight);
        if is_taken {
            cuda::fp8::swiglu_product_into(gate_up, &self.weight, out)?;
        }
        Ok(is_taken)
    }

    /// Weight and scales.
    pub(super) fn weights(&self) -> [Tensor; 2] {
        [self.weight.bytes.clone(), self.weight.scales.clone()]
    }

    /// Shows weight and scales, and returns the bias.
    pub(super) fn visit(&self, name: &str, visit: Visit<'_>) -> Option<&Tensor> {
        visit(&format!("{name}.weight"), &self.weight.bytes);
        visit(&format!("{name}.scales"), &self.weight.scales);
        self.bias.as_ref()
    }

    fn product(&self, x: &Tensor, addend: Option<&Tensor>, out: DType) -> Result<Tensor> {
        if x.dtype() != out {
            return self.rounded_product(x, addend, out);
        }
        let addend = addend.map(|addend| addend.to_dtype(out)).transpose()?;
        let addend = addend.as_ref();
        if cuda::q8::takes(x, addend) {
            return cuda::q8::product(x, &self.weight, addend);
        }
        let is_integers = self.weight.format == Quantization::Q8;
        if is_integers && cpu::takes(x) && addend.is_none_or(cpu::takes) {
            let addend = addend.cloned();
            let product = QuantizedProduct { scales: self.weight.scales.clone(), addend };
            return x.apply_op2_no_bwd(&self.weight.bytes, &product);
        }
        let product = if cuda::fp8::takes(x, &self.weight) {
            cuda::fp8::product(x, &self.weight, out)?
        } else {
            x.matmul(&self.dense(x.dtype())?.t()?)?
        };
        match addend {
            Some(addend) => product.broadcast_add(addend),
            None => Ok(product),
        }
    }

    /// The product in another dtype than that of `x`.
    fn rounded_product(&self, x: &Tensor, addend: Option<&Tensor>, out: DType) -> Result<Tensor> {
        let product = match (x.dtype(), out) {
            // Few rows are read with their weights in bytes, whatever their dtype: f32 costs nothing.
            (DType::F16, DType::F32) if x.dim(0)? <= FEW_ROWS => {
                return self.product(&x.to_dtype(out)?, addend, out);
            }
            (_, DType::F32) if cuda::fp8::takes(x, &self.weight) => {
                cuda::fp8::product(x, &self.weight, out)?
            }
            (DType::F16, DType::F32) => wide_product(x, &self.dense(DType::F16)?)?,
            _ => self.product(x, None, x.dtype())?.to_dtype(out)?,
        };
        match addend {
            Some(addend) => product.broadcast_add(&addend.to_dtype(out)?),
            None => Ok(product),
        }
    }

    /// The weight as it is multiplied, in `dtype`.
    fn dense(&self, dtype: DType) -> Result<Tensor> {
        let ByteMatrix { bytes, scales, format } = &self.weight;
        if bytes.device().is_cuda() {
            return cuda::q8::dequantise(&self.weight, dtype);
        }
        bytes.apply_op2_no_bwd(scales, &Dequantise { dtype, format: *format })
    }
}

/// `x · weightᵀ` of `[rows, in]` and `[out, in]` signed integers, plus the addend, `[out]` or `[rows, out]`.
struct QuantizedProduct {
    scales: Tensor,
    addend: Option<Tensor>,
}

impl CustomOp2 for QuantizedProduct {
    fn name(&self) -> &'static str {
        "quantized-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let scales = self.scales.storage_and_layout();
        let addend = self.addend.as_ref().map(Tensor::storage_and_layout);
        let weight = Rows::new((weight, weight_layout), on_cpu(&scales)?, Quantization::Q8)?;
        product((x, x_layout), weight, addend.as_ref().map(on_cpu).transpose()?)
    }
}

/// The storage behind a tensor's lock, which must be on the CPU.
fn on_cpu<'a, S>((storage, layout): &'a (S, &Layout)) -> Result<(&'a CpuStorage, &'a Layout)>
where
    S: std::ops::Deref<Target = Storage>,
{
    match &**storage {
        Storage::Cpu(storage) => Ok((storage, layout)),
        _ => bail!("scales and addend are on another device than the weight"),
    }
}

/// The dense weight of bytes `[out, in]` and scales `[out]`.
struct Dequantise {
    dtype: DType,
    format: Quantization,
}

impl CustomOp2 for Dequantise {
    fn name(&self) -> &'static str {
        "dequantise"
    }

    fn cpu_fwd(
        &self,
        weight: &CpuStorage,
        weight_layout: &Layout,
        scales: &CpuStorage,
        scales_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let weight = Rows::new((weight, weight_layout), (scales, scales_layout), self.format)?;
        Ok((weight.dequantise(self.dtype)?, weight_layout.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(rows: usize, columns: usize, seed: usize) -> Tensor {
        let values: Vec<f32> = (0..rows * columns)
            .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)
            .collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    fn wide(x: &Tensor) -> Tensor {
        x.to_device(&Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
    }

    /// `x` as a product of many rows with 8-bit floats has it on a GPU.
    fn rounded(layer: &QuantizedLinear, x: &Tensor, addend: Option<&Tensor>) -> Tensor {
        if cuda::q8::takes(x, addend) || !cuda::fp8::takes(x, &layer.weight) {
            return x.clone();
        }
        let same = QuantizedLinear::from_dense(x, Quantization::Fp8, None).unwrap();
        same.dense(DType::F32).unwrap()
    }

    /// `layer` against the library's product in f64, of the numbers that it has after rounding.
    /// `unit` is the rounding of what it returns.
    #[track_caller]
    fn check(layer: &QuantizedLinear, x: &Tensor, residual: Option<&Tensor>, unit: f64) {
        let ours = match residual {
            Some(residual) => layer.forward_add(x, residual).unwrap(),
            None => layer.forward(x).unwrap(),
        };
        assert_eq!(ours.dtype(), x.dtype());
        let weight = wide(&layer.dense(DType::F32).unwrap());
        let addend = residual.or(layer.bias.as_ref());
        let mut expected = wide(&rounded(layer, x, addend)).matmul(&weight.t().unwrap()).unwrap();
        if let Some(addend) = addend {
            expected = expected.broadcast_add(&wide(addend)).unwrap();
        }
        let error = (wide(&ours) - &expected).unwrap().abs().unwrap();
        let error = error.max_all().unwrap().to_scalar::<f64>().unwrap();
        let largest = expected.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
        let shape = x.shape();
        assert!(error <= largest.max(1.0) * unit, "{shape:?}: {error:e} of {largest}");
    }

    /// All ways to call a layer, on `device`, in `dtype`.
    fn check_shapes(shapes: &[(usize, usize, usize)], device: &Device, dtype: DType, unit: f64) {
        for format in [Quantization::Q8, Quantization::Fp8] {
            check_format(format, shapes, device, dtype, unit);
        }
    }

    fn check_format(
        format: Quantization,
        shapes: &[(usize, usize, usize)],
        device: &Device,
        dtype: DType,
        unit: f64,
    ) {
        for &(rows, inner, columns) in shapes {
            let place = |x: Tensor| x.to_dtype(dtype).unwrap().to_device(device).unwrap();
            let (x, weight) = (place(ramp(rows, inner, 1)), place(ramp(columns, inner, 2)));
            let bias = place(ramp(1, columns, 3)).squeeze(0).unwrap();
            let biased = QuantizedLinear::from_dense(&weight, format, Some(bias)).unwrap();
            check(&biased, &x, None, unit);
            let plain = QuantizedLinear::from_dense(&weight, format, None).unwrap();
            check(&plain, &x, None, unit);
            check(&plain, &x, Some(&place(ramp(rows, columns, 4))), unit);
        }
    }

    /// Few rows and many, one panel of weights and several, widths of no particular multiple.
    const SHAPES: &[(usize, usize, usize)] =
        &[(1, 64, 96), (1, 200, 1), (3, 33, 7), (4, 130, 517), (5, 33, 300), (130, 96, 257)];

    #[test]
    fn products_equal_those_of_the_rounded_weight() {
        check_shapes(SHAPES, &Device::Cpu, DType::F32, 1e-6);
    }

    #[test]
    fn half_precision_goes_through_the_dense_weight() {
        check_shapes(SHAPES, &Device::Cpu, DType::F16, 4e-3);
        check_shapes(SHAPES, &Device::Cpu, DType::BF16, 3e-2);
    }

    #[test]
    fn stored_rows_give_the_same_layer_as_a_dense_weight() {
        let bytes = |x: &Tensor| -> Vec<u8> {
            let x: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
            x.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect()
        };
        let parts = [ramp(5, 37, 1), ramp(3, 37, 2)];
        let stored: Vec<Vec<u8>> = parts.iter().map(bytes).collect();
        let rows: Vec<(DType, &[u8])> =
            stored.iter().map(|bytes| (DType::BF16, bytes.as_slice())).collect();
        let format = Quantization::Q8;
        let ours = QuantizedLinear::from_rows(&rows, 37, format, None, &Device::Cpu).unwrap();
        let dense = Tensor::cat(&parts, 0).unwrap().to_dtype(DType::BF16).unwrap();
        let theirs = QuantizedLinear::from_dense(&dense, format, None).unwrap();
        let content = |layer: &QuantizedLinear| {
            let bits = |x: f32| x.to_bits();
            (
                layer.weight.bytes.to_vec2::<u8>().unwrap(),
                layer.weight.scales.to_vec1().unwrap().into_iter().map(bits).collect::<Vec<_>>(),
            )
        };
        assert_eq!(content(&ours), content(&theirs));
        assert_eq!(ours.weight.bytes.dims(), [8, 37]);
        let part: &[(DType, &[u8])] = &[(DType::U8, &[0])];
        let refused = QuantizedLinear::from_rows(part, 1, format, None, &Device::Cpu);
        assert!(refused.is_err());
    }

    /// Needs a GPU: run with `cargo test --features cuda quantized` on a machine that has one. Without
    /// one it fails when it opens the device.
    #[cfg(feature = "cuda")]
    #[test]
    fn the_gpu_computes_the_same() {
        let gpu = &"cuda:0".parse().unwrap();
        let device = crate::device::open(gpu).unwrap().remove(0).device;
        // Every kernel: one row, few, more, and so many that the weight is dequantised; widths that are
        // no multiple of 16, which also go that way; columns that fill no tile.
        let mut shapes = vec![(3, 33, 7), (9, 100, 130), (1, 16, 1)];
        for rows in [1, 2, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 300] {
            shapes.extend([
                (rows, 3600, 257),
                (rows, 3584, 4608),
                (rows, 176, 15168),
                (rows, 176, 15167),
            ]);
        }
        check_shapes(&shapes, &device, DType::F32, 1e-5);
        check_shapes(&shapes, &device, DType::F16, 2e-3);
        check_shapes(&shapes, &device, DType::BF16, 2e-2);
    }

    /// What an MLP makes of its first two products may go to its last one without being stored: the same to the bit.
    /// Needs an H100 or H200; where there is none it says so and is over.
    #[cfg(feature = "cuda")]
    #[test]
    fn an_mlp_s_last_product_is_the_same_without_a_store_between() {
        let gpu = crate::device::open(&"cuda:0".parse().unwrap());
        let Ok(device) = gpu.map(|mut opened| opened.remove(0).device) else {
            eprintln!("not run: it needs a GPU");
            return;
        };
        for dtype in [DType::F16, DType::BF16] {
            for (rows, inner, columns) in [(129, 64, 48), (300, 3584, 256), (131, 18944, 64)] {
                let random = |shape: (usize, usize)| {
                    let values = Tensor::randn(0f32, 1.0, shape, &device).unwrap();
                    values.to_dtype(dtype).unwrap()
                };
                let weight = random((columns, inner));
                let layer = QuantizedLinear::from_dense(&weight, Quantization::Fp8, None).unwrap();
                let (gate_up, between) = (random((rows, 2 * inner)), random((rows, inner)));
                let [stored, at_once] = [(); 2].map(|()| random((rows, columns)));
                cuda::rows::swiglu(&gate_up, &between).unwrap();
                layer.product_into(&between, &stored).unwrap();
                if !layer.swiglu_product_into(&gate_up, &between, &at_once).unwrap() {
                    eprintln!("not run: it needs an H100 or H200");
                    return;
                }
                let bits = |x: &Tensor| -> Vec<u32> {
                    let wide = x.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
                    wide.to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
                };
                assert_eq!(bits(&stored), bits(&at_once), "{dtype:?}, {rows} rows of {inner}");
            }
        }
    }
}
