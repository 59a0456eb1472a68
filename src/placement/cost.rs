//! What a model needs, module by module, before any device or dtype is known: a table of numbers of
//! values. Whoever knows the architecture fills it in; pricing it in bytes is the planner's.

use super::dtype_policy::{DtypeDecision, Quantization, WeightFormat};
use crate::device::{ComputeCapability, Dtype};

/// What a product of 8-bit floats may take beside its numbers, as in `cuda/fp8.rs`.
const PRODUCT_WORKSPACE_BYTES: u64 = 32 << 20;

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
    /// The embedding's table stays in the host's memory, and a GPU where its rows begin has none of it.
    pub host_embedding: bool,
    /// Image tokens that one tile becomes.
    pub tokens_per_tile: usize,
    /// Longest sequence; none where positions are scaled beyond the trained ones.
    pub context_max: Option<usize>,
    /// Query rows whose attention scores exist at once.
    pub query_block_rows: usize,
    /// Rows up to which products read 8-bit weights as they are, on GPUs with fused kernels and on others. For
    /// more a dense copy of the matrix is made.
    pub quantized_rows: (usize, usize),
}

/// The prompt that runs through the library's operations before the model serves: a page of one tile, a question.
const PROBE: Demand =
    Demand { slots: 1, slot_tokens: 512, kv_tokens: None, tiles: 1, prefill_rows: 512 };

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
    /// Kept by the module as long as the model is loaded.
    pub standing: Vec<Work>,
    /// Moments at which much memory is in use, one after the other; the largest counts.
    pub phases: Vec<Vec<Work>>,
    /// The same by fused kernels; none where the module has none.
    pub fused: Option<Vec<Vec<Work>>>,
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
    /// In the dtype of the sum that runs through the layers.
    pub residuals: u64,
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
    /// Tokens of all sequences together for which the KV cache has room, at least one of the longest and never more
    /// than all slots can fill; none: all that they can.
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
        let longest = self.slot_tokens as u64;
        self.kv_tokens.map_or(all, |tokens| (tokens as u64).min(all).max(longest))
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

    /// Largest sum of intermediate results at one moment, on a device of `capability`, by the operations that run
    /// there; none is the CPU.
    pub(super) fn peak_bytes(
        &self,
        decision: &DtypeDecision,
        capability: Option<ComputeCapability>,
        model: &ModelCost,
        demand: &Demand,
    ) -> u64 {
        let keeps_scores = capability.is_some() || decision.compute != Dtype::F32;
        let largest = |phases: &[Vec<Work>], demand: &Demand| {
            let kept = |work: &&Work| keeps_scores || !work.scores;
            let bytes = |work: &Work| work.bytes(decision, model.query_block_rows, demand);
            let phases = phases.iter().map(|phase| phase.iter().filter(kept).map(bytes).sum());
            phases.max().unwrap_or(0)
        };
        let peak = match &self.fused {
            // The probe looks between operations of the library, in a small prompt.
            Some(fused) if has_fused_kernels(capability, decision.compute) => {
                largest(fused, demand).max(largest(&self.phases, &PROBE))
            }
            _ => largest(&self.phases, demand),
        };
        peak + self.dense_bytes(decision, capability, model, demand)
    }

    /// Bytes that stay in use between passes, beside weights and KV entries.
    pub(super) fn standing_bytes(
        &self,
        decision: &DtypeDecision,
        capability: Option<ComputeCapability>,
        model: &ModelCost,
        demand: &Demand,
    ) -> u64 {
        if !has_fused_kernels(capability, decision.compute) {
            return 0;
        }
        let bytes = |work: &Work| work.bytes(decision, model.query_block_rows, demand);
        self.standing.iter().map(bytes).sum()
    }

    /// The dense copy of the largest matrix, where its 8-bit weights have no kernel for as many rows.
    fn dense_bytes(
        &self,
        decision: &DtypeDecision,
        capability: Option<ComputeCapability>,
        model: &ModelCost,
        demand: &Demand,
    ) -> u64 {
        if matches!(decision.weights, WeightFormat::Dense(_)) {
            return 0;
        }
        let rows = match self.kind {
            ModuleKind::Head => demand.slots,
            _ => demand.prefill_rows.max(1) + demand.slots,
        };
        let (fused_rows, other_rows) = model.quantized_rows;
        let rows_max = match capability {
            None if decision.compute == Dtype::F32 => usize::MAX,
            None => 0,
            Some(_) if has_fused_kernels(capability, decision.compute) => fused_rows,
            Some(_) => other_rows,
        };
        if rows <= rows_max {
            return 0;
        }
        if decision.weights == WeightFormat::Quantized(Quantization::Fp8) {
            // The other side of the product in 8 bits, with its scales, and what the library takes for itself.
            let columns = self.parts.iter().map(|part| part.columns).max().unwrap_or(0);
            return rows as u64 * (columns + F32_BYTES) + PRODUCT_WORKSPACE_BYTES;
        }
        let values = self.parts.iter().map(|part| part.rows * part.columns).max().unwrap_or(0);
        values * decision.compute.size_bytes() as u64
    }
}

/// Whether a device has the fused kernels, which keep no scores: tensor cores that take bf16, and products in
/// 16 bits.
pub(super) fn has_fused_kernels(capability: Option<ComputeCapability>, compute: Dtype) -> bool {
    compute != Dtype::F32 && capability.is_some_and(ComputeCapability::has_bf16)
}

impl Work {
    fn bytes(&self, decision: &DtypeDecision, query_block_rows: usize, demand: &Demand) -> u64 {
        let rows = demand.prefill_rows.max(1);
        let count = match self.per {
            Unit::Tile => demand.tiles,
            Unit::Row => rows + demand.slots,
            Unit::Key => demand.slot_tokens,
            Unit::Score => rows.min(query_block_rows) * demand.slot_tokens,
            Unit::Sequence => demand.slots,
        };
        let (size, residual) = (decision.compute.size_bytes(), decision.residual().size_bytes());
        let each =
            self.values * size as u64 + self.residuals * residual as u64 + self.floats * F32_BYTES;
        count as u64 * each
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
    fn the_cache_is_never_larger_than_its_slots() {
        let tokens = |slots, kv_tokens| {
            Demand { slots, slot_tokens: 100, kv_tokens, tiles: 1, prefill_rows: 1 }.tokens()
        };
        assert_eq!([tokens(4, None), tokens(4, Some(250)), tokens(4, Some(900))], [400, 250, 400]);
        assert_eq!([tokens(1, Some(250)), tokens(1, Some(10))], [100, 100]);
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
        let work = |per, scores| Work { per, values: 1, residuals: 0, floats: 1, scores };
        let module = ModuleCost {
            kind: ModuleKind::Layer,
            name: "layer".to_owned(),
            parts: Vec::new(),
            kv_values: 0,
            held_values: 0,
            standing: Vec::new(),
            phases: vec![
                vec![work(Unit::Row, false), work(Unit::Score, true)],
                vec![work(Unit::Key, false)],
            ],
            fused: None,
        };
        let model = cost_of(&module);
        let demand =
            Demand { slots: 2, slot_tokens: 100, kv_tokens: None, tiles: 1, prefill_rows: 30 };
        let peak = |dtype, capability| {
            let decision = decision(dtype, WeightFormat::Dense(dtype));
            module.peak_bytes(&decision, capability, &model, &demand)
        };
        // 32 rows, and a block of 20 queries by 100 keys.
        assert_eq!(peak(Dtype::F16, V100), (32 + 20 * 100) * 6);
        // The CPU's kernel keeps no scores, so that the keys are the most.
        assert_eq!(peak(Dtype::F32, None), 100 * 8);
        assert_eq!(peak(Dtype::F16, None), (32 + 20 * 100) * 6);
    }

    const V100: Option<ComputeCapability> = Some(ComputeCapability { major: 7, minor: 0 });
    const H100: Option<ComputeCapability> = Some(ComputeCapability { major: 9, minor: 0 });

    fn cost_of(module: &ModuleCost) -> ModelCost {
        ModelCost {
            modules: vec![module.clone()],
            tied_head: false,
            host_embedding: false,
            tokens_per_tile: 1,
            context_max: None,
            query_block_rows: 20,
            quantized_rows: (64, 8),
        }
    }

    /// What runs on a device counts there: kernels that keep no scores, or operations that do.
    #[test]
    fn the_path_that_is_taken_counts() {
        let work = |per, residuals, scores| Work { per, values: 1, residuals, floats: 0, scores };
        let module = ModuleCost {
            kind: ModuleKind::Layer,
            name: "layer".to_owned(),
            parts: vec![Part::matrix(1000, 100, 0), Part::matrix(10, 10, 0)],
            kv_values: 0,
            held_values: 0,
            standing: vec![work(Unit::Sequence, 0, false)],
            phases: vec![vec![work(Unit::Score, 0, true)]],
            fused: Some(vec![vec![work(Unit::Row, 1, false)]]),
        };
        let model = cost_of(&module);
        let demand = Demand {
            slots: 2,
            slot_tokens: 10_000,
            kv_tokens: None,
            tiles: 1,
            prefill_rows: 9_998,
        };
        let dense = |dtype| decision(dtype, WeightFormat::Dense(dtype));
        let peak =
            |dtype, capability| module.peak_bytes(&dense(dtype), capability, &model, &demand);
        assert_eq!(peak(Dtype::F16, V100), 20 * 10_000 * 2);
        // The residual is f32 beside f16, and bf16 beside bf16.
        assert_eq!(peak(Dtype::F16, H100), 10_000 * (2 + 4));
        assert_eq!(peak(Dtype::Bf16, H100), 10_000 * (2 + 2));
        // No kernels for f32.
        assert_eq!(peak(Dtype::F32, H100), 20 * 10_000 * 4);
        // The probe's prompt, by plain operations, where that is more: 20 queries by 512 keys.
        let few = Demand { slots: 1, prefill_rows: 1, ..demand };
        let probe = module.peak_bytes(&dense(Dtype::Bf16), H100, &model, &few);
        assert_eq!(probe, 20 * 512 * 2);
        let standing =
            |capability| module.standing_bytes(&dense(Dtype::Bf16), capability, &model, &demand);
        assert_eq!((standing(H100), standing(None)), (2 * 2, 0));

        // The dense copy of the largest matrix, for more rows than 8-bit weights have kernels for.
        let q8 = decision(Dtype::Bf16, WeightFormat::Quantized(Quantization::Q8));
        let copy = |capability, rows| {
            let demand = Demand { slots: 1, prefill_rows: rows, ..demand };
            module.dense_bytes(&q8, capability, &model, &demand)
        };
        assert_eq!((copy(H100, 63), copy(H100, 64)), (0, 200_000));
        assert_eq!((copy(V100, 7), copy(V100, 8)), (0, 200_000));
        assert_eq!(module.dense_bytes(&dense(Dtype::Bf16), H100, &model, &demand), 0);
    }
}
