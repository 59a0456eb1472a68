//! Draws tokens from rows of logits where these are: the same ones as [`Draw`] does on the host, to the bit.

use candle_core::{DType, Result, Tensor, bail};

use super::argument::Argument;
use super::launch::{GRID_MAX, Grid, Module, expect, launch, module};
use super::tokens::{Allowed, CHOICE_WORDS, mask_words};
use crate::model::draw::{Draw, Rule};

const DRAW: Module = module!("draw");

// As in the kernel.
const DRAW_THREADS: usize = 1024;
/// Words of what a row is drawn by.
pub(in crate::model) const DRAW_WORDS: usize = 10;

/// What rows are drawn by.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Draws<'a> {
    /// u32, `[rows, DRAW_WORDS]`: [`draw_words`] of each.
    pub(in crate::model) draws: &'a Tensor,
    /// A bit for each token that is there already, u32, `[rows, words]`; read of rows that have a penalty.
    pub(in crate::model) seen: &'a Tensor,
}

/// The words of a row; of one that has its choice already without a draw.
pub(in crate::model) fn draw_words(draw: Option<Draw<'_>>) -> [u32; DRAW_WORDS] {
    let Some(Draw { odds, number, .. }) = draw else { return [0; DRAW_WORDS] };
    let Rule { sharpness, penalty, reach, top_k, top_p } = Rule::new(&odds);
    let halves = |number: u64| [number as u32, (number >> 32) as u32];
    let ([share, share_high], [number, number_high]) =
        (halves(top_p.unwrap_or_default()), halves(number));
    let (sharpness, penalty) = (sharpness.to_bits(), penalty.unwrap_or(1.0).to_bits());
    let (top_k, has_top_p) = (top_k.unwrap_or_default(), u32::from(top_p.is_some()));
    [1, sharpness, penalty, reach, top_k, has_top_p, share, share_high, number, number_high]
}

/// Draws a token of each row of `logits`, f32, `[rows, vocab]`, that has a draw, and changes its row of `choices`, which
/// [`argmax`](super::tokens::argmax) has made of the same logits and masks.
#[expect(unsafe_code, reason = "a kernel launch")]
pub(in crate::model) fn draw(
    logits: &Tensor,
    allowed: Allowed<'_>,
    Draws { draws, seen }: Draws<'_>,
    choices: &Tensor,
) -> Result<()> {
    let (rows, vocabulary) = logits.dims2()?;
    if rows == 0 || rows > GRID_MAX || vocabulary == 0 {
        bail!("logits of {:?}", logits.shape());
    }
    expect(logits, &[rows, vocabulary], DType::F32)?;
    expect(choices, &[rows, CHOICE_WORDS], DType::U32)?;
    expect(draws, &[rows, DRAW_WORDS], DType::U32)?;
    expect(seen, &[rows, mask_words(vocabulary)], DType::U32)?;
    allowed.expect(rows, vocabulary)?;
    let [bits, needs, never] = allowed.arguments();
    let grid = Grid { blocks: [rows, 1, 1], threads: DRAW_THREADS, shared_bytes: 0 };
    let arguments = [
        Argument::Tensor(logits),
        Argument::Tensor(choices),
        Argument::Tensor(draws),
        Argument::Tensor(seen),
        bits,
        needs,
        never,
        Argument::Int(vocabulary),
    ];
    // SAFETY: the kernel reads whole rows of logits, draws, masks and tokens that were seen, and reads and writes rows of
    // choices that there are.
    unsafe { launch(logits.device().as_cuda_device()?, &DRAW, "draw_f32", grid, &arguments) }
}
