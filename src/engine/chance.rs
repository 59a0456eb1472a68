//! What a request brings to the choice of its tokens: its odds, its own random numbers, and which tokens are there already.
//! The choice is the model's: it is made where the logits are.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::constraint::Mask;
use crate::engine::Sampling;
use crate::model::{Draw, Odds, Want};

/// Of one request.
#[derive(Debug, Clone)]
pub(super) struct Chance {
    odds: Odds,
    numbers: ChaCha8Rng,
    /// What the next token is drawn by, however often that is tried.
    number: u64,
    /// Tokens of the prompt and the answer, a bit for each as masks have it; empty where they do not matter.
    seen: Vec<u32>,
}

// === impl Chance ===

impl Chance {
    /// For a request with this prompt.
    pub(super) fn new(sampling: Sampling, prompt: &[u32]) -> Self {
        let mut numbers = ChaCha8Rng::seed_from_u64(sampling.seed);
        let number = numbers.random();
        let mut chance = Self { odds: sampling.odds(), numbers, number, seen: Vec::new() };
        for token in prompt {
            chance.saw(*token);
        }
        chance
    }

    /// What the next token is chosen from, among those of `allowed`.
    pub(super) fn want<'a>(&'a self, allowed: Option<&'a Mask>) -> Want<'a> {
        let Self { odds, number, seen, .. } = self;
        match allowed {
            _ if !odds.is_greedy() => {
                Want::Drawn(Draw { odds: *odds, seen, allowed, number: *number })
            }
            Some(allowed) => Want::GreedyAmong(allowed),
            None => Want::Greedy,
        }
    }

    /// A token was chosen: the next one is drawn by another number.
    pub(super) fn drew(&mut self) {
        self.number = self.numbers.random();
    }

    /// The answer goes on with `token`.
    pub(super) fn saw(&mut self, token: u32) {
        if !self.odds.has_penalty() {
            return;
        }
        let at = token as usize / 32;
        if self.seen.len() <= at {
            self.seen.resize(at + 1, 0);
        }
        self.seen[at] |= 1 << (token % 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(chance: &Chance) -> Draw<'_> {
        chance.want(None).draw().expect("it is drawn")
    }

    #[test]
    fn the_likeliest_token_is_not_drawn() {
        let chance = Chance::new(Sampling::GREEDY, &[1, 2]);
        let mask = Mask::of(vec![1]);
        assert_eq!(chance.want(None), Want::Greedy);
        assert_eq!(chance.want(Some(&mask)), Want::GreedyAmong(&mask));
        let warm = Chance::new(Sampling { temperature: 0.5, ..Sampling::GREEDY }, &[1, 2]);
        assert_eq!(warm.want(Some(&mask)).mask(), Some(&mask));
        assert_eq!(draw(&warm).seen, &[] as &[u32]);
    }

    #[test]
    fn what_was_said_is_seen() {
        let penalty = Sampling { repetition_penalty: 1.2, ..Sampling::GREEDY };
        let mut chance = Chance::new(penalty, &[0, 3, 3]);
        assert_eq!(draw(&chance).seen, [0b1001]);
        chance.saw(65);
        assert_eq!(draw(&chance).seen, [0b1001, 0, 0b10]);
    }

    /// A step that is done over again draws by the same number.
    #[test]
    fn a_seed_gives_the_same_numbers() {
        let warm = Sampling { temperature: 1.0, seed: 7, ..Sampling::GREEDY };
        let numbers = |sampling| {
            let mut chance = Chance::new(sampling, &[]);
            let next = |_| {
                let number = draw(&chance).number;
                assert_eq!(draw(&chance).number, number);
                chance.drew();
                number
            };
            (0..5).map(next).collect::<Vec<u64>>()
        };
        let mut first = numbers(warm);
        assert_eq!(first, numbers(warm));
        assert_ne!(first, numbers(Sampling { seed: 8, ..warm }));
        first.dedup();
        assert_eq!(first.len(), 5);
    }
}
