//! A layer of the vision tower in passes over its rows, each cut into blocks of rows over all cores: queries, keys and
//! values; keys and values as the kernels read them; attention, head by head; and everything that a row needs from there on,
//! whose intermediate results never leave the second-level cache.

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::attention::{HeadPanels, Queries};
use super::elementwise::{add_scaled, gelu_in_place};
use super::kernel::{Kernel, Rows, Start};
use super::laid::Laid;
use super::lent::Lent;
use super::norm::normalise_rows;
use super::panels::{Panels, Stored, block_rows};
use super::scratch::Scratch;

/// A layer norm, or an RMS norm where there is no bias.
#[derive(Clone, Copy)]
pub(in crate::model) struct NormOf<'a> {
    pub(in crate::model) weight: &'a Tensor,
    pub(in crate::model) bias: Option<&'a Tensor>,
    pub(in crate::model) eps: f32,
}

/// A product with a stored weight, `[out, in]`.
#[derive(Clone, Copy)]
pub(in crate::model) struct ProductOf<'a> {
    pub(in crate::model) weight: &'a Tensor,
    /// The same, if it is laid out already.
    pub(in crate::model) laid: Option<&'a Laid>,
    pub(in crate::model) bias: Option<&'a Tensor>,
}

/// What a layer has, all dense f32 on the CPU.
#[derive(Clone, Copy)]
pub(in crate::model) struct VisionLayer<'a> {
    pub(in crate::model) heads: usize,
    pub(in crate::model) norm1: NormOf<'a>,
    /// Rows of queries, then keys, then values.
    pub(in crate::model) qkv: ProductOf<'a>,
    /// Over whole rows of queries and of keys.
    pub(in crate::model) qk_norms: Option<[NormOf<'a>; 2]>,
    pub(in crate::model) proj: ProductOf<'a>,
    pub(in crate::model) ls1: &'a Tensor,
    pub(in crate::model) norm2: NormOf<'a>,
    pub(in crate::model) fc1: ProductOf<'a>,
    pub(in crate::model) fc2: ProductOf<'a>,
    pub(in crate::model) ls2: &'a Tensor,
}

impl VisionLayer<'_> {
    /// `[tiles * tokens, hidden]` to the same.
    pub(in crate::model) fn forward(&self, x: &Tensor, tiles: usize) -> Result<Tensor> {
        let shape = x.shape().clone();
        let mut x = Lent::new(x)?.values().to_vec();
        let layer = Layer::new(self)?;
        let products = [&layer.qkv, &layer.proj, &layer.fc1, &layer.fc2];
        let unlaid = products.iter().filter(|product| product.laid.is_none());
        let made = Panels::of_all(&unlaid.map(|product| product.stored()).collect::<Vec<_>>());
        let mut made = made.iter();
        let mut panels = [const { None }; 4];
        for (panels, product) in panels.iter_mut().zip(products) {
            *panels = product.laid.map(Laid::panels).or_else(|| made.next());
        }
        let [Some(qkv), Some(proj), Some(fc1), Some(fc2)] = panels else {
            bail!("weights that are not laid out")
        };
        let panels = [qkv, proj, fc1, fc2];
        let tile_len = x.len() / tiles;
        for tile in x.chunks_exact_mut(tile_len) {
            layer.tile(panels, tile);
        }
        Tensor::from_vec(x, shape, &Device::Cpu)
    }
}

struct NormValues<'a> {
    weight: Lent<'a>,
    bias: Option<Lent<'a>>,
    eps: f32,
}

struct ProductValues<'a> {
    weight: Lent<'a>,
    laid: Option<&'a Laid>,
    bias: Option<Lent<'a>>,
    inner: usize,
}

/// The same as [`VisionLayer`], to compute with.
struct Layer<'a> {
    heads: usize,
    norm1: NormValues<'a>,
    qkv: ProductValues<'a>,
    qk_norms: Option<[NormValues<'a>; 2]>,
    proj: ProductValues<'a>,
    ls1: Lent<'a>,
    norm2: NormValues<'a>,
    fc1: ProductValues<'a>,
    fc2: ProductValues<'a>,
    ls2: Lent<'a>,
}

impl<'a> NormValues<'a> {
    fn new(norm: NormOf<'a>) -> Result<Self> {
        let bias = norm.bias.map(Lent::new).transpose()?;
        Ok(Self { weight: Lent::new(norm.weight)?, bias, eps: norm.eps })
    }

    fn apply(&self, rows: &mut [f32]) {
        normalise_rows(rows, self.weight.values(), self.bias.as_ref().map(Lent::values), self.eps);
    }
}

impl<'a> ProductValues<'a> {
    fn new(product: ProductOf<'a>) -> Result<Self> {
        let (_, inner) = product.weight.dims2()?;
        let bias = product.bias.map(Lent::new).transpose()?;
        Ok(Self { weight: Lent::new(product.weight)?, laid: product.laid, bias, inner })
    }

    fn stored(&self) -> Stored<'_> {
        let values = self.weight.values();
        let rows = Rows::new(values, self.inner);
        Stored { rows, columns: values.len() / self.inner, inner: self.inner }
    }

    /// `out = x · weightᵀ + bias`, both dense, on the calling thread.
    fn multiply(&self, panels: &Panels, x: &[f32], out: &mut [f32]) {
        let (rows, columns) = (x.len() / self.inner, panels.columns());
        let start = self.bias.as_ref().map_or(Start::Zero, |bias| Start::Row(bias.values()));
        let a = Rows::new(x, self.inner);
        panels.multiply(Kernel::new(), (rows, self.inner), a, (out, columns), start);
    }
}

impl<'a> Layer<'a> {
    fn new(layer: &VisionLayer<'a>) -> Result<Self> {
        let qk_norms = match layer.qk_norms {
            Some([q_norm, k_norm]) => Some([NormValues::new(q_norm)?, NormValues::new(k_norm)?]),
            None => None,
        };
        Ok(Self {
            heads: layer.heads,
            norm1: NormValues::new(layer.norm1)?,
            qkv: ProductValues::new(layer.qkv)?,
            qk_norms,
            proj: ProductValues::new(layer.proj)?,
            ls1: Lent::new(layer.ls1)?,
            norm2: NormValues::new(layer.norm2)?,
            fc1: ProductValues::new(layer.fc1)?,
            fc2: ProductValues::new(layer.fc2)?,
            ls2: Lent::new(layer.ls2)?,
        })
    }

    fn hidden(&self) -> usize {
        self.ls1.values().len()
    }

    /// One tile, `[tokens, hidden]`, in place.
    fn tile(&self, [qkv, proj, fc1, fc2]: [&Panels; 4], x: &mut [f32]) {
        let hidden = self.hidden();
        let tokens = x.len() / hidden;
        let head_dim = hidden / self.heads;
        let mut parts = Scratch::new(tokens * 3 * hidden);
        parts
            .values_mut()
            .par_chunks_mut(block_rows() * 3 * hidden)
            .zip(x.par_chunks(block_rows() * hidden))
            .with_max_len(1)
            .for_each(|(parts, x)| self.queries_keys_values(qkv, x, parts));
        let parts = Rows::new(parts.values(), 3 * hidden);
        let kv: Vec<HeadPanels> = (0..self.heads)
            .into_par_iter()
            .map(|head| {
                let keys = parts.from(0, hidden + head * head_dim);
                let values = parts.from(0, 2 * hidden + head * head_dim);
                HeadPanels::of_rows(keys, values, tokens, head_dim)
            })
            .collect();
        // Head by head, so that a head's keys and values stay in the second-level cache while all rows need them.
        let mut attended = Scratch::new(x.len());
        let blocks: Vec<_> = attended
            .values_mut()
            .chunks_exact_mut(tokens * head_dim)
            .enumerate()
            .flat_map(|(head, out)| {
                out.chunks_mut(block_rows() * head_dim).enumerate().map(move |one| (head, one))
            })
            .collect();
        blocks.into_par_iter().with_max_len(1).for_each(|(head, (index, out))| {
            let queries = Queries {
                rows: parts.from(index * block_rows(), head * head_dim),
                head_stride: head_dim,
                head_dim,
                scale: 1.0 / (head_dim as f32).sqrt(),
                causal_from: None,
            };
            queries.attend(1, &kv[head..=head], out);
        });
        let attended = Rows::new(attended.values(), head_dim);
        x.par_chunks_mut(block_rows() * hidden).enumerate().with_max_len(1).for_each(
            |(index, x)| {
                let mut joined = Scratch::new(x.len());
                for (row, out) in joined.values_mut().chunks_exact_mut(hidden).enumerate() {
                    for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
                        let row = head * tokens + index * block_rows() + row;
                        out.copy_from_slice(attended.row(row, head_dim));
                    }
                }
                self.after_attention([proj, fc1, fc2], joined.values(), x);
            },
        );
    }

    fn queries_keys_values(&self, qkv: &Panels, x: &[f32], parts: &mut [f32]) {
        let hidden = self.hidden();
        let mut normed = Scratch::new(x.len());
        let normed = normed.values_mut();
        normed.copy_from_slice(x);
        self.norm1.apply(normed);
        self.qkv.multiply(qkv, normed, parts);
        if let Some([q_norm, k_norm]) = &self.qk_norms {
            for row in parts.chunks_exact_mut(3 * hidden) {
                q_norm.apply(&mut row[..hidden]);
                k_norm.apply(&mut row[hidden..2 * hidden]);
            }
        }
    }

    /// Adds the attention's and the perceptron's part to rows of `x`.
    fn after_attention(&self, [proj, fc1, fc2]: [&Panels; 3], attended: &[f32], x: &mut [f32]) {
        let rows = x.len() / self.hidden();
        let mut normed = Scratch::new(x.len());
        let mut product = Scratch::new(x.len());
        let mut inner = Scratch::new(rows * self.fc2.inner);
        let (normed, product) = (normed.values_mut(), product.values_mut());
        let inner = inner.values_mut();
        self.proj.multiply(proj, attended, product);
        add_scaled(x, product, self.ls1.values());
        normed.copy_from_slice(x);
        self.norm2.apply(normed);
        self.fc1.multiply(fc1, normed, inner);
        gelu_in_place(inner);
        self.fc2.multiply(fc2, inner, product);
        add_scaled(x, product, self.ls2.values());
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{D, DType};

    use super::*;

    fn random(shape: &[usize], seed: usize) -> Tensor {
        let count: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn product(of: ProductOf<'_>, x: &Tensor) -> Tensor {
        let product = x.matmul(&of.weight.t().unwrap()).unwrap();
        of.bias.map_or(product.clone(), |bias| product.broadcast_add(bias).unwrap())
    }

    fn norm(of: NormOf<'_>, x: &Tensor) -> Tensor {
        let x = x.contiguous().unwrap();
        match of.bias {
            Some(bias) => candle_nn::ops::layer_norm_slow(&x, of.weight, bias, of.eps).unwrap(),
            None => candle_nn::ops::rms_norm_slow(&x, of.weight, of.eps).unwrap(),
        }
    }

    /// The layer of library operations.
    fn expected(layer: &VisionLayer<'_>, x: &Tensor, tiles: usize) -> Tensor {
        let (rows, hidden) = x.dims2().unwrap();
        let (tokens, head_dim) = (rows / tiles, hidden / layer.heads);
        let qkv = product(layer.qkv, &norm(layer.norm1, x));
        let part = |index: usize| {
            let part = qkv.narrow(1, index * hidden, hidden).unwrap();
            let part = match layer.qk_norms {
                Some(norms) if index < 2 => norm(norms[index], &part),
                _ => part,
            };
            let by_head = part.reshape((tiles, tokens, layer.heads, head_dim)).unwrap();
            by_head.transpose(1, 2).unwrap().contiguous().unwrap()
        };
        let scores = part(0).matmul(&part(1).transpose(2, 3).unwrap()).unwrap();
        let scores = (scores / (head_dim as f64).sqrt()).unwrap();
        let weights = candle_nn::ops::softmax(&scores, D::Minus1).unwrap();
        let attended = weights.matmul(&part(2)).unwrap().transpose(1, 2).unwrap();
        let attended = attended.reshape((rows, hidden)).unwrap();
        let add =
            |x: &Tensor, y: &Tensor, scale: &Tensor| (x + y.broadcast_mul(scale).unwrap()).unwrap();
        let x = add(x, &product(layer.proj, &attended), layer.ls1);
        let inner = product(layer.fc1, &norm(layer.norm2, &x)).gelu_erf().unwrap();
        add(&x, &product(layer.fc2, &inner), layer.ls2)
    }

    fn stored((weight, bias): &(Tensor, Tensor), biased: bool) -> ProductOf<'_> {
        ProductOf { weight, laid: None, bias: biased.then_some(bias) }
    }

    #[test]
    fn equals_the_layer_of_library_operations() {
        // More than one block of rows a tile, a head that is no whole panel, both kinds of norm.
        let (tiles, tokens, hidden, inner, heads) = (2, block_rows() + 5, 48, 80, 2);
        let vectors: Vec<Tensor> = (0..8).map(|seed| random(&[hidden], seed)).collect();
        let [qkv, proj, fc1, fc2] =
            [(3 * hidden, hidden), (hidden, hidden), (inner, hidden), (hidden, inner)]
                .map(|(out, into)| (random(&[out, into], out), random(&[out], into)));
        let x = random(&[tiles * tokens, hidden], 50);
        for with_mean in [true, false] {
            let norm = |at: usize| NormOf {
                weight: &vectors[at],
                bias: with_mean.then_some(&vectors[at + 1]),
                eps: 1e-6,
            };
            let layer = VisionLayer {
                heads,
                norm1: norm(0),
                qkv: stored(&qkv, with_mean),
                qk_norms: (!with_mean).then(|| [norm(2), norm(3)]),
                proj: stored(&proj, true),
                ls1: &vectors[4],
                norm2: norm(5),
                fc1: stored(&fc1, true),
                fc2: stored(&fc2, true),
                ls2: &vectors[7],
            };
            let ours = layer.forward(&x, tiles).unwrap();
            let expected = expected(&layer, &x, tiles);
            let difference = (&ours - &expected).unwrap().abs().unwrap();
            let largest: f32 = difference.max_all().unwrap().to_scalar().unwrap();
            let size: f32 = expected.abs().unwrap().max_all().unwrap().to_scalar().unwrap();
            assert_eq!(ours.dtype(), DType::F32);
            assert!(largest < 1e-5 * size, "{largest:e} of {size}");
        }
    }
}
