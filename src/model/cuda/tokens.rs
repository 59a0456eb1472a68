//! The two ends of a step: embedding rows of tokens, and the likeliest token of each row of logits.

use candle_core::{DType, Result, Tensor, bail};

use super::argument::Argument;
use super::attention::Scratch;
use super::found::{self, PART_WORDS};
use super::launch::{
    GRID_MAX, Grid, Module, VECTOR, expect, launch, launch_behind_all, module, multiprocessors,
    suffix,
};
use super::rows::row_threads;
use crate::model::output::Choice;

const TOKENS: Module = module!("tokens");

// As in the kernels.
const ARGMAX_THREADS: usize = 512;
/// Blocks that a multiprocessor has at once, by their registers.
const ARGMAX_BLOCKS: usize = 3;
const ARGMAX_PARTS_MAX: usize = 64;
/// Words of a choice.
pub(in crate::model) const CHOICE_WORDS: usize = 4;

/// Which tokens may be chosen.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Allowed<'a> {
    /// A bit for each token, u32, `[rows, words]`, the lowest bit of a word first; none: no row has a mask.
    pub(in crate::model) masks: Option<Masks<'a>>,
    /// The token that is never chosen.
    pub(in crate::model) never: u32,
}

#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Masks<'a> {
    pub(in crate::model) bits: &'a Tensor,
    /// u32, `[rows]`: a row's mask counts where [`MASKED`](found::MASKED) is among them.
    pub(in crate::model) needs: &'a Tensor,
}

impl<'a> Allowed<'a> {
    /// Fails unless these are for so many rows.
    pub(super) fn expect(&self, rows: usize, vocabulary: usize) -> Result<()> {
        if let Some(Masks { bits, needs }) = self.masks {
            expect(bits, &[rows, mask_words(vocabulary)], DType::U32)?;
            expect(needs, &[rows], DType::U32)?;
        }
        Ok(())
    }

    /// As kernels take them: bits, what rows need, and the token that is never chosen.
    pub(super) fn arguments(&self) -> [Argument<'a>; 3] {
        [
            self.masks.map(|masks| masks.bits).into(),
            self.masks.map(|masks| masks.needs).into(),
            found::token(self.never),
        ]
    }
}

/// Words of a mask over `vocabulary` tokens.
pub(in crate::model) fn mask_words(vocabulary: usize) -> usize {
    vocabulary.div_ceil(32)
}

/// Writes the rows of `table`, `[vocab, hidden]`, of `tokens`, u32, to `out`, `[tokens, hidden]`; zeros for
/// a token that is not in the vocabulary.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn embed(table: &Tensor, tokens: &Tensor, out: &Tensor) -> Result<()> {
    let (vocabulary, width) = table.dims2()?;
    let rows = tokens.dims1()?;
    expect(tokens, &[rows], DType::U32)?;
    expect(out, &[rows, width], out.dtype())?;
    if !width.is_multiple_of(VECTOR) {
        bail!("rows of {width} have no embedding kernel");
    }
    let device = table.device().as_cuda_device()?;
    // Kernels that follow read what a step begins with before they wait for those before them.
    // SAFETY: the kernel reads rows of the table that there are and writes all `rows` of the result.
    unsafe {
        launch_behind_all(
            device,
            &TOKENS,
            &format!("embed_{}_{}", suffix(table.dtype())?, suffix(out.dtype())?),
            Grid { blocks: [rows, 1, 1], threads: row_threads(width), shared_bytes: 0 },
            &[
                Argument::Tensor(table),
                Argument::Tensor(tokens),
                Argument::Tensor(out),
                Argument::Int(vocabulary),
                Argument::Int(width),
            ],
        )
    }
}

/// f32 that parts of `rows` rows of logits leave at most, on a GPU of so many multiprocessors.
pub(super) fn argmax_room(rows: usize, multiprocessors: usize) -> usize {
    (ARGMAX_BLOCKS * multiprocessors + rows) * PART_WORDS
}

/// Chooses the likeliest token of each row of `logits`, `[rows, vocab]`. `choices` is u32, `[rows, CHOICE_WORDS]`, for
/// [`read_choices`]. Rows that were not [`WANTED`](found::WANTED) of the product that made them are chosen by what that `found`.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn argmax(
    logits: &Tensor,
    allowed: Allowed<'_>,
    found: Option<&Tensor>,
    scratch: &Scratch,
    choices: &Tensor,
) -> Result<()> {
    let (rows, vocabulary) = logits.dims2()?;
    if rows == 0 || rows > GRID_MAX || vocabulary == 0 {
        bail!("logits of {:?}", logits.shape());
    }
    expect(choices, &[rows, CHOICE_WORDS], DType::U32)?;
    allowed.expect(rows, vocabulary)?;
    let device = logits.device().as_cuda_device()?;
    // As many blocks as run at once, and no more: a few of another turn would take as long as all of the first.
    let parts = (ARGMAX_BLOCKS * multiprocessors(device)? / rows)
        .clamp(1, ARGMAX_PARTS_MAX)
        .min(vocabulary.div_ceil(VECTOR * ARGMAX_THREADS));
    scratch.expect(rows, rows * parts * PART_WORDS)?;
    let found_parts = found.map_or(Ok(0), |found| found.dim(1))?;
    if let Some(found) = found {
        expect(found, &[rows, found_parts, PART_WORDS], DType::F32)?;
    }
    let [bits, needs, never] = allowed.arguments();
    // SAFETY: the kernel reads whole rows of logits and masks, or of what was found, writes a row of choices for each, and
    // scratch memory as far as was checked.
    unsafe {
        launch(
            device,
            &TOKENS,
            &format!("argmax_{}", suffix(logits.dtype())?),
            Grid { blocks: [parts, rows, 1], threads: ARGMAX_THREADS, shared_bytes: 0 },
            &[
                Argument::Tensor(logits),
                Argument::Tensor(&scratch.partial),
                Argument::Tensor(&scratch.counters),
                Argument::Tensor(choices),
                bits,
                needs,
                never,
                Argument::Int(vocabulary),
                found.into(),
                Argument::Int(found_parts),
            ],
        )
    }
}

/// Choices from their words.
pub(in crate::model) fn read_choices(words: &[u32]) -> Vec<Choice> {
    let choice = |row: &[u32; CHOICE_WORDS]| {
        let [token, finite, logit, log_sum_exp] = *row;
        Choice {
            token,
            logit: f32::from_bits(logit),
            log_sum_exp: f32::from_bits(log_sum_exp),
            is_finite: finite == 1,
        }
    };
    words.as_chunks().0.iter().map(choice).collect()
}
