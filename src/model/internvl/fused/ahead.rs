//! A decoding step that is begun before it is known what the one before it chose. Its tokens go from the choice to the
//! embedding on the device, so that the device does not wait for the host between two steps.
//!
//! Whether it is the step that is asked for next is found out then, by all that it read: tokens, positions and tables. If it is
//! not, what it wrote lies behind what the sequences hold, and is written again before anybody reads it.

use std::sync::{Arc, OnceLock};

use candle_core::Result;

use super::decode::{ANY, DecodeRow, DecodeStep};
use super::{Chosen, Decoded, Fused, Stack};
use crate::model::cache::BLOCK_TOKENS;
use crate::model::cuda::transfer::Following;
use crate::model::draw::Draw;
use crate::model::internvl::laps::Laps;
use crate::model::internvl::looks::Looks;
use crate::model::output::Want;
use crate::model::runner::Slot;
use crate::model::times::PassTimes;

/// What the rows of a step chose, once the host knows.
pub(super) type Tokens = Arc<OnceLock<Vec<u32>>>;

/// The row of a sequence whose token is not known yet.
#[derive(Debug, Clone, Copy)]
pub(in crate::model::internvl) struct AheadRow<'a> {
    pub(in crate::model::internvl) slot: Slot,
    /// Its KV blocks in order.
    pub(in crate::model::internvl) blocks: &'a [u32],
    pub(in crate::model::internvl) position: usize,
    /// Whether its token may be drawn.
    pub(in crate::model::internvl) is_drawn: bool,
}

impl<'a> AheadRow<'a> {
    fn with_token(self, token: u32) -> DecodeRow<'a> {
        let Self { slot, blocks, position, is_drawn } = self;
        let want = if is_drawn { Want::Drawn(ANY) } else { Want::Greedy };
        DecodeRow { slot, blocks, token, position, want }
    }

    fn place(self) -> Place {
        Place { slot: self.slot, position: self.position }
    }
}

/// A sequence's row, by the place of its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    slot: Slot,
    position: usize,
}

/// The step that was begun last.
pub(super) struct Last {
    rows: Vec<Place>,
    tokens: Tokens,
}

/// A step that was begun before its tokens are known.
pub(super) struct Ahead {
    bucket: usize,
    rows: Vec<Place>,
    /// Whether each may be drawn.
    are_drawn: Vec<bool>,
    /// Of each row, the row of the step before whose choice is its token.
    from: Vec<usize>,
    /// What that step chose.
    tokens: Tokens,
    /// Of each row, the blocks up to its position.
    tables: Vec<Vec<u32>>,
    times: Option<PassTimes>,
}

/// Where each of `wanted` is among `rows`; none where one is not. Both have mostly the same order.
fn find(rows: &[Place], wanted: impl Iterator<Item = Place>) -> Option<Vec<usize>> {
    let mut next = 0;
    wanted
        .map(|wanted| {
            let index = (next..rows.len()).chain(0..next).find(|index| rows[*index] == wanted)?;
            next = index + 1;
            Some(index)
        })
        .collect()
}

/// The blocks of a sequence up to `position`.
fn table(blocks: &[u32], position: usize) -> &[u32] {
    &blocks[..blocks.len().min(position / BLOCK_TOKENS + 1)]
}

impl Last {
    pub(super) fn of(rows: &[DecodeRow<'_>], chosen: &Chosen) -> Self {
        let place = |row: &DecodeRow<'_>| Place { slot: row.slot, position: row.position };
        Self { rows: rows.iter().map(place).collect(), tokens: Arc::clone(&chosen.tokens) }
    }
}

impl Ahead {
    /// Which of its rows `rows` are; none where one of them is another, or wants what was not prepared for.
    fn serves(&self, rows: &[DecodeRow<'_>]) -> Option<Vec<usize>> {
        let tokens = self.tokens.get()?;
        let places = rows.iter().map(|row| Place { slot: row.slot, position: row.position });
        let found = find(&self.rows, places)?;
        let is_it = |(row, index): (&DecodeRow<'_>, &usize)| {
            let is_prepared = match row.want {
                Want::Greedy => true,
                Want::Drawn(Draw { allowed: None, .. }) => self.are_drawn[*index],
                _ => false,
            };
            is_prepared
                && tokens.get(self.from[*index]) == Some(&row.token)
                && self.tables[*index] == table(row.blocks, row.position)
        };
        rows.iter().zip(&found).all(is_it).then_some(found)
    }
}

impl DecodeStep {
    /// Begins the step that follows the one begun last. Not where layers are spread over devices, where several steps are
    /// under way in any case, and not where the embedding is on the host.
    pub(super) fn begin_ahead(
        &mut self,
        stack: &Stack<'_>,
        fused: &Fused,
        rows: &[AheadRow<'_>],
    ) -> Result<bool> {
        self.ahead = None;
        let Some(last) = &self.last else { return Ok(false) };
        let before = rows
            .iter()
            .map(|row| Some(Place { slot: row.slot, position: row.position.checked_sub(1)? }));
        let Some(before) = before.collect::<Option<Vec<Place>>>() else { return Ok(false) };
        let Some(from) = find(&last.rows, before.into_iter()) else { return Ok(false) };
        let Some(index) = self.bucket_of(rows.iter().map(|row| row.position)) else {
            return Ok(false);
        };
        // What stands for a token is the row that chooses it.
        let tokens = from.iter().map(|from| *from as u32);
        let decode_rows: Vec<DecodeRow<'_>> =
            rows.iter().zip(tokens).map(|(row, token)| row.with_token(token)).collect();
        let values = self.values(self.buckets[index], &decode_rows)?;
        let [stage] = &mut self.stages[..] else { return Ok(false) };
        let bucket = &mut stage.buckets[index];
        let (Some(tokens), Some(end)) = (&bucket.tokens, &bucket.ending) else { return Ok(false) };
        let laps = Laps::start(&stack.homes.embedding)?;
        let following = Following { choices: &end.all_choices, tokens: tokens.elem_count() };
        self.uploads.take(&values, &stage.inputs, Some(following))?;
        bucket.start(stack, &fused.scratches[&stage.device])?;
        self.ahead = Some(Ahead {
            bucket: index,
            rows: rows.iter().map(|row| row.place()).collect(),
            are_drawn: rows.iter().map(|row| row.is_drawn).collect(),
            from,
            tokens: Arc::clone(&last.tokens),
            tables: rows.iter().map(|row| table(row.blocks, row.position).to_vec()).collect(),
            // What is behind it on the device may be for others by the time at which it is asked for.
            times: laps.finish()?,
        });
        Ok(true)
    }

    /// Goes on with the step that was begun ahead, if it is that of `rows`.
    pub(super) fn run_ahead(
        &mut self,
        stack: &Stack<'_>,
        fused: &Fused,
        rows: &[DecodeRow<'_>],
        looks: &mut Looks<'_>,
    ) -> Result<Option<Decoded>> {
        self.last = None;
        let Some(ahead) = self.ahead.take() else { return Ok(None) };
        let Some(found) = ahead.serves(rows) else { return Ok(None) };
        // Who looks is known by the row.
        if looks.is_asked() && !found.iter().copied().eq(0..rows.len()) {
            return Ok(None);
        }
        let [stage] = &self.stages[..] else { return Ok(None) };
        let bucket = &stage.buckets[ahead.bucket];
        let Some(end) = &bucket.ending else { return Ok(None) };
        bucket.look(stack, fused, looks)?;
        // Rows of sequences that are gone want nothing.
        let mut wants = vec![Want::Greedy; ahead.rows.len()];
        for (row, at) in rows.iter().zip(&found) {
            wants[*at] = row.want;
        }
        let chosen = end.choose_and_bring(&wants, stage.device, fused)?;
        let Ahead { rows, times, .. } = ahead;
        self.last = Some(Last { rows, tokens: Arc::clone(&chosen.tokens) });
        let chosen = chosen.of_rows(found);
        Ok(Some(Decoded { chosen, logits: end.logits.clone(), was_begun: true, times }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::constraint::Mask;
    use crate::model::draw::Odds;
    use crate::model::internvl::{InternVl, LoadOptions, load};
    use crate::model::output::{Choice, Output};
    use crate::model::runner::{Runner as _, Segment, StepBatch};
    use crate::prompt::{PromptOptions, Prompter};

    #[test]
    fn rows_are_found_in_any_order() {
        let place = |slot, position| Place { slot: Slot(slot), position };
        let rows = [place(0, 7), place(3, 9), place(1, 7)];
        let found = |wanted: &[Place]| find(&rows, wanted.iter().copied());
        assert_eq!(found(&rows), Some(vec![0, 1, 2]));
        assert_eq!(found(&[place(1, 7), place(0, 7)]), Some(vec![2, 0]));
        assert_eq!(found(&[place(3, 9)]), Some(vec![1]));
        assert_eq!(found(&[place(3, 8)]), None);
        assert_eq!(found(&[place(0, 7), place(2, 7)]), None);
    }

    #[test]
    fn a_table_ends_with_its_position() {
        let blocks = [4, 5, 6];
        assert_eq!(table(&blocks, BLOCK_TOKENS - 1), [4]);
        assert_eq!(table(&blocks, BLOCK_TOKENS), [4, 5]);
        assert_eq!(table(&blocks, 9 * BLOCK_TOKENS), blocks);
    }

    /// Whose token is announced as the likeliest has no logits to be drawn from, or to be looked at.
    #[test]
    fn a_step_serves_what_it_was_begun_for() {
        let (blocks, words) = ([4, 5], [1]);
        let tokens = Tokens::default();
        tokens.set(vec![70, 71]).unwrap();
        let place = |slot| Place { slot: Slot(slot), position: 9 };
        let ahead = Ahead {
            bucket: 0,
            rows: vec![place(0), place(1)],
            are_drawn: vec![false, true],
            from: vec![1, 0],
            tokens,
            tables: vec![vec![4], vec![4]],
            times: None,
        };
        let draw = |allowed| Want::Drawn(Draw { odds: ODDS, seen: &[], allowed, number: 0 });
        let found = |slot: u32, want| {
            let token = if slot == 0 { 71 } else { 70 };
            let row = DecodeRow { slot: Slot(slot), blocks: &blocks, token, position: 9, want };
            ahead.serves(&[row])
        };
        assert_eq!(found(0, Want::Greedy), Some(vec![0]));
        assert_eq!(found(1, Want::Greedy), Some(vec![1]));
        assert_eq!(found(1, draw(None)), Some(vec![1]));
        assert_eq!(found(0, draw(None)), None);
        let mask = Mask::of(words.to_vec());
        assert_eq!(found(1, draw(Some(&mask))), None);
        assert_eq!(found(1, Want::GreedyAmong(&mask)), None);
        assert_eq!(found(1, Want::Logits), None);
    }

    const SEQUENCES: usize = 3;
    const PROMPT: [u32; 5] = [40, 41, 42, 43, 44];

    fn segment<'a>(
        blocks: &'a [Vec<u32>],
        sequence: usize,
        start: usize,
        tokens: &'a [u32],
        want: Want<'a>,
    ) -> Segment<'a> {
        Segment {
            slot: Slot(sequence as u32),
            blocks: &blocks[sequence],
            start,
            tokens,
            image_tokens_before: 0,
            want,
            pages: &[],
        }
    }

    /// How tokens are chosen.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Way {
        Likeliest,
        /// Each sequence with odds of its own, but for the first.
        Drawn,
    }

    const ODDS: Odds = Odds { temperature: 1.5, ..Odds::GREEDY };

    /// What a sequence wants, which has these tokens already, where its last one is at `position`.
    fn want(way: Way, sequence: usize, position: usize, seen: &[u32]) -> Want<'_> {
        let odds = match (way, sequence) {
            (Way::Likeliest, _) | (_, 0) => return Want::Greedy,
            (Way::Drawn, 1) => Odds { top_k: Some(200), repetition_penalty: 1.4, ..ODDS },
            (Way::Drawn, _) => Odds { top_p: 0.9, min_p: 0.01, ..ODDS },
        };
        let number = (sequence as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ position as u64);
        Want::Drawn(Draw { odds, seen, allowed: None, number: number.rotate_left(23) })
    }

    /// Three sequences of a model on a GPU.
    struct Answers {
        model: InternVl,
        blocks: Vec<Vec<u32>>,
        /// Of each, where its last token belongs, that token, and how it was chosen.
        positions: Vec<usize>,
        tokens: Vec<u32>,
        last: Vec<Option<Choice>>,
        /// Bits of the tokens that it has chosen.
        seen: Vec<Vec<u32>>,
        way: Way,
    }

    impl Answers {
        /// None where there is no GPU.
        fn begin(way: Way) -> Option<Self> {
            let devices = "cuda:0".parse().unwrap();
            crate::device::open(&devices).ok()?;
            let checkpoint = Checkpoint::Embedded;
            let prompter = Prompter::load(&checkpoint, &PromptOptions::default()).unwrap();
            let options = LoadOptions {
                devices,
                slots: SEQUENCES,
                slot_tokens: Some(512),
                image_token_id: Some(prompter.image_token_id()),
                ..LoadOptions::default()
            };
            let model = load(&checkpoint, &options, &mut |_| {}).unwrap();
            let each = model.spec().blocks_for(512) as u32;
            let blocks = (0..SEQUENCES as u32).map(|i| (i * each..(i + 1) * each).collect());
            let mut answers = Self {
                model,
                blocks: blocks.collect(),
                positions: vec![PROMPT.len() + 1; SEQUENCES],
                tokens: vec![0; SEQUENCES],
                last: vec![None; SEQUENCES],
                seen: vec![vec![0; 4096]; SEQUENCES],
                way,
            };
            for sequence in 0..SEQUENCES {
                let tokens = [&PROMPT[..], &[50 + sequence as u32]].concat();
                let segments = vec![segment(&answers.blocks, sequence, 0, &tokens, Want::Greedy)];
                let outputs = answers.model.step(&StepBatch { segments }).unwrap();
                answers.take(&[sequence], outputs.iter());
            }
            Some(answers)
        }

        fn take<'a>(&mut self, sequences: &[usize], outputs: impl Iterator<Item = &'a Output>) {
            let outputs: Vec<&Output> = outputs.collect();
            assert_eq!(outputs.len(), sequences.len());
            for (sequence, output) in sequences.iter().zip(outputs) {
                let Output::Choice(choice) = output else { panic!("{output:?}") };
                self.tokens[*sequence] = choice.token;
                self.last[*sequence] = Some(*choice);
                self.seen[*sequence][choice.token as usize / 32] |= 1 << (choice.token % 32);
            }
        }

        /// A step of these sequences; before it ends the next is begun for those of `ahead`.
        fn step(&mut self, sequences: &[usize], ahead: &[usize]) -> bool {
            let (tokens, blocks, positions) = (&self.tokens, &self.blocks, &self.positions);
            let this = |sequence: &usize| {
                let token = &tokens[*sequence..=*sequence];
                let (position, seen) = (positions[*sequence], &self.seen[*sequence]);
                let want = want(self.way, *sequence, position, seen);
                segment(blocks, *sequence, position, token, want)
            };
            let segments = sequences.iter().map(this).collect();
            let pending = self.model.submit(&StepBatch { segments }).unwrap();
            let mut begun = false;
            if !ahead.is_empty() {
                let next = |sequence: &usize| {
                    let want = want(self.way, *sequence, 0, &[]);
                    segment(blocks, *sequence, positions[*sequence] + 1, &[], want)
                };
                let segments = ahead.iter().map(next).collect();
                begun = self.model.begin_ahead(&StepBatch { segments });
            }
            let outputs = pending.wait().unwrap();
            self.take(sequences, outputs.iter());
            for sequence in sequences {
                self.positions[*sequence] += 1;
            }
            begun
        }
    }

    /// Bits of all choices of 150 steps, which go over the end of a block. `ahead` says of each step which sequences go on
    /// behind it, and which are then thought to.
    fn choices(
        way: Way,
        ahead: impl Fn(usize) -> (Vec<usize>, Vec<usize>),
    ) -> Option<Vec<Vec<[u32; 3]>>> {
        let mut answers = Answers::begin(way)?;
        let mut all = Vec::new();
        let mut sequences: Vec<usize> = (0..SEQUENCES).collect();
        for step in 0..150 {
            let (next, thought) = ahead(step);
            assert_eq!(answers.step(&sequences, &thought), !thought.is_empty(), "step {step}");
            let bits = |choice: &Choice| {
                [choice.token, choice.logit.to_bits(), choice.log_sum_exp.to_bits()]
            };
            all.push(
                sequences.iter().filter_map(|s| answers.last[*s].as_ref().map(bits)).collect(),
            );
            sequences = next;
        }
        Some(all)
    }

    /// However steps are begun, they choose what steps that are not do; none where there is no GPU.
    fn chosen_alike(way: Way) -> Option<Vec<Vec<[u32; 3]>>> {
        // One sequence leaves, and comes back: it was paused.
        let going_on = |step: usize| if step % 40 < 30 { vec![0, 1, 2] } else { vec![0, 2] };
        let expected = choices(way, |step| (going_on(step), vec![]))?;
        // Begun for all that go on; for all of the step, of which one may leave; in another order; and for one alone, so that
        // another step is asked for than the one that was begun.
        let of_step = |step: usize| if step == 0 { vec![0, 1, 2] } else { going_on(step - 1) };
        let stays = |step: usize| -> Vec<usize> {
            going_on(step).into_iter().filter(|s| of_step(step).contains(s)).collect()
        };
        let turned = |step| stays(step).into_iter().rev().collect();
        assert_eq!(choices(way, |step| (going_on(step), stays(step))).as_ref(), Some(&expected));
        assert_eq!(choices(way, |step| (going_on(step), of_step(step))).as_ref(), Some(&expected));
        assert_eq!(choices(way, |step| (going_on(step), turned(step))).as_ref(), Some(&expected));
        assert_eq!(choices(way, |step| (going_on(step), vec![0])).as_ref(), Some(&expected));
        Some(expected)
    }

    /// Needs a GPU; where there is none it says so and is over.
    #[test]
    fn steps_begun_ahead_choose_the_same() {
        let Some(likeliest) = chosen_alike(Way::Likeliest) else {
            eprintln!("not run: it needs a GPU");
            return;
        };
        let drawn = chosen_alike(Way::Drawn).unwrap();
        // While all three are there, a step's choices are in their order.
        let of = |all: &[Vec<[u32; 3]>], sequence: usize| -> Vec<u32> {
            all[..30].iter().map(|step| step[sequence][0]).collect()
        };
        assert_eq!(of(&likeliest, 0), of(&drawn, 0));
        assert_ne!(of(&likeliest, 1), of(&drawn, 1));
        assert_ne!(of(&likeliest, 2), of(&drawn, 2));
    }

    /// A token that the step before did not choose is not taken for the one that it did. Needs a GPU; where there is none it
    /// says so and is over.
    #[test]
    fn another_token_than_the_one_chosen_is_another_step() {
        let (Some(mut ahead), Some(mut plain)) =
            (Answers::begin(Way::Likeliest), Answers::begin(Way::Likeliest))
        else {
            eprintln!("not run: it needs a GPU");
            return;
        };
        let all = [0, 1, 2];
        assert!(ahead.step(&all, &all) && !plain.step(&all, &[]));
        for answers in [&mut ahead, &mut plain] {
            answers.tokens[1] = 60;
        }
        for _ in 0..5 {
            ahead.step(&all, &all);
            plain.step(&all, &[]);
            assert_eq!(ahead.last, plain.last);
        }
    }
}
