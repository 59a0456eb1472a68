//! What a model needs, module by module, before any device or dtype is known: a table of numbers of
//! values. Whoever knows the architecture fills it in; pricing it in bytes is the planner's.

use super::dtype_policy::{DtypeDecision, WeightFormat};
use crate::device::Dtype;

/// Bytes of one f32, which scores, sums and scales are whatever the weights are.
const F32_BYTES: u64 = Dtype::F32.size_bytes() as u64;

/// One model, as far as placing it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCost {
    /// In the order of a forward pass: `vision_model`, `mlp1`, `embed_tokens`, the layers, `norm`,
    /// `lm_head`.
    pub modules: Vec<ModuleCost>,
    /// The output matrix is the embedding: it costs nothing on the embedding's device.
    pub tied_head: bool,
    /// Image tokens that one tile becomes.
    pub tokens_per_tile: usize,
    /// Longest sequence; none where positions are scaled beyond the trained ones.
    pub context_max: Option<usize>,
    /// Query rows whose attention scores exist at once.
    pub query_block_rows: usize,
}

/// What a module is, where that decides about its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleKind {
    Vision,
    Projector,
    Embedding,
    Layer,
    Norm,
    Head,
}

/// A module that is placed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleCost {
    pub kind: ModuleKind,
    /// In the original layout's names.
    pub name: String,
    pub parts: Vec<Part>,
    /// Keys and values of one token.
    pub kv_values: u64,
    /// Values kept for each token beside the KV cache: image features.
    pub held_values: u64,
    /// Moments at which much memory is in use, one after the other; the largest counts.
    pub phases: Vec<Vec<Work>>,
}

/// A layer of the tensor library's kind: a matrix, and vectors beside it (bias, norm weights).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    pub rows: u64,
    pub columns: u64,
    pub vector_values: u64,
}

/// Intermediate results that grow with one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    pub per: Unit,
    /// In the module's compute dtype.
    pub values: u64,
    /// In f32, whatever the dtype.
    pub floats: u64,
    /// Attention scores: the CPU's f32 kernel keeps none.
    pub scores: bool,
}

/// What intermediate results grow with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A tile in the vision tower.
    Tile,
    /// A token of one pass through the decoder.
    Row,
    /// A position that attention looks at.
    Key,
    /// A pair of a query of one block and a position it looks at.
    Score,
    /// A sequence that gets logits.
    Sequence,
}

/// How much is to run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Sequences that run at once.
    pub slots: usize,
    /// Longest sequence, prompt and answer.
    pub slot_tokens: usize,
    /// Tokens of all sequences together for which the KV cache has room, at least one of the longest; none:
    /// all of the longest.
    pub kv_tokens: Option<usize>,
    /// Tiles that go through the vision tower together.
    pub tiles: usize,
    /// Prompt tokens of one step.
    pub prefill_rows: usize,
}

impl Demand {
    /// Tokens whose keys and values are allocated when the model loads.
    pub fn tokens(&self) -> u64 {
        let all = self.slots as u64 * self.slot_tokens as u64;
        self.kv_tokens.map_or(all, |tokens| tokens.max(self.slot_tokens) as u64)
    }
}

impl Part {
    /// A matrix with as many vector values beside it.
    pub fn matrix(rows: usize, columns: usize, vector_values: usize) -> Self {
        Self { rows: rows as u64, columns: columns as u64, vector_values: vector_values as u64 }
    }

    /// Vectors alone.
    pub fn vectors(values: usize) -> Self {
        Self::matrix(0, 0, values)
    }

    pub(super) fn values(&self) -> u64 {
        self.rows * self.columns + self.vector_values
    }

    /// Bytes as `decision` stores it. Vectors stay in the compute dtype; that norm weights are f32
    /// where the residual is, is not counted: some kilobytes a layer.
    pub(super) fn bytes(&self, decision: &DtypeDecision) -> u64 {
        match decision.weights {
            WeightFormat::Dense(dtype) => self.values() * dtype.size_bytes() as u64,
            WeightFormat::Quantized(_) => {
                self.rows * self.columns
                    + self.rows * F32_BYTES
                    + self.vector_values * decision.compute.size_bytes() as u64
            }
        }
    }
}

impl ModuleCost {
    /// Whether each new token runs through it.
    pub(super) fn is_decoder(&self) -> bool {
        !matches!(self.kind, ModuleKind::Vision | ModuleKind::Projector)
    }

    /// Bytes of the weights as `decision` stores them.
    pub fn bytes(&self, decision: &DtypeDecision) -> u64 {
        self.parts.iter().map(|part| part.bytes(decision)).sum()
    }

    /// Largest sum of intermediate results at one moment.
    pub(super) fn peak_bytes(
        &self,
        decision: &DtypeDecision,
        on_cpu: bool,
        query_block_rows: usize,
        demand: &Demand,
    ) -> u64 {
        let fused = on_cpu && decision.compute == Dtype::F32;
        let size = decision.compute.size_bytes() as u64;
        let count = |unit| {
            let rows = demand.prefill_rows.max(1);
            let count = match unit {
                Unit::Tile => demand.tiles,
                Unit::Row => rows + demand.slots,
                Unit::Key => demand.slot_tokens,
                Unit::Score => rows.min(query_block_rows) * demand.slot_tokens,
                Unit::Sequence => demand.slots,
            };
            count as u64
        };
        let bytes = |work: &Work| count(work.per) * (work.values * size + work.floats * F32_BYTES);
        let phases = self.phases.iter();
        phases
            .map(|phase| phase.iter().filter(|work| !(fused && work.scores)).map(bytes).sum())
            .max()
            .unwrap_or(0)
    }
}

impl ModelCost {
    /// Number of decoder layers.
    pub fn layers(&self) -> usize {
        self.modules.iter().filter(|module| module.kind == ModuleKind::Layer).count()
    }

    /// The index of the first module of this kind.
    pub(super) fn find(&self, kind: ModuleKind) -> Option<usize> {
        self.modules.iter().position(|module| module.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::Quantization;

    fn decision(compute: Dtype, weights: WeightFormat) -> DtypeDecision {
        DtypeDecision { requested: compute, compute, weights, reason: String::new() }
    }

    #[test]
    fn weights_are_counted_as_they_are_stored() {
        let part = Part::matrix(10, 100, 10);
        let dense = |dtype| part.bytes(&decision(dtype, WeightFormat::Dense(dtype)));
        assert_eq!((dense(Dtype::F32), dense(Dtype::Bf16)), (4040, 2020));
        // 1,000 bytes of matrix, a scale for each of 10 rows, a bias in f16.
        let q8 = decision(Dtype::F16, WeightFormat::Quantized(Quantization::Q8));
        assert_eq!(part.bytes(&q8), 1000 + 40 + 20);
        assert_eq!(Part::vectors(7).bytes(&q8), 14);
    }

    #[test]
    fn the_largest_moment_counts() {
        let work = |per, scores| Work { per, values: 1, floats: 1, scores };
        let module = ModuleCost {
            kind: ModuleKind::Layer,
            name: "layer".to_owned(),
            parts: Vec::new(),
            kv_values: 0,
            held_values: 0,
            phases: vec![
                vec![work(Unit::Row, false), work(Unit::Score, true)],
                vec![work(Unit::Key, false)],
            ],
        };
        let demand =
            Demand { slots: 2, slot_tokens: 100, kv_tokens: None, tiles: 1, prefill_rows: 30 };
        let peak = |dtype, on_cpu| {
            module.peak_bytes(&decision(dtype, WeightFormat::Dense(dtype)), on_cpu, 20, &demand)
        };
        // 32 rows, and a block of 20 queries by 100 keys.
        assert_eq!(peak(Dtype::F16, false), (32 + 20 * 100) * 6);
        // The CPU's kernel keeps no scores, so that the keys are the most.
        assert_eq!(peak(Dtype::F32, true), 100 * 8);
        assert_eq!(peak(Dtype::F16, true), (32 + 20 * 100) * 6);
    }
}
