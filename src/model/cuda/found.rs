//! What a product with the output matrix finds of the likeliest tokens while it makes their logits. Rows of logits that nobody
//! else reads are not written then.

use candle_core::{DType, Result, Tensor};

use super::argument::Argument;
use super::launch::expect;

/// Bits of what a row of logits is needed for: its mask is looked at.
pub(in crate::model) const MASKED: u32 = 1;
/// Somebody reads the row.
pub(in crate::model) const WANTED: u32 = 2;

/// f32 of each part.
pub(in crate::model) const PART_WORDS: usize = 4;
/// Greater than every token.
const NO_TOKEN: usize = i32::MAX as usize;

/// Where it is left.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Found<'a> {
    /// f32, `[rows, parts, PART_WORDS]`, as many parts as the product leaves.
    pub(in crate::model) best: &'a Tensor,
    /// u32, `[rows]`, of [`MASKED`] and [`WANTED`].
    pub(in crate::model) needs: &'a Tensor,
    /// The token that is never chosen.
    pub(in crate::model) never: u32,
}

impl Found<'_> {
    /// Fails unless it is room for so many parts of each row.
    pub(super) fn expect(&self, rows: usize, parts: usize) -> Result<()> {
        expect(self.best, &[rows, parts, PART_WORDS], DType::F32)?;
        expect(self.needs, &[rows], DType::U32)
    }
}

/// As kernels of products take it; none: all rows are written, and nothing is found.
pub(super) fn arguments(found: Option<Found<'_>>) -> Result<[Argument<'_>; 4]> {
    Ok(match found {
        None => [Argument::Nothing, Argument::Int(0), Argument::Nothing, Argument::Int(NO_TOKEN)],
        Some(Found { best, needs, never }) => {
            let parts = Argument::Int(best.dim(1)?);
            [Argument::Tensor(best), parts, Argument::Tensor(needs), token(never)]
        }
    })
}

/// A token that is never chosen: one that there is not, where it does not fit.
pub(super) fn token<'a>(never: u32) -> Argument<'a> {
    Argument::Int(usize::try_from(never).map_or(NO_TOKEN, |token| token.min(NO_TOKEN)))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::model::cuda::attention::Scratch;
    use crate::model::cuda::hopper::{self, Weight};
    use crate::model::cuda::hopper_logits;
    use crate::model::cuda::tokens::{
        Allowed, CHOICE_WORDS, Masks, argmax, mask_words, read_choices,
    };
    use crate::model::output::Choice;

    fn product(x: &Tensor, weight: &Tensor, out: &Tensor, found: Option<Found<'_>>) {
        let is_streamed = x.dim(0).unwrap() <= hopper::FOUND_ROWS_MAX;
        let done = if is_streamed {
            hopper::product_into(x, Weight::Dense(weight), out, found)
        } else {
            hopper_logits::product_into(x, weight, out, found)
        };
        done.unwrap();
    }

    fn parts(x: &Tensor, weight: &Tensor) -> usize {
        if x.dim(0).unwrap() <= hopper::FOUND_ROWS_MAX {
            hopper::found_parts(x, weight).unwrap().unwrap()
        } else {
            hopper_logits::found_parts(weight.dim(0).unwrap())
        }
    }

    fn nothing(shape: &[usize], device: &Device) -> Tensor {
        Tensor::full(f32::NAN, shape, device).unwrap()
    }

    fn chosen(logits: &Tensor, found: Found<'_>) -> Vec<Choice> {
        let ((rows, vocabulary), device) = (logits.dims2().unwrap(), logits.device());
        let words = |width| Tensor::zeros((rows, width), DType::U32, device).unwrap();
        let (bits, choices) = (words(mask_words(vocabulary)), words(CHOICE_WORDS));
        let masks = Some(Masks { bits: &bits, needs: found.needs });
        let allowed = Allowed { masks, never: found.never };
        let scratch = Scratch::new(device, rows, 1).unwrap();
        argmax(logits, allowed, Some(found.best), &scratch, &choices).unwrap();
        read_choices(&choices.flatten_all().unwrap().to_vec1().unwrap())
    }

    /// Of some rows the middle one is wanted too; the second one has what is no number.
    fn compare(x: &Tensor, weight: &Tensor) {
        let ((rows, _), columns, device) = (x.dims2().unwrap(), weight.dim(0).unwrap(), x.device());
        let whole = nothing(&[rows, columns], device);
        product(x, weight, &whole, None);
        let whole = whole.to_vec2::<f32>().unwrap();
        let never = Choice::greedy(&whole[0], u32::MAX, None).token;
        let wanted = (rows > 1).then_some(rows / 2);
        let needs = (0..rows).map(|row| if Some(row) == wanted { WANTED } else { 0 });
        let needs = Tensor::new(needs.collect::<Vec<u32>>(), device).unwrap();
        // A row more, which stays as it is.
        let room = nothing(&[rows + 1, parts(x, weight), PART_WORDS], device);
        let best = room.narrow(0, 0, rows).unwrap();
        let found = Found { best: &best, needs: &needs, never };
        let logits = nothing(&[rows, columns], device);
        product(x, weight, &logits, Some(found));
        let choices = chosen(&logits, found);
        let behind = room.narrow(0, rows, 1).unwrap().flatten_all().unwrap();
        assert!(behind.to_vec1::<f32>().unwrap().iter().all(|x| x.is_nan()), "{rows}: behind");
        let logits = logits.to_vec2::<f32>().unwrap();
        for (row, (choice, whole)) in choices.into_iter().zip(&whole).enumerate() {
            let name = format!("row {row} of {rows} x {columns} in {:?}", x.dtype());
            let expected = Choice::greedy(whole, never, None);
            assert_eq!((choice.is_finite, expected.is_finite), (row != 1, row != 1), "{name}");
            if choice.is_finite {
                assert_eq!(
                    (choice.token, choice.logit),
                    (expected.token, expected.logit),
                    "{name}"
                );
                let error = (choice.log_sum_exp - expected.log_sum_exp).abs();
                assert!(error < 1e-4, "{name}: {error:e}");
            }
            let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
            if Some(row) == wanted {
                assert_eq!(bits(&logits[row]), bits(whole), "{name}");
            } else {
                assert!(logits[row].iter().all(|x| x.is_nan()), "{name}: written");
            }
        }
    }

    /// What is found is what whole rows say; those that nobody wants are not written. Needs a GPU of compute capability 9.0; where
    /// there is none it says so and is over.
    #[test]
    fn the_likeliest_are_found_without_their_rows() {
        let Some(device) = hopper::gpu_for_tests() else { return };
        for (columns, inner) in [(20_001, 512), (151_674, 264)] {
            for dtype in [DType::BF16, DType::F16] {
                let random = |rows: usize| {
                    let values = Tensor::randn(0f32, 1f32, (rows, inner), &device).unwrap();
                    values.to_dtype(dtype).unwrap()
                };
                let weight = random(columns);
                let spoilt = Tensor::full(f32::INFINITY, (1, inner), &device).unwrap();
                let spoilt = spoilt.to_dtype(dtype).unwrap();
                for rows in [1, 2, 7, 8, 9, 16, 17, 33, 64, 129, 200, 256, 257, 300, 384] {
                    let x = random(rows);
                    if rows > 1 {
                        x.slice_set(&spoilt, 0, 1).unwrap();
                    }
                    compare(&x, &weight);
                }
            }
        }
    }
}
