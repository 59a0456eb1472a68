//! One layer of the decoder, with its part of the KV cache.

use candle_core::{DType, Result, Tensor};

use super::aim::Ends;
use super::config::TextConfig;
use super::home::Home;
use super::looks::Looks;
use super::observe::{Site, Within};
use crate::model::cache::{CacheShape, LayerCache, Rows};
use crate::model::layers::{
    Causal, Linear, Norm, PagedQueries, Visit, paged_attention, rotate, show_scores, swiglu,
};
use crate::weights::{Loaded, Weights, WeightsError};

pub(super) struct DecoderLayer {
    heads: Heads,
    /// Of products' inputs, and of the KV cache.
    pub(super) compute: DType,
    /// Of the sum that runs through.
    pub(super) residual: DType,
    pub(super) input_layernorm: Norm,
    pub(super) qkv_proj: Linear,
    pub(super) o_proj: Linear,
    pub(super) post_attention_layernorm: Norm,
    pub(super) gate_up_proj: Linear,
    pub(super) down_proj: Linear,
    pub(super) cache: LayerCache,
}

#[derive(Debug, Clone, Copy)]
struct Heads {
    kv: usize,
    /// Query heads that share one key/value head.
    group: usize,
    head_dim: usize,
}

/// Cosines and sines of all rows.
pub(super) type Angles = (Tensor, Tensor);

impl DecoderLayer {
    pub(super) fn load(
        config: &TextConfig,
        home: &Home,
        weights: &Weights,
        index: usize,
        cache: CacheShape,
    ) -> Loaded<Self> {
        let (matrices, vectors) = (home.matrices(weights), home.vectors(weights));
        let prefix = format!("language_model.model.layers.{index}");
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (q_rows, kv_rows) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let norm = |name: &str| {
            Ok::<_, WeightsError>(Norm::Rms {
                weight: vectors.tensor(&format!("{prefix}.{name}.weight"), &[hidden])?,
                eps: config.eps as f32,
            })
        };
        let qkv = [("q_proj", q_rows), ("k_proj", kv_rows), ("v_proj", kv_rows)];
        let qkv_parts = |parameter: &str, width: &[usize]| {
            qkv.map(|(name, rows)| {
                (format!("{prefix}.self_attn.{name}.{parameter}"), [&[rows], width].concat())
            })
        };
        let gate_up = ["gate_proj", "up_proj"]
            .map(|name| (format!("{prefix}.mlp.{name}.weight"), vec![inner, hidden]));
        let matrix = |name: &str, rows: usize, columns: usize| {
            let part = (format!("{prefix}.{name}.weight"), vec![rows, columns]);
            home.linear(weights, &[part], None)
        };
        Ok(Self {
            heads: Heads {
                kv: config.kv_heads,
                group: config.heads / config.kv_heads,
                head_dim: config.head_dim,
            },
            compute: home.compute(),
            residual: home.residual(),
            input_layernorm: norm("input_layernorm")?,
            qkv_proj: home.linear(
                weights,
                &qkv_parts("weight", &[hidden]),
                Some(matrices.stacked(&qkv_parts("bias", &[]))?),
            )?,
            o_proj: matrix("self_attn.o_proj", hidden, q_rows)?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            gate_up_proj: home.linear(weights, &gate_up, None)?,
            down_proj: matrix("mlp.down_proj", hidden, inner)?,
            cache: LayerCache::new(cache, home.compute(), home.candle_device())
                .map_err(|error| matrices.cannot_place("KV cache", &error))?,
        })
    }

    pub(super) fn visit(&self, visit: Visit<'_>) {
        self.input_layernorm.visit("input_layernorm", visit);
        self.qkv_proj.visit("self_attn.qkv_proj", visit);
        self.o_proj.visit("self_attn.o_proj", visit);
        self.post_attention_layernorm.visit("post_attention_layernorm", visit);
        self.gate_up_proj.visit("mlp.gate_up_proj", visit);
        self.down_proj.visit("mlp.down_proj", visit);
    }

    /// `x`, `[rows, hidden]` on this layer's device in any dtype, to the same in the residual's, or to its `ends`. `looks`
    /// take in what the sequences look at, where this layer counts.
    pub(super) fn forward(
        &mut self,
        x: &Tensor,
        (sequences, ends): (&[Rows<'_>], Option<&Ends<'_>>),
        angles: &Angles,
        looks: Option<&mut Looks<'_>>,
        look: &mut Within<'_>,
    ) -> Result<Tensor> {
        let x = x.to_dtype(self.residual)?;
        let normed = self.input_layernorm.forward(&x)?.to_dtype(self.compute)?;
        let queries = self.take_in(&normed, sequences, angles, look)?;
        if let Some(looks) = looks {
            looks.add(&queries, &self.cache)?;
        }
        let (x, queries) = match ends {
            Some(ends) if ends.is_empty() => return ends.gather(&x),
            Some(ends) => (ends.gather(&x)?, last_queries(&queries, ends)?),
            None => (x, queries),
        };
        let attended = paged_attention(&queries, &self.cache)?;
        let x = self.o_proj.forward_add(&attended, &x)?;
        let normed = self.post_attention_layernorm.forward(&x)?.to_dtype(self.compute)?;
        let inner = swiglu(&self.gate_up_proj.forward(&normed)?)?;
        if look.looks_inside() {
            look.see(Site::Attended, &attended)?;
            look.see(Site::MlpProduct, &inner)?;
            look.see(Site::DownProj, &self.down_proj.forward_as(&inner, self.residual)?)?;
        }
        self.down_proj.forward_add(&inner, &x)
    }

    /// Queries of `[rows, hidden]`, by sequence: products for all rows at once, then keys and values of all sequences into
    /// the cache.
    fn take_in<'a>(
        &mut self,
        x: &Tensor,
        sequences: &[Rows<'a>],
        angles: &Angles,
        look: &mut Within<'_>,
    ) -> Result<Vec<PagedQueries<'a>>> {
        let Heads { kv: kv_heads, group, head_dim } = self.heads;
        let (q_heads, (cos, sin)) = (kv_heads * group, angles);
        let qkv = self.qkv_proj.forward(x)?;
        let qkv = qkv.reshape((x.dim(0)?, q_heads + 2 * kv_heads, head_dim))?;
        let heads = |first: usize, count: usize| qkv.narrow(1, first, count);
        // Queries stay in f32: the scores are.
        let q = rotate(&heads(0, q_heads)?, cos, sin)?;
        let k = rotate(&heads(q_heads, kv_heads)?, cos, sin)?.to_dtype(x.dtype())?;
        self.cache.write_all(sequences, &k, &heads(q_heads + kv_heads, kv_heads)?)?;
        let mut queries = Vec::with_capacity(sequences.len());
        let mut first_row = 0;
        for Rows { blocks, start, len } in sequences.iter().copied() {
            let q = q.narrow(0, first_row, len)?;
            first_row += len;
            if look.looks_inside() {
                let (keys, values) = self.cache.gather(blocks, start + len)?;
                let causal = Causal::From(start);
                show_scores(&q.unsqueeze(0)?, &keys, &values, causal, &mut |scores, weights| {
                    look.see(Site::Scores, scores)?;
                    look.see(Site::Softmax, weights)
                })?;
            }
            queries.push(PagedQueries { q, blocks, start });
        }
        Ok(queries)
    }
}

/// The last of the queries of each sequence that ends.
fn last_queries<'a>(
    queries: &[PagedQueries<'_>],
    ends: &Ends<'a>,
) -> Result<Vec<PagedQueries<'a>>> {
    let last = |(index, rows): (&usize, &Rows<'a>)| {
        let q = &queries[*index].q;
        let q = q.narrow(0, q.dim(0)? - 1, 1)?;
        Ok(PagedQueries { q, blocks: rows.blocks, start: rows.start })
    };
    ends.indices.iter().zip(&ends.sequences).map(last).collect()
}
