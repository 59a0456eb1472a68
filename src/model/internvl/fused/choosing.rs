//! The choice of a step's tokens, where its logits are.

use candle_core::{D, DType, Device, Result, Tensor};

use super::ahead::Tokens;
use crate::constraint::Mask;
use crate::model::cuda::attention::Scratch;
use crate::model::cuda::draw::{DRAW_WORDS, Draws, draw, draw_words};
use crate::model::cuda::found::{Found, MASKED, WANTED};
use crate::model::cuda::launch::buffer;
use crate::model::cuda::tokens::{self, Allowed, CHOICE_WORDS, Masks, mask_words};
use crate::model::cuda::transfer::{Download, Uploads};
use crate::model::output::{Choice, Want};

/// Choices that a device makes.
pub(in crate::model::internvl) struct Chosen {
    choices: Download,
    /// Rows of these that were asked for; none: all.
    rows: Option<Vec<usize>>,
    /// Where all their tokens are told.
    pub(super) tokens: Tokens,
}

/// What each row of a step is chosen by, on its device.
#[derive(Clone)]
pub(super) struct Choosing {
    /// What rows are needed for, u32: [`needs_of`] each.
    needs: Tensor,
    /// u32, `[rows, words]`
    masks: Tensor,
    /// u32, `[rows, DRAW_WORDS]`
    draws: Tensor,
    /// Tokens that are there already, u32, `[rows, words]`
    seen: Tensor,
    /// Not chosen.
    never: u32,
    uploads: Uploads,
}

impl Chosen {
    pub(super) fn of_all(choices: Download) -> Self {
        Self { choices, rows: None, tokens: Tokens::default() }
    }

    /// Those of `rows`, in their order.
    pub(super) fn of_rows(self, rows: Vec<usize>) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// Waits for them.
    pub(in crate::model::internvl) fn wait(self) -> Result<Vec<Choice>> {
        let choices = tokens::read_choices(&self.choices.wait()?);
        // Nobody else tells them.
        let _ = self.tokens.set(choices.iter().map(|choice| choice.token).collect());
        Ok(match self.rows {
            None => choices,
            Some(rows) => rows.into_iter().filter_map(|row| choices.get(row).copied()).collect(),
        })
    }
}

impl Choosing {
    /// For rows of which `needs` says, u32, what they are needed for.
    pub(super) fn new(
        needs: Tensor,
        vocabulary: usize,
        never: u32,
        uploads: Uploads,
    ) -> Result<Self> {
        let (rows, device) = (needs.dims1()?, needs.device().clone());
        let words = mask_words(vocabulary);
        let of = |width: usize| buffer(&device, (rows, width), DType::U32);
        let (masks, draws, seen) = (of(words)?, of(DRAW_WORDS)?, of(words)?);
        Ok(Self { needs, masks, draws, seen, never, uploads })
    }

    /// For its first rows, of which `needs` says what they are needed for.
    pub(super) fn narrow(&self, needs: Tensor) -> Result<Self> {
        let of = |tensor: &Tensor| tensor.narrow(0, 0, needs.dims1()?);
        let (masks, draws, seen) = (of(&self.masks)?, of(&self.draws)?, of(&self.seen)?);
        Ok(Self { masks, draws, seen, needs, never: self.never, uploads: self.uploads.clone() })
    }

    /// What is found of rows by the product that makes their logits, in `best`.
    pub(super) fn found<'a>(&'a self, best: &'a Tensor) -> Found<'a> {
        Found { best, needs: &self.needs, never: self.never }
    }

    /// Chooses a token of each row of `logits`, f32, `[rows, vocab]`: the first ones have these `wants`. Where something was
    /// `found` rows that are not needed for anything else are not read. Waits for masks.
    pub(super) fn choose(
        &self,
        logits: &Tensor,
        found: Option<&Tensor>,
        wants: &[Want<'_>],
        scratch: &Scratch,
        choices: &Tensor,
    ) -> Result<()> {
        put_bits(
            &self.uploads,
            &self.masks,
            wants.iter().map(|want| want.mask().map(Mask::words)),
        )?;
        let masks = Some(Masks { bits: &self.masks, needs: &self.needs });
        tokens::argmax(logits, Allowed { masks, never: self.never }, found, scratch, choices)?;
        if wants.iter().all(|want| want.draw().is_none()) {
            return Ok(());
        }
        let first = |tensor: &Tensor| tensor.narrow(0, 0, wants.len());
        let (draws, seen) = (first(&self.draws)?, first(&self.seen)?);
        self.uploads.start(&draws, |to| {
            for (to, want) in to.as_chunks_mut().0.iter_mut().zip(wants) {
                *to = draw_words(want.draw());
            }
            Ok(())
        })?;
        put_bits(&self.uploads, &seen, wants.iter().map(|want| seen_of(*want)))?;
        let (bits, needs) = (first(&self.masks)?, first(&self.needs)?);
        let masks = Some(Masks { bits: &bits, needs: &needs });
        let allowed = Allowed { masks, never: self.never };
        let (draws, seen) = (&draws, &seen);
        draw(&first(logits)?, allowed, Draws { draws, seen }, &first(choices)?)
    }
}

/// The choices of `rows` rows, which nothing has made yet.
pub(super) fn choices_of(rows: usize, device: &Device) -> Result<Tensor> {
    buffer(device, (rows, CHOICE_WORDS), DType::U32)
}

/// What a row of logits is needed for, besides its likeliest token.
pub(super) fn needs_of(want: Want<'_>) -> u32 {
    let masked = if want.mask().is_some() { MASKED } else { 0 };
    let wanted = if matches!(want, Want::Nothing | Want::Greedy) { 0 } else { WANTED };
    masked | wanted
}

/// The tokens that make a difference to what is drawn.
fn seen_of(want: Want<'_>) -> Option<&[u32]> {
    want.draw().filter(|draw| draw.odds.has_penalty()).map(|draw| draw.seen)
}

/// Writes the bits of rows that have some to theirs of `to`, `[rows, words]`, in one copy; words that are lacking are 0. What
/// stands in other rows means nothing.
fn put_bits<'a>(
    uploads: &Uploads,
    to: &Tensor,
    rows: impl Iterator<Item = Option<&'a [u32]>>,
) -> Result<()> {
    let rows: Vec<Option<&[u32]>> = rows.collect();
    let Some(first) = rows.iter().position(Option::is_some) else { return Ok(()) };
    let rows = &rows[first..=rows.iter().rposition(Option::is_some).unwrap_or(first)];
    let words = to.dim(D::Minus1)?;
    uploads.start(&to.narrow(0, first, rows.len())?, |to| {
        put_rows(to, rows, words);
        Ok(())
    })
}

fn put_rows(to: &mut [u32], rows: &[Option<&[u32]>], words: usize) {
    for (to, bits) in to.chunks_exact_mut(words).zip(rows) {
        if let Some(bits) = bits {
            let (known, lacking) = to.split_at_mut(bits.len().min(words));
            known.copy_from_slice(&bits[..known.len()]);
            lacking.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::model::cuda::transfer::Downloads;
    use crate::model::draw::{Draw, Odds};

    #[test]
    fn bits_stand_in_their_row() {
        let mut rows = [9; 9];
        put_rows(&mut rows, &[Some(&[1, 2, 3]), None, Some(&[4])], 3);
        assert_eq!(rows, [1, 2, 3, 9, 9, 9, 4, 0, 0]);
        put_rows(&mut rows, &[Some(&[5, 6, 7, 8]), Some(&[])], 3);
        assert_eq!(rows, [5, 6, 7, 0, 0, 0, 4, 0, 0]);
    }

    const NEVER: u32 = 3;
    const ROWS_MAX: usize = 33;

    /// Odds of many kinds, some of which cut nothing, or all but one token.
    fn odds(rng: &mut ChaCha8Rng) -> Odds {
        let mut one_of = |values: &[f32]| values[rng.random_range(0..values.len())];
        let (temperature, top_p) =
            (one_of(&[0.0, 1e-3, 0.3, 0.8, 1.0, 2.0]), one_of(&[1.0, 0.95, 0.5, 0.999, 1e-3]));
        let (min_p, repetition_penalty) =
            (one_of(&[0.0, 0.0, 0.02, 1.0]), one_of(&[1.0, 1.0, 1.3, 0.7]));
        let top_k = [None, Some(1), Some(50), Some(3000), Some(usize::MAX)][rng.random_range(0..5)];
        Odds { temperature, top_k, top_p, min_p, repetition_penalty }
    }

    /// Logits as a model has them, and such that have many equals, or are all the same.
    fn row(rng: &mut ChaCha8Rng, vocabulary: usize) -> Vec<f32> {
        let kind = rng.random_range(0..4);
        let normal = |rng: &mut ChaCha8Rng| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        let value = |_| match kind {
            0 => 2.5,
            1 => normal(rng).round(),
            2 => 30.0 * normal(rng),
            _ => 3.0 * normal(rng),
        };
        (0..vocabulary).map(value).collect()
    }

    /// Token 0 has one always: a mask allows something.
    fn bits(rng: &mut ChaCha8Rng, vocabulary: usize) -> Vec<u32> {
        let mut bits: Vec<u32> = (0..mask_words(vocabulary)).map(|_| rng.random()).collect();
        bits[0] |= 1;
        // Some words are lacking.
        bits.truncate(bits.len().max(2) - rng.random_range(0..2));
        bits
    }

    /// Of a tenth of all rows one logit is not finite.
    fn spoil(rng: &mut ChaCha8Rng, row: &mut [f32]) {
        if rng.random_range(0..10) == 0 {
            let at = rng.random_range(0..row.len());
            row[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][rng.random_range(0..3)];
        }
    }

    /// Needs a GPU; where there is none it says so and is over.
    #[test]
    fn a_device_draws_what_the_host_draws() {
        let Ok(device) = Device::new_cuda(0) else {
            eprintln!("not run: it needs a GPU");
            return;
        };
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let mut drawn = 0;
        for vocabulary in [1, 5, 31, 32, 1000, 4097, 151_674] {
            // One for all turns, as of all steps: what stands in it from those before means nothing.
            let needs = Tensor::zeros(ROWS_MAX, DType::U32, &device).unwrap();
            let choosing_all = Choosing::new(needs, vocabulary, NEVER, Uploads::default()).unwrap();
            for turn in 0..if vocabulary > 100_000 { 12 } else { 40 } {
                let count = [1, 2, 7, ROWS_MAX][turn % 4];
                let rows: Vec<Vec<f32>> = (0..count)
                    .map(|_| {
                        let mut row = row(&mut rng, vocabulary);
                        spoil(&mut rng, &mut row);
                        row
                    })
                    .collect();
                let some: Vec<(Mask, Vec<u32>)> = (0..count)
                    .map(|_| (Mask::of(bits(&mut rng, vocabulary)), bits(&mut rng, vocabulary)))
                    .collect();
                let wants: Vec<Want<'_>> = some
                    .iter()
                    .map(|(mask, seen)| match rng.random_range(0..8) {
                        0 => Want::Greedy,
                        1 => Want::GreedyAmong(mask),
                        kind => Want::Drawn(Draw {
                            odds: odds(&mut rng),
                            seen,
                            allowed: (kind < 4).then_some(mask),
                            number: rng.random(),
                        }),
                    })
                    .collect();
                // Rows behind those that ask have nothing.
                let wants = &wants[..count - (turn % 3).min(count - 1)];
                drawn += wants.iter().filter(|want| want.draw().is_some()).count();
                let logits = Tensor::new(rows.concat(), &device).unwrap();
                let logits = logits.reshape((count, vocabulary)).unwrap();
                let mut needs: Vec<u32> = wants.iter().map(|want| needs_of(*want)).collect();
                needs.resize(count, 0);
                let choosing = choosing_all.narrow(Tensor::new(needs, &device).unwrap()).unwrap();
                let (scratch, choices) =
                    (Scratch::new(&device, count, 1).unwrap(), choices_of(count, &device).unwrap());
                choosing.choose(&logits, None, wants, &scratch, &choices).unwrap();
                let downloads = Downloads::new(count * CHOICE_WORDS);
                let chosen = Chosen::of_all(downloads.start(&choices).unwrap()).wait().unwrap();
                for (at, (want, row)) in wants.iter().zip(&rows).enumerate() {
                    let expected = match want {
                        Want::Drawn(draw) => Choice::drawn(row, NEVER, draw),
                        want => Choice::greedy(row, NEVER, want.mask().map(Mask::words)),
                    };
                    let name = format!("{vocabulary} tokens, turn {turn}, row {at}: {want:?}");
                    assert_eq!(chosen[at].is_finite, expected.is_finite, "{name}");
                    if expected.is_finite {
                        assert_eq!(chosen[at].token, expected.token, "{name}");
                        let error = (chosen[at].logprob() - expected.logprob()).abs();
                        assert!(error < 1e-3, "{name}: {error:e}");
                    }
                }
            }
        }
        assert!(drawn > 1000, "{drawn}");
    }
}
