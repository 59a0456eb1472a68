//! How an answer goes on: the token that is chosen, those that it forces, and whether the answer is whole with
//! them, or spoilt.

use std::time::Instant;

use super::Sequence;
use crate::constraint::{Begun, ConstraintError};
use crate::engine::answer::Verdict;
use crate::engine::clock::Clock;
use crate::engine::constrained::{Advance, Constrained};
use crate::engine::guard::{Guard, Trip};
use crate::engine::trace::Score;
use crate::engine::{EngineError, FinishReason, Phase};
use crate::model::{Choice, PageShares};

/// A token that was chosen, before it is known what follows from it.
#[derive(Debug)]
pub(in crate::engine) struct Chosen {
    token: u32,
    /// That the model gave it; none where the model had no choice.
    score: Option<Score>,
    /// Where the token before it looked.
    looked: PageShares,
    /// Tokens that the answer begins with, instead of it.
    opening: Option<Vec<u32>>,
    /// Held to a grammar, and in the middle of free text: what follows from the token is found out beside the next step.
    stays_free: bool,
}

/// Why no token can be chosen.
#[derive(Debug)]
pub(in crate::engine) enum NoChoice {
    NotFinite,
    /// What holds the answer to its grammar failed.
    Unheld(ConstraintError),
}

/// Why an answer cannot go on.
#[derive(Debug)]
pub(in crate::engine) enum Spoilt {
    /// By the token that was chosen last.
    Tripped(Trip),
    /// What holds it to its grammar failed.
    Unheld(ConstraintError),
}

// === impl NoChoice ===

impl From<ConstraintError> for NoChoice {
    fn from(error: ConstraintError) -> Self {
        Self::Unheld(error)
    }
}

// === impl Spoilt ===

impl Spoilt {
    /// Of an answer with so many tokens.
    pub(in crate::engine) fn into_error(self, output_tokens: usize) -> EngineError {
        match self {
            Self::Tripped(trip) => EngineError::tripped(output_tokens.saturating_sub(1), trip),
            Self::Unheld(error) => unheld(error),
        }
    }
}

impl From<ConstraintError> for Spoilt {
    fn from(error: ConstraintError) -> Self {
        Self::Unheld(error)
    }
}

impl From<Trip> for Spoilt {
    fn from(trip: Trip) -> Self {
        Self::Tripped(trip)
    }
}

// === impl Sequence ===

impl Sequence {
    /// Takes the model's choice for the next token. Where the answer is held to a grammar, it must be known what follows from
    /// the choice before the answer [goes on](Self::go_on).
    pub(in crate::engine) fn choose(
        &mut self,
        (choice, looked): (Choice, PageShares),
        stop_ids: &[u32],
        clock: &dyn Clock,
    ) -> Result<(Chosen, Option<Advance>), NoChoice> {
        self.trace.choosing(clock);
        if let Some(constrained) = &self.constrained {
            self.trace.holding(clock, || constrained.ready())?;
        }
        if !choice.is_finite {
            return Err(NoChoice::NotFinite);
        }
        let token = choice.token;
        self.chance.drew();
        let opening = self.constrained.as_mut().and_then(Constrained::opening);
        let is_chosen = opening.is_none()
            && !self.constrained.as_ref().is_some_and(Constrained::leaves_no_choice);
        let score = is_chosen.then(|| Score { logit: choice.logit, logprob: choice.logprob() });
        let goes_on = opening.is_none() && !stop_ids.contains(&token);
        let stays_free =
            goes_on && self.constrained.as_ref().is_some_and(|held| held.stays_free(token));
        let constrained = if goes_on && !stays_free { self.constrained.take() } else { None };
        let advance = constrained.map(|constrained| Advance::new(constrained, token));
        self.trace.waits(clock);
        Ok((Chosen { token, score, looked, opening, stays_free }, advance))
    }

    /// Adds the token and those that it forces, sends the text that they complete, and says whether the answer is
    /// whole. The text of a token that spoils the answer is not sent.
    pub(in crate::engine) fn go_on(
        &mut self,
        chosen: Chosen,
        advance: Option<Advance>,
        begun: &mut Begun,
        stop_ids: &[u32],
        (now, clock): (Instant, &dyn Clock),
    ) -> Result<Option<FinishReason>, Spoilt> {
        let Chosen { token, score, looked, opening, stays_free } = chosen;
        let mut next = None;
        if let Some(advance) = advance {
            let (constrained, done, spent) = advance.done();
            self.constrained = Some(constrained);
            self.trace.held(spent);
            next = Some(done?);
        }
        self.trace.choosing(clock);
        if let Some(score) = score {
            self.trace.scored(score);
            if self.scores && !stop_ids.contains(&token) {
                self.answer.score(score.logprob, looked);
            }
        }
        let logprob = score.map(|score| score.logprob);
        let mut tokens = opening.unwrap_or_else(|| vec![token]);
        let mut is_whole = false;
        if let Some(next) = next {
            tokens.extend(next.forced);
            is_whole = next.is_whole;
        }
        let finish = self.take_all(tokens, logprob, (is_whole, stop_ids), now)?;
        if let Some(constrained) =
            self.constrained.as_mut().filter(|_| stays_free && finish.is_none())
        {
            constrained.take_beside(token, begun);
        }
        if let Some(piece) = self.answer.piece() {
            self.outlet.piece(&piece, now);
        }
        Ok(finish)
    }

    /// The answer goes on with these tokens, as far as it may. The first has this log-probability; the others were
    /// forced.
    fn take_all(
        &mut self,
        tokens: Vec<u32>,
        mut logprob: Option<f32>,
        (is_whole, stop_ids): (bool, &[u32]),
        now: Instant,
    ) -> Result<Option<FinishReason>, Spoilt> {
        self.fresh = 0;
        let last = tokens.len() - 1;
        for (index, token) in tokens.into_iter().enumerate() {
            self.progress.output_tokens += 1;
            if self.progress.phase != Phase::Decode {
                self.start_decode(now);
            }
            self.fresh += 1;
            self.tokens.push(token);
            self.chance.saw(token);
            let is_last = is_whole && index == last;
            let finish = self.take(token, logprob.take(), is_last, stop_ids)?;
            if finish.is_some() {
                return Ok(finish);
            }
        }
        Ok(None)
    }

    fn take(
        &mut self,
        token: u32,
        logprob: Option<f32>,
        is_last: bool,
        stop_ids: &[u32],
    ) -> Result<Option<FinishReason>, Trip> {
        if stop_ids.contains(&token) {
            self.answer.finish();
            return Ok(Some(FinishReason::Stop));
        }
        if self.answer.push(token) == Verdict::Stopped {
            return Ok(Some(FinishReason::Stop));
        }
        if let Some(guard) = &mut self.guard {
            guard.see(token, self.answer.newest(), logprob)?;
        }
        if is_last {
            self.answer.finish();
            return Ok(Some(FinishReason::Stop));
        }
        if self.progress.output_tokens < self.output_tokens_max {
            return Ok(None);
        }
        if self.answer.finish() == Verdict::Stopped {
            return Ok(Some(FinishReason::Stop));
        }
        self.guard.as_ref().map_or(Ok(()), Guard::cut)?;
        Ok(Some(FinishReason::Length))
    }
}

/// What ends the request of an answer that cannot be held any more.
pub(in crate::engine) fn unheld(error: ConstraintError) -> EngineError {
    tracing::error!(%error, "an answer cannot be held to its grammar");
    error.into()
}
