//! One token more of many sequences at once: the whole step, from tokens to choices, as one graph.
//!
//! A graph is made for some numbers of rows. A step of fewer takes the next larger one: rows without a
//! sequence have no token, no position and no length, and write nothing to the cache. All it reads of a step
//! lies in one buffer, so that a step is one copy to the device, one launch, and one copy back.

use candle_core::{DType, Result, Tensor};

use super::{Piece, Places, Scratch, Stack, Widths, Workspace, put_table, rms, upload_mask};
use crate::model::cache::BLOCK_TOKENS;
use crate::model::cuda::graph::{Graph, cublas_workspace};
use crate::model::cuda::launch::{buffer, upload};
use crate::model::cuda::rows;
use crate::model::cuda::tokens::{self, Allowed, CHOICE_WORDS, Masks, mask_words};
use crate::model::internvl::language::Room;
use crate::model::output::{Output, Outputs, Want};

/// Rows of the largest graph.
const ROWS_MAX: usize = 256;

/// Marks a row without a sequence: no token, and no position.
const NOTHING: u32 = u32::MAX;

/// A sequence's last token.
#[derive(Debug, Clone, Copy)]
pub(in crate::model::internvl) struct DecodeRow<'a> {
    /// Its KV blocks in order.
    pub(in crate::model::internvl) blocks: &'a [u32],
    pub(in crate::model::internvl) token: u32,
    pub(in crate::model::internvl) position: usize,
    pub(in crate::model::internvl) want: Want<'a>,
}

/// Buffers and graphs of decoding steps.
pub(super) struct DecodeStep {
    /// u32: tokens, positions, lengths, whether there is a mask, and tables of a bucket's rows.
    inputs: Tensor,
    /// u32, `[rows, words]`
    masks: Tensor,
    buckets: Vec<Bucket>,
    positions_max: usize,
    /// Blocks of a table.
    table_blocks: usize,
    /// Kept for cublas.
    _cublas: Tensor,
}

/// A step of so many rows.
struct Bucket {
    rows: usize,
    tokens: Tensor,
    masked: Tensor,
    masks: Tensor,
    places: Places,
    workspace: Workspace,
    /// f32, `[rows, vocab]`
    logits: Tensor,
    /// `[rows, CHOICE_WORDS]`
    choices: Tensor,
    never: u32,
    /// None: its kernels are launched one by one.
    graph: Option<Graph>,
}

/// Whether a step of `stack` is on one device, in one dtype.
pub(super) fn takes(stack: &Stack<'_>) -> bool {
    let homes = stack.homes;
    let head = &homes.head;
    let alike = |home: &super::Home| {
        home.index == head.index
            && home.compute() == head.compute()
            && home.residual() == head.residual()
    };
    let is_alone = [&homes.embedding, &homes.norm].into_iter().all(alike);
    is_alone && !homes.layers.is_empty() && homes.layers.iter().all(alike)
}

/// Numbers of rows that have a graph: one to 256, and as many as there are slots.
fn bucket_rows(slots: usize) -> Vec<usize> {
    let most = slots.clamp(1, ROWS_MAX);
    let steps = [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224];
    steps.into_iter().filter(|rows| *rows < most).chain([most]).collect()
}

impl DecodeStep {
    /// None where positions have no angles that hold for all lengths.
    pub(super) fn new(
        stack: &Stack<'_>,
        scratch: &Scratch,
        widths: Widths,
        room: Room,
        never: u32,
    ) -> Result<Option<Self>> {
        let home = &stack.homes.head;
        let device = home.candle_device();
        let Some(layer) = stack.layers.first() else { return Ok(None) };
        let Some(rope) = stack.ropes.get(&home.index) else { return Ok(None) };
        let positions_max = rope.unscaled_positions().min(room.slot_tokens);
        let Some((cos, sin)) = rope.unscaled(positions_max) else { return Ok(None) };
        let all_rows = bucket_rows(room.slots);
        let most = all_rows.last().copied().unwrap_or(1);
        let table_blocks = positions_max.div_ceil(BLOCK_TOKENS).max(1);
        let inputs = buffer(device, most * (4 + table_blocks), DType::U32)?;
        let masks = Tensor::zeros((most, mask_words(widths.vocabulary)), DType::U32, device)?;
        let logits = buffer(device, (most, widths.vocabulary), DType::F32)?;
        let choices = buffer(device, (most, CHOICE_WORDS), DType::U32)?;
        let residual = Tensor::zeros((most, widths.hidden), layer.residual, device)?;
        let workspace = Workspace::new(&residual, layer, widths)?;
        let bucket = |rows: usize| {
            let part = |index: usize| inputs.narrow(0, index * rows, rows);
            Ok::<_, candle_core::Error>(Bucket {
                rows,
                tokens: part(0)?,
                masked: part(3)?,
                masks: masks.narrow(0, 0, rows)?,
                places: Places {
                    positions: part(1)?,
                    sequences: None,
                    lengths: part(2)?,
                    tables: inputs
                        .narrow(0, 4 * rows, rows * table_blocks)?
                        .reshape((rows, table_blocks))?,
                    pieces: vec![Piece { first_row: 0, rows, first_sequence: 0, sequences: rows }],
                    longest: positions_max,
                    cos: cos.clone(),
                    sin: sin.clone(),
                },
                workspace: workspace.narrow(rows)?,
                logits: logits.narrow(0, 0, rows)?,
                choices: choices.narrow(0, 0, rows)?,
                never,
                graph: None,
            })
        };
        let buckets = all_rows.iter().map(|rows| bucket(*rows)).collect::<Result<_>>()?;
        let _cublas = cublas_workspace(device)?;
        let mut step = Self { inputs, masks, buckets, positions_max, table_blocks, _cublas };
        step.capture(stack, scratch)?;
        Ok(Some(step))
    }

    /// Runs each bucket without sequences, which loads its kernels, and makes its graph.
    fn capture(&mut self, stack: &Stack<'_>, scratch: &Scratch) -> Result<()> {
        let device = self.inputs.device().clone();
        // A product of 8-bit weights allocates its result.
        let is_dense = stack.layers.iter().all(|layer| layer.is_dense()) && stack.head.is_dense();
        for index in 0..self.buckets.len() {
            upload(&self.inputs, &self.values(index, &[])?)?;
            let bucket = &mut self.buckets[index];
            bucket.launch(stack, scratch)?;
            device.synchronize()?;
            if !is_dense {
                continue;
            }
            match Graph::capture(&device, || bucket.launch(stack, scratch)) {
                Ok(graph) => bucket.graph = Some(graph),
                Err(error) => {
                    tracing::warn!(rows = bucket.rows, %error, "a decoding step has no graph");
                }
            }
        }
        Ok(())
    }

    /// What bucket `index` reads for `rows`, and nothing for the rows behind them.
    fn values(&self, index: usize, rows: &[DecodeRow<'_>]) -> Result<Vec<u32>> {
        let count = self.buckets[index].rows;
        let mut values = Vec::with_capacity((4 + self.table_blocks) * count);
        let mut put = |nothing: u32, value: &dyn Fn(&DecodeRow<'_>) -> u32| {
            values.extend(rows.iter().map(value));
            values.extend(std::iter::repeat_n(nothing, count - rows.len()));
        };
        put(NOTHING, &|row| row.token);
        put(NOTHING, &|row| row.position as u32);
        put(0, &|row| row.position as u32 + 1);
        put(0, &|row| u32::from(matches!(row.want, Want::GreedyAmong(_))));
        for row in rows {
            put_table(&mut values, row.blocks, self.table_blocks)?;
        }
        values.resize((4 + self.table_blocks) * count, 0);
        Ok(values)
    }

    /// None where there are more rows, or longer sequences, than a graph is made for.
    pub(super) fn run(
        &mut self,
        stack: &Stack<'_>,
        scratch: &Scratch,
        rows: &[DecodeRow<'_>],
    ) -> Result<Option<Outputs>> {
        let Some(index) = self.buckets.iter().position(|bucket| rows.len() <= bucket.rows) else {
            return Ok(None);
        };
        if rows.iter().any(|row| row.position >= self.positions_max) {
            return Ok(None);
        }
        upload(&self.inputs, &self.values(index, rows)?)?;
        for (at, row) in rows.iter().enumerate() {
            if let Want::GreedyAmong(allowed) = row.want {
                upload_mask(&self.masks, at, allowed)?;
            }
        }
        let bucket = &mut self.buckets[index];
        match &mut bucket.graph {
            Some(graph) => graph.launch()?,
            None => bucket.launch(stack, scratch)?,
        }
        bucket.outputs(rows).map(Some)
    }
}

impl Bucket {
    fn launch(&self, stack: &Stack<'_>, scratch: &Scratch) -> Result<()> {
        let workspace = &self.workspace;
        tokens::embed(stack.embed_tokens, &self.tokens, &workspace.residual)?;
        for (index, layer) in stack.layers.iter().enumerate() {
            layer.forward_fused(workspace, index == 0, &self.places, scratch)?;
        }
        let Workspace { residual, delta, normed, .. } = workspace;
        rows::add_rms_norm(residual, Some(delta), rms(stack.norm)?, normed)?;
        stack.head.product_into(normed, &self.logits)?;
        let masks = Some(Masks { bits: &self.masks, masked: &self.masked });
        let allowed = Allowed { masks, never: self.never };
        tokens::argmax(&self.logits, allowed, scratch, &self.choices)
    }

    fn outputs(&self, rows: &[DecodeRow<'_>]) -> Result<Outputs> {
        let choices = tokens::read_choices(&self.choices.narrow(0, 0, rows.len())?)?;
        let output = |(at, (row, choice)): (usize, (&DecodeRow<'_>, _))| match row.want {
            Want::Nothing => Ok(None),
            Want::Logits => {
                let logits = self.logits.narrow(0, at, 1)?.flatten_all()?.to_vec1()?;
                Ok(Some(Output::Logits(logits)))
            }
            Want::Greedy | Want::GreedyAmong(_) => Ok(Some(Output::Choice(choice))),
        };
        let all = rows.iter().zip(choices).enumerate().map(output);
        Ok(Outputs::new(all.filter_map(Result::transpose).collect::<Result<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::bucket_rows;

    #[test]
    fn the_largest_graph_has_a_row_for_each_slot() {
        assert_eq!(bucket_rows(1), [1]);
        assert_eq!(bucket_rows(4), [1, 2, 4]);
        assert_eq!(bucket_rows(20), [1, 2, 4, 8, 16, 20]);
        assert_eq!(bucket_rows(1000).last(), Some(&256));
    }
}
