//! One token more of many sequences at once: the whole step, from tokens to choices, as two graphs on each
//! device: launching takes the driver some 0.4 us for each kernel of a graph, so a few layers go first, and the rest is
//! launched while the device is at them.
//!
//! Graphs are made for some numbers of rows. A step of fewer takes the next larger one: rows without a
//! sequence have no token, no position and no length, and write nothing to the cache. All it reads of a step
//! lies in one buffer, which one kernel fills from the host's memory, and one kernel brings its choices back. Where layers are
//! spread over devices the rows go from graph to graph; each device can then work on the rows of another step.
//!
//! The choice is no part of a graph. Which tokens may be chosen is computed while the graph runs, copied to the
//! device behind it, and read by the step's last kernels.

use std::ops::Range;

use candle_core::{DType, Result, Tensor};

use super::ahead::{Ahead, Last};
use super::choosing::{Choosing, choices_of, needs_of};
use super::places::{Piece, Places, put_table};
use super::{Chosen, Decoded, Fused, Scratch, Stack, Widths, Workspace, rms};
use crate::model::cache::BLOCK_TOKENS;
use crate::model::cuda::attention::Span;
use crate::model::cuda::found::PART_WORDS;
use crate::model::cuda::graph::{Graph, cublas_workspace};
use crate::model::cuda::launch::buffer;
use crate::model::cuda::rows;
use crate::model::cuda::tokens;
use crate::model::cuda::transfer::Uploads;
use crate::model::draw::{Draw, Odds};
use crate::model::internvl::decoder_layer::DecoderLayer;
use crate::model::internvl::home::Home;
use crate::model::internvl::laps::Laps;
use crate::model::internvl::looks::{Looks, layers_that_count};
use crate::model::layers::Linear;
use crate::model::output::Want;
use crate::model::runner::Slot;

/// Rows of the largest graph.
pub(super) const ROWS_MAX: usize = 256;

/// Layers of the first graph: launching the others takes less time than these run.
const FIRST_LAYERS: usize = 2;

/// Marks a row without a sequence: no token, and no position.
const NOTHING: u32 = u32::MAX;

/// Nobody reads what is drawn.
pub(super) const ANY: Draw<'_> =
    Draw { odds: Odds { temperature: 1.0, ..Odds::GREEDY }, seen: &[], allowed: None, number: 0 };

/// A sequence's last token.
#[derive(Debug, Clone, Copy)]
pub(in crate::model::internvl) struct DecodeRow<'a> {
    pub(in crate::model::internvl) slot: Slot,
    /// Its KV blocks in order.
    pub(in crate::model::internvl) blocks: &'a [u32],
    pub(in crate::model::internvl) token: u32,
    pub(in crate::model::internvl) position: usize,
    pub(in crate::model::internvl) want: Want<'a>,
}

/// Buffers and graphs of decoding steps.
pub(super) struct DecodeStep {
    /// In the order in which rows reach them.
    pub(super) stages: Vec<Stage>,
    /// Rows of each bucket.
    pub(super) buckets: Vec<usize>,
    positions_max: usize,
    /// Blocks of a table.
    table_blocks: usize,
    pub(super) uploads: Uploads,
    /// The step that was begun last, for the one that follows it.
    pub(super) last: Option<Last>,
    /// A step that was begun before anybody asked for it.
    pub(super) ahead: Option<Ahead>,
}

/// The layers of one device.
pub(super) struct Stage {
    /// Of the device, in the model's list.
    pub(super) device: usize,
    /// u32: tokens, positions, lengths, what logits are needed for, and tables of a bucket's rows.
    pub(super) inputs: Tensor,
    pub(super) buckets: Vec<Bucket>,
    /// Kept for cublas.
    _cublas: Tensor,
}

/// What one device does in a step of so many rows.
pub(super) struct Bucket {
    layers: Range<usize>,
    /// Of the first stage, where the embedding's table is.
    pub(super) tokens: Option<Tensor>,
    /// Of the last stage.
    pub(super) ending: Option<End>,
    places: Places,
    workspace: Workspace,
    /// The queries of the last of its layers, which sequences may ask about when the step is done: as many layers as
    /// count.
    queries: Vec<Tensor>,
    /// One behind the other. Empty: its kernels are launched one by one.
    graphs: Vec<Graph>,
}

/// What follows the last layer: logits, and the choice.
#[derive(Clone)]
pub(super) struct End {
    choosing: Choosing,
    /// f32, `[rows, vocab]`; of rows of which nobody needs them there are none where likeliest tokens are found.
    pub(super) logits: Tensor,
    /// What the head finds of them, f32, `[rows, parts, PART_WORDS]`, where it does.
    found: Option<Tensor>,
    /// `[rows, CHOICE_WORDS]`
    choices: Tensor,
    /// Those of the largest bucket: whichever one a step had, its choices are the first of these.
    pub(super) all_choices: Tensor,
}

/// The layers of each device, where a token goes from device to device once, in one dtype on each.
fn stages(stack: &Stack<'_>) -> Option<Vec<Range<usize>>> {
    let homes = stack.homes;
    let alike = |one: &Home, other: &Home| {
        one.index == other.index
            && one.compute() == other.compute()
            && one.residual() == other.residual()
    };
    let mut stages: Vec<Range<usize>> = Vec::new();
    let mut first = 0;
    for part in homes.layers.chunk_by(alike) {
        let is_known = |stage: &Range<usize>| homes.layers[stage.start].index == part[0].index;
        if stages.iter().any(is_known) {
            return None;
        }
        stages.push(first..first + part.len());
        first += part.len();
    }
    let (begin, end) = (homes.layers.first()?, homes.layers.last()?);
    let ends = [(&homes.embedding, begin), (&homes.norm, end), (&homes.head, end)];
    ends.into_iter().all(|(one, other)| alike(one, other)).then_some(stages)
}

/// Numbers of rows that have a graph: one to 256, and as many as there are slots.
fn bucket_rows(slots: usize) -> Vec<usize> {
    let most = slots.clamp(1, ROWS_MAX);
    let steps = [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224];
    steps.into_iter().filter(|rows| *rows < most).chain([most]).collect()
}

/// What of `layers` each graph has.
fn parts(layers: usize) -> Vec<Range<usize>> {
    let first = FIRST_LAYERS.min(layers);
    [0..first, first..layers].into_iter().filter(|part| !part.is_empty()).collect()
}

impl DecodeStep {
    /// None where layers change between devices or dtypes more often than once each, and where positions have
    /// no angles that hold for all lengths.
    pub(super) fn new(stack: &Stack<'_>, fused: &Fused, never: u32) -> Result<Option<Self>> {
        let Fused { widths, room, scratches, uploads, .. } = fused;
        let Some(parts) = stages(stack) else { return Ok(None) };
        let positions = |rope: &super::RopeTable| rope.unscaled_positions().min(room.slot_tokens);
        let Some(positions_max) = stack.ropes.values().map(positions).min() else {
            return Ok(None);
        };
        let buckets = bucket_rows(room.slots);
        let most = buckets.last().copied().unwrap_or(1);
        let table_blocks = positions_max.div_ceil(BLOCK_TOKENS).max(1);
        let device = stack.homes.head.candle_device();
        let choices = choices_of(most, device)?;
        let needs = Tensor::zeros(most, DType::U32, device)?;
        let ending = End {
            choosing: Choosing::new(needs, widths.vocabulary, never, uploads.clone())?,
            found: None,
            logits: buffer(device, (most, widths.vocabulary), DType::F32)?,
            all_choices: choices.clone(),
            choices,
        };
        let mut step = Self {
            stages: Vec::with_capacity(parts.len()),
            buckets,
            positions_max,
            table_blocks,
            uploads: uploads.clone(),
            last: None,
            ahead: None,
        };
        for layers in parts {
            let Some(stage) = step.stage(stack, layers, *widths, &ending)? else {
                return Ok(None);
            };
            step.stages.push(stage);
        }
        let none: Vec<Vec<u32>> =
            step.buckets.iter().map(|rows| step.values(*rows, &[])).collect::<Result<_>>()?;
        for stage in &mut step.stages {
            stage.capture(stack, &scratches[&stage.device], uploads, &none)?;
        }
        Ok(Some(step))
    }

    /// Buffers for these layers. None where positions have no angles that hold for all lengths.
    fn stage(
        &self,
        stack: &Stack<'_>,
        layers: Range<usize>,
        widths: Widths,
        ending: &End,
    ) -> Result<Option<Stage>> {
        let home = &stack.homes.layers[layers.start];
        let (layer, device) = (&stack.layers[layers.start], home.candle_device());
        let rope = stack.ropes.get(&home.index);
        let Some((cos, sin)) = rope.and_then(|rope| rope.unscaled(self.positions_max)) else {
            return Ok(None);
        };
        let most = self.buckets.last().copied().unwrap_or(1);
        let inputs = buffer(device, most * (4 + self.table_blocks), DType::U32)?;
        let residual = Tensor::zeros((most, widths.hidden), layer.residual, device)?;
        let workspace = Workspace::new(&residual, layer, widths)?;
        let counting = layers_that_count(stack.layers.len()).start.max(layers.start)..layers.end;
        let of_layer = |_| buffer(device, workspace.q.shape(), layer.compute);
        let queries: Vec<Tensor> = counting.map(of_layer).collect::<Result<_>>()?;
        let is_last = layers.end == stack.layers.len();
        let bucket = |rows: &usize| {
            let rows = *rows;
            let part = |index: usize| inputs.narrow(0, index * rows, rows);
            let tables = inputs.narrow(0, 4 * rows, rows * self.table_blocks)?;
            let workspace = workspace.narrow(rows)?;
            let end = || ending.of_bucket(part(3)?, stack.head, &workspace.normed);
            let ending = is_last.then(end).transpose()?;
            Ok::<_, candle_core::Error>(Bucket {
                tokens: (layers.start == 0 && !stack.embedding.is_on_host())
                    .then(|| part(0))
                    .transpose()?,
                layers: layers.clone(),
                ending,
                places: Places {
                    positions: part(1)?,
                    sequences: None,
                    lengths: part(2)?,
                    tables: tables.reshape((rows, self.table_blocks))?,
                    pieces: vec![Piece { first_row: 0, rows, first_sequence: 0, sequences: rows }],
                    span: Span { longest: self.positions_max, fresh: Some(1) },
                    cos: cos.clone(),
                    sin: sin.clone(),
                },
                workspace,
                queries: queries.iter().map(|q| q.narrow(0, 0, rows)).collect::<Result<_>>()?,
                graphs: Vec::new(),
            })
        };
        let buckets = self.buckets.iter().map(bucket).collect::<Result<_>>()?;
        Ok(Some(Stage { device: home.index, inputs, buckets, _cublas: cublas_workspace(device)? }))
    }

    /// What a bucket of `count` rows reads for `rows`, and nothing for the rows behind them.
    pub(super) fn values(&self, count: usize, rows: &[DecodeRow<'_>]) -> Result<Vec<u32>> {
        let mut values = Vec::with_capacity((4 + self.table_blocks) * count);
        let mut put = |nothing: u32, value: &dyn Fn(&DecodeRow<'_>) -> u32| {
            values.extend(rows.iter().map(value));
            values.extend(std::iter::repeat_n(nothing, count - rows.len()));
        };
        put(NOTHING, &|row| row.token);
        put(NOTHING, &|row| row.position as u32);
        put(0, &|row| row.position as u32 + 1);
        put(0, &|row| needs_of(row.want));
        for row in rows {
            put_table(&mut values, row.blocks, self.table_blocks)?;
        }
        values.resize((4 + self.table_blocks) * count, 0);
        Ok(values)
    }

    /// None where there are more rows, or longer sequences, than a graph is made for. Waits for no device, but for
    /// the masks of rows once all else is under way.
    pub(super) fn run(
        &mut self,
        stack: &Stack<'_>,
        fused: &Fused,
        rows: &[DecodeRow<'_>],
        looks: &mut Looks<'_>,
    ) -> Result<Option<Decoded>> {
        if let Some(decoded) = self.run_ahead(stack, fused, rows, looks)? {
            return Ok(Some(decoded));
        }
        let positions = rows.iter().map(|row| row.position);
        let Some(index) = self.bucket_of(positions) else { return Ok(None) };
        let values = self.values(self.buckets[index], rows)?;
        let mut laps = Laps::start(&stack.homes.embedding)?;
        // The sum of the layers so far, and its device.
        let mut sum: Option<(Tensor, usize)> = None;
        let mut decoded = None;
        for stage in &mut self.stages {
            self.uploads.take(&values, &stage.inputs, None)?;
            let bucket = &mut stage.buckets[index];
            if bucket.layers.start == 0 && stack.embedding.is_on_host() {
                let mut ids: Vec<u32> = rows.iter().map(|row| row.token).collect();
                ids.resize(self.buckets[index], NOTHING);
                let begin = &bucket.workspace.residual;
                self.uploads.start(begin, |to| stack.embedding.put_rows(&ids, to))?;
            }
            if let Some((sum, from)) = sum.take() {
                let home = &stack.homes.layers[bucket.layers.start];
                let sum = laps.send(stack.links, &sum, from, home)?;
                bucket.workspace.residual.slice_set(&sum, 0, 0)?;
            }
            bucket.start(stack, &fused.scratches[&stage.device])?;
            bucket.look(stack, fused, looks)?;
            match &bucket.ending {
                // A copy: the next step may write there before it was sent.
                None => {
                    let all = bucket.workspace.residual.narrow(0, 0, rows.len())?;
                    sum = Some((all.copy()?, stage.device));
                }
                Some(end) => {
                    let wants: Vec<Want<'_>> = rows.iter().map(|row| row.want).collect();
                    let chosen = end.choose_and_bring(&wants, stage.device, fused)?;
                    self.last = Some(Last::of(rows, &chosen));
                    decoded = Some((chosen, end.logits.clone()));
                }
            }
        }
        let times = laps.finish()?;
        Ok(decoded.map(|(chosen, logits)| Decoded { chosen, logits, was_begun: false, times }))
    }
}

impl DecodeStep {
    /// The smallest bucket for rows at these positions; none where there are more rows, or longer sequences, than one is
    /// made for.
    pub(super) fn bucket_of(
        &self,
        positions: impl ExactSizeIterator<Item = usize>,
    ) -> Option<usize> {
        let rows = positions.len();
        let index = self.buckets.iter().position(|bucket| rows <= *bucket)?;
        positions.max().is_none_or(|last| last < self.positions_max).then_some(index)
    }
}

impl Stage {
    /// Runs each bucket without sequences, which loads its kernels, and makes its graphs.
    fn capture(
        &mut self,
        stack: &Stack<'_>,
        scratch: &Scratch,
        uploads: &Uploads,
        inputs: &[Vec<u32>],
    ) -> Result<()> {
        let device = self.inputs.device().clone();
        for (bucket, inputs) in self.buckets.iter_mut().zip(inputs) {
            // Many rows make a product of 8-bit weights dense first.
            let workspace = &bucket.workspace;
            let layers = &stack.layers[bucket.layers.clone()];
            let allocates = layers.iter().any(|layer| layer.allocates(workspace))
                || (bucket.ending.is_some() && stack.head.allocates(&workspace.normed));
            uploads.take(inputs, &self.inputs, None)?;
            // Where the embedding is elsewhere the first kernel would not wait for it.
            device.synchronize()?;
            bucket.launch(stack, scratch, 0..layers.len())?;
            if let Some(end) = &bucket.ending {
                // The first row is drawn, whatever it holds: a kernel that is compiled first makes nobody wait later.
                end.choose(&[Want::Drawn(ANY)], scratch)?;
            }
            device.synchronize()?;
            if allocates {
                continue;
            }
            let parts = parts(layers.len()).into_iter();
            let graph = |part| Graph::capture(&device, || bucket.launch(stack, scratch, part));
            match parts.map(graph).collect() {
                Ok(graphs) => bucket.graphs = graphs,
                Err(error) => {
                    let rows = bucket.workspace.residual.dim(0)?;
                    tracing::warn!(rows, %error, "a decoding step has no graph");
                }
            }
        }
        Ok(())
    }
}

impl Bucket {
    /// The layers whose queries are kept, with them.
    fn looking<'a>(
        &'a self,
        stack: &Stack<'a>,
    ) -> impl Iterator<Item = (&'a DecoderLayer, &'a Tensor)> {
        let layers = &stack.layers[self.layers.end - self.queries.len()..self.layers.end];
        layers.iter().zip(&self.queries)
    }

    /// Begins to sum what sequences look at, once [`start`](Self::start) has been called.
    pub(super) fn look(
        &self,
        stack: &Stack<'_>,
        fused: &Fused,
        looks: &mut Looks<'_>,
    ) -> Result<()> {
        if !looks.is_asked() || self.queries.is_empty() {
            return Ok(());
        }
        let glance = fused.glance(looks, self.places.tables.device())?;
        for (layer, q) in self.looking(stack) {
            glance.add(q, layer.paged(&self.places.tables), looks.part())?;
        }
        looks.add_later(fused.page_sums(&glance)?);
        Ok(())
    }

    /// All kernels up to the logits.
    pub(super) fn start(&mut self, stack: &Stack<'_>, scratch: &Scratch) -> Result<()> {
        if self.graphs.is_empty() {
            return self.launch(stack, scratch, 0..self.layers.len());
        }
        self.graphs.iter_mut().try_for_each(Graph::launch)
    }

    /// The kernels of `part` of its layers, with what comes before the first and behind the last.
    fn launch(&self, stack: &Stack<'_>, scratch: &Scratch, part: Range<usize>) -> Result<()> {
        let workspace = &self.workspace;
        let Workspace { residual, delta, normed, .. } = workspace;
        if let (Some(tokens), 0) = (&self.tokens, part.start) {
            tokens::embed(stack.embedding.table(), tokens, residual)?;
        }
        let layers = &stack.layers[self.layers.clone()];
        let first_kept = layers.len() - self.queries.len();
        for (index, layer) in layers.iter().enumerate().take(part.end).skip(part.start) {
            let kept = index.checked_sub(first_kept).and_then(|kept| self.queries.get(kept));
            let own = kept.map(|q| Workspace { q: q.clone(), ..workspace.clone() });
            let workspace = own.as_ref().unwrap_or(workspace);
            layer.forward_fused(workspace, index == 0, &self.places, scratch)?;
        }
        if part.end < layers.len() {
            return Ok(());
        }
        let Some(end) = &self.ending else {
            // For the sum; the next device norms by itself.
            let Some(layer) = layers.last() else { return Ok(()) };
            return rows::add_rms_norm(residual, Some(delta), rms(&layer.input_layernorm)?, normed);
        };
        rows::add_rms_norm(residual, Some(delta), rms(stack.norm)?, normed)?;
        match &end.found {
            Some(best) => stack.head.logits_into(normed, &end.logits, end.choosing.found(best)),
            None => stack.head.product_into(normed, &end.logits).map(drop),
        }
    }
}

impl End {
    /// For the first rows, of which `needs` says what they are needed for, and which are `head`'s product with `x`.
    fn of_bucket(&self, needs: Tensor, head: &Linear, x: &Tensor) -> Result<Self> {
        let rows = needs.dims1()?;
        let logits = self.logits.narrow(0, 0, rows)?;
        let room = |parts| buffer(x.device(), (rows, parts, PART_WORDS), DType::F32);
        Ok(Self {
            found: head.found_parts(x, &logits)?.map(room).transpose()?,
            logits,
            choosing: self.choosing.narrow(needs)?,
            choices: self.choices.narrow(0, 0, rows)?,
            all_choices: self.all_choices.clone(),
        })
    }

    /// Chooses a token of each row, of which the first ones have these `wants`. Waits for masks.
    fn choose(&self, wants: &[Want<'_>], scratch: &Scratch) -> Result<()> {
        self.choosing.choose(&self.logits, self.found.as_ref(), wants, scratch, &self.choices)
    }

    /// And begins to bring over those of the first ones.
    pub(super) fn choose_and_bring(
        &self,
        wants: &[Want<'_>],
        device: usize,
        fused: &Fused,
    ) -> Result<Chosen> {
        self.choose(wants, &fused.scratches[&device])?;
        Ok(Chosen::of_all(fused.downloads.start(&self.choices.narrow(0, 0, wants.len())?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{bucket_rows, parts};

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one graph")]
    fn graphs_have_every_layer_once() {
        assert_eq!(parts(28), [0..2, 2..28]);
        assert_eq!(parts(2), [0..2]);
        assert_eq!(parts(1), [0..1]);
    }

    #[test]
    fn the_largest_graph_has_a_row_for_each_slot() {
        assert_eq!(bucket_rows(1), [1]);
        assert_eq!(bucket_rows(4), [1, 2, 4]);
        assert_eq!(bucket_rows(20), [1, 2, 4, 8, 16, 20]);
        assert_eq!(bucket_rows(1000).last(), Some(&256));
    }
}
