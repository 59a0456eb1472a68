//! The Qwen2 decoder over the rows of several sequences at once.

use candle_core::{DType, Device, Result, Tensor};

use super::config::TextConfig;
use super::observe::Observe;
use crate::model::cache::{CacheShape, LayerCache};
use crate::model::layers::{
    Causal, DynamicNtk, Linear, Norm, RopeTable, attention, rotate, swiglu,
};
use crate::model::runner::Slot;
use crate::weights::{Loaded, Weights, WeightsError};

/// Rows of one sequence in a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub(super) slot: Slot,
    /// Position of the first row in its sequence.
    pub(super) start: usize,
    pub(super) len: usize,
}

pub(super) struct Decoder {
    dtype: DType,
    device: Device,
    /// `[vocab, hidden]`
    embed_tokens: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    lm_head: Linear,
    rope: RopeTable,
    caches: Vec<LayerCache>,
}

struct Layer {
    heads: Heads,
    input_layernorm: Norm,
    qkv_proj: Linear,
    o_proj: Linear,
    post_attention_layernorm: Norm,
    gate_up_proj: Linear,
    down_proj: Linear,
}

#[derive(Debug, Clone, Copy)]
struct Heads {
    kv: usize,
    /// Query heads that share one key/value head.
    group: usize,
    head_dim: usize,
}

/// Cosines and sines of each sequence's rows.
type Angles = Vec<(Tensor, Tensor)>;

impl Decoder {
    pub(super) fn load(
        config: &TextConfig,
        weights: &Weights,
        slots: usize,
        slot_tokens: usize,
        mut loaded: impl FnMut(&str),
    ) -> Loaded<Self> {
        let (hidden, vocab) = (config.hidden_size, config.vocab_size);
        let embed_tokens =
            weights.tensor("language_model.model.embed_tokens.weight", &[vocab, hidden])?;
        loaded("language_model.model.embed_tokens");
        let mut layers = Vec::with_capacity(config.layers);
        for index in 0..config.layers {
            layers.push(Layer::load(config, weights, index)?);
            loaded(&format!("language_model.model.layers.{index}"));
        }
        let norm = Norm::Rms {
            weight: weights.tensor("language_model.model.norm.weight", &[hidden])?,
            eps: config.eps as f32,
        };
        loaded("language_model.model.norm");
        let lm_head = lm_head(config, weights, &embed_tokens)?;
        loaded("language_model.lm_head");
        let dtype = weights.dtype().to_candle();
        let device = weights.device().device.clone();
        let shape = CacheShape {
            slots,
            positions: slot_tokens,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
        };
        let place = |error: candle_core::Error| WeightsError::Place {
            name: "KV cache".to_owned(),
            device: weights.device().id.clone(),
            message: error.to_string(),
        };
        let ntk = config
            .rope_dynamic_factor
            .map(|factor| DynamicNtk { factor, trained_positions: config.positions_max });
        Ok(Self {
            rope: RopeTable::new(config.rope_theta, config.head_dim, slot_tokens, ntk, &device)
                .map_err(place)?,
            caches: (0..config.layers)
                .map(|_| LayerCache::new(shape, dtype, &device).map_err(place))
                .collect::<Loaded<_>>()?,
            dtype,
            device,
            embed_tokens,
            layers,
            norm,
            lm_head,
        })
    }

    /// Embedding rows of `ids`, `[ids, hidden]`.
    pub(super) fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        let ids = Tensor::from_slice(ids, ids.len(), &self.device)?;
        self.embed_tokens.index_select(&ids, 0)
    }

    /// Runs `x`, `[rows, hidden]` of all `sequences` one after the other, through the layers and
    /// into the KV cache. Returns the rows before the final norm.
    pub(super) fn forward(
        &mut self,
        x: Tensor,
        sequences: &[Rows],
        observer: &mut dyn Observe,
    ) -> Result<Tensor> {
        let angles: Angles = sequences
            .iter()
            .map(|rows| self.rope.angles(rows.start, rows.len))
            .collect::<Result<_>>()?;
        let mut x = x;
        observer.see("hidden.0", &x)?;
        for (index, (layer, cache)) in self.layers.iter().zip(&mut self.caches).enumerate() {
            x = layer.forward(&x, sequences, &angles, cache)?;
            observer.see(&format!("hidden.{}", index + 1), &x)?;
        }
        Ok(x)
    }

    /// Logits in f32, `[rows, vocab]`, after rows `indices` of `x`.
    pub(super) fn logits(&self, x: &Tensor, indices: &[u32]) -> Result<Tensor> {
        let rows = if indices.len() == x.dim(0)? {
            x.clone()
        } else {
            x.index_select(&Tensor::from_slice(indices, indices.len(), &self.device)?, 0)?
        };
        self.lm_head.forward(&self.norm.forward(&rows)?)?.to_dtype(DType::F32)
    }

    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }
}

/// The stored output matrix, or the embedding where there is none. A stored one wins even over
/// `tie_word_embeddings: true`, which some published configurations say by mistake.
fn lm_head(config: &TextConfig, weights: &Weights, embed_tokens: &Tensor) -> Loaded<Linear> {
    const NAME: &str = "language_model.lm_head.weight";
    if config.tied_embeddings && !weights.contains(NAME) {
        return Ok(Linear::new(embed_tokens.clone(), None));
    }
    Ok(Linear::new(weights.tensor(NAME, &[config.vocab_size, config.hidden_size])?, None))
}

impl Layer {
    fn load(config: &TextConfig, weights: &Weights, index: usize) -> Loaded<Self> {
        let prefix = format!("language_model.model.layers.{index}");
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (q_rows, kv_rows) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let norm = |name: &str| {
            Ok::<_, WeightsError>(Norm::Rms {
                weight: weights.tensor(&format!("{prefix}.{name}.weight"), &[hidden])?,
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
        Ok(Self {
            heads: Heads {
                kv: config.kv_heads,
                group: config.heads / config.kv_heads,
                head_dim: config.head_dim,
            },
            input_layernorm: norm("input_layernorm")?,
            qkv_proj: Linear::new(
                weights.stacked(&qkv_parts("weight", &[hidden]))?,
                Some(weights.stacked(&qkv_parts("bias", &[]))?),
            ),
            o_proj: Linear::new(
                weights.tensor(&format!("{prefix}.self_attn.o_proj.weight"), &[hidden, q_rows])?,
                None,
            ),
            post_attention_layernorm: norm("post_attention_layernorm")?,
            gate_up_proj: Linear::new(weights.stacked(&gate_up)?, None),
            down_proj: Linear::new(
                weights.tensor(&format!("{prefix}.mlp.down_proj.weight"), &[hidden, inner])?,
                None,
            ),
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        sequences: &[Rows],
        angles: &Angles,
        cache: &mut LayerCache,
    ) -> Result<Tensor> {
        let attended = self.attend(&self.input_layernorm.forward(x)?, sequences, angles, cache)?;
        let x = self.o_proj.forward_add(&attended, x)?;
        let gate_up = self.gate_up_proj.forward(&self.post_attention_layernorm.forward(&x)?)?;
        let inner = swiglu(&gate_up)?;
        self.down_proj.forward_add(&inner, &x)
    }

    /// `[rows, hidden]` to `[rows, heads * head_dim]`: products for all rows at once, attention
    /// sequence by sequence.
    fn attend(
        &self,
        x: &Tensor,
        sequences: &[Rows],
        angles: &Angles,
        cache: &mut LayerCache,
    ) -> Result<Tensor> {
        let Heads { kv: kv_heads, group, head_dim } = self.heads;
        let qkv = self.qkv_proj.forward(x)?;
        let mut outputs = Vec::with_capacity(sequences.len());
        let mut first_row = 0;
        for (rows, (cos, sin)) in sequences.iter().zip(angles) {
            let qkv = qkv.narrow(0, first_row, rows.len)?;
            first_row += rows.len;
            let heads = |first: usize, count: usize| {
                qkv.narrow(1, first * head_dim, count * head_dim)?
                    .reshape((rows.len, count, head_dim))
            };
            let q_heads = kv_heads * group;
            // Queries stay in f32: the scores are.
            let q = rotate(&heads(0, q_heads)?, cos, sin)?;
            let k = rotate(&heads(q_heads, kv_heads)?, cos, sin)?.to_dtype(x.dtype())?;
            let v = heads(q_heads + kv_heads, kv_heads)?;
            let (keys, values) =
                cache.extend(rows.slot, rows.start, &k.transpose(0, 1)?, &v.transpose(0, 1)?)?;
            // As attention reads them: [1, rows, heads, head_dim].
            let (keys, values) = (keys.transpose(0, 1)?, values.transpose(0, 1)?);
            let out = attention(
                &q.unsqueeze(0)?,
                &keys.unsqueeze(0)?,
                &values.unsqueeze(0)?,
                Causal::From(rows.start),
            )?;
            outputs.push(out.squeeze(0)?);
        }
        if outputs.len() == 1 { Ok(outputs.swap_remove(0)) } else { Tensor::cat(&outputs, 0) }
    }
}
