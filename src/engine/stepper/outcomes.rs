//! What follows a step: each sequence chooses its next token, goes through its grammar, and goes on or ends.

use std::time::Instant;

use super::{End, Stepper};
use crate::constraint::Begun;
use crate::device::Dtype;
use crate::engine::EngineError;
use crate::engine::constrained::Advance;
use crate::engine::scheduler::{Planned, SeqId};
use crate::engine::sequence::{self, Chosen, NoChoice};
use crate::engine::step::{Outcome, Running, Stepped};
use crate::engine::trace::Pass;
use crate::model::ModelSpec;

/// A sequence that goes on, once all have chosen.
struct Turn {
    planned: Planned,
    chosen: Chosen,
    /// Where it is held to a grammar.
    advance: Option<Advance>,
}

/// Why nothing was chosen.
enum Unwell {
    NotFinite,
    Failed(EngineError),
}

impl Stepper {
    pub(super) fn take_outcomes(&mut self, stepped: Stepped, mut pass: Pass, now: Instant) {
        for planned in &stepped.dropped {
            self.scheduler.dropped(planned);
        }
        let (mut turns, mut advances) = (Vec::new(), Vec::new());
        let mut ended = Vec::new();
        let mut not_finite = Vec::new();
        for (planned, outcome) in stepped.outcomes {
            match self.choose(planned, outcome, &mut pass, now) {
                Ok(None) => {}
                Ok(Some((chosen, advance))) => {
                    advances.extend(advance.map(|advance| (turns.len(), advance)));
                    turns.push(Turn { planned, chosen, advance: None });
                }
                Err(Unwell::NotFinite) => not_finite.push(planned),
                Err(Unwell::Failed(error)) => ended.push((planned.id, End::Failed(error))),
            }
        }
        // The devices wait for what follows from the choices: all answers go through their grammars at once.
        // All masks are handed over when this is dropped.
        let mut begun = Begun::default();
        for (turn, advance) in Advance::all(advances, &mut begun) {
            turns[turn].advance = Some(advance);
        }
        let mut sensible = Vec::new();
        for turn in turns {
            let Planned { id, slot, prefill, .. } = turn.planned;
            let end = self.go_on(turn, &mut begun, &mut pass, now);
            if prefill && !matches!(end, Some(End::Failed(_))) {
                sensible.push((id, slot));
            }
            ended.extend(end.map(|end| (id, end)));
        }
        drop(begun);
        pass.finished();
        for (id, slot) in sensible {
            self.publish(id, slot);
        }
        ended.extend(self.not_finite(&not_finite));
        for (id, end) in ended {
            self.end(id, end);
        }
    }

    /// Chooses the next token of a sequence whose turn it is; none where nothing is to be chosen.
    fn choose(
        &mut self,
        planned: Planned,
        outcome: Outcome,
        pass: &mut Pass,
        now: Instant,
    ) -> Result<Option<(Chosen, Option<Advance>)>, Unwell> {
        let choice = match outcome {
            Outcome::Taken(choice) => choice,
            Outcome::Dropped => return Ok(None),
            Outcome::Failed(error) => return Err(Unwell::Failed(error.into())),
        };
        self.scheduler.stepped(&planned);
        let Some(sequence) = self.sequences.get_mut(&planned.id) else { return Ok(None) };
        sequence.stepped(&planned, now);
        if planned.prefill {
            sequence.trace.prefilled(&planned, pass);
        }
        let Some(choice) = choice else { return Ok(None) };
        let clock = self.clock.as_ref();
        match sequence.choose(choice, &self.stop_ids, clock) {
            Ok(chosen) => Ok(Some(chosen)),
            Err(NoChoice::NotFinite) => Err(Unwell::NotFinite),
            Err(NoChoice::Unheld(error)) => {
                sequence.trace.chose(&planned, pass, 0, clock);
                Err(Unwell::Failed(sequence::unheld(error)))
            }
        }
    }

    /// An answer goes on with the token that was chosen. Says how it ends, if it does.
    fn go_on(
        &mut self,
        turn: Turn,
        begun: &mut Begun,
        pass: &mut Pass,
        now: Instant,
    ) -> Option<End> {
        let Turn { planned, chosen, advance } = turn;
        let sequence = self.sequences.get_mut(&planned.id)?;
        let clock = self.clock.as_ref();
        let went_on = sequence.go_on(chosen, advance, begun, &self.stop_ids, (now, clock));
        sequence.trace.chose(&planned, pass, sequence.fresh(), clock);
        match went_on {
            Ok(None) => {
                let pause = sequence.outlet.must_pause();
                self.scheduler.expect(planned.id, sequence.fresh());
                self.scheduler.set_paused(planned.id, pause);
                None
            }
            Ok(Some(reason)) => Some(End::Whole(reason)),
            Err(spoilt) => Some(End::Failed(spoilt.into_error(sequence.output_tokens()))),
        }
    }

    /// The ends of those whose logits are not finite, with the place where the pass went wrong.
    fn not_finite(&mut self, plan: &[Planned]) -> Vec<(SeqId, End)> {
        if plan.is_empty() {
            return Vec::new();
        }
        let sequences = &self.sequences;
        let running = Running { sequences, scheduler: &self.scheduler };
        let at = self.runner.locate_non_finite(&running.batch(plan));
        let dtype = at.as_ref().map_or_else(|| logits_dtype(self.runner.spec()), |at| at.dtype);
        tracing::error!(requests = plan.len(), %dtype, ?at, "logits are not finite");
        plan.iter()
            .filter_map(|planned| {
                let step = sequences.get(&planned.id)?.output_tokens();
                let error = EngineError::NonFiniteLogits { step, dtype, at: at.clone() };
                Some((planned.id, End::Failed(error)))
            })
            .collect()
    }
}

/// The dtype of the module that makes the logits, which is placed last.
fn logits_dtype(spec: &ModelSpec) -> Dtype {
    spec.placements.last().map_or(spec.kv_dtype, |placement| placement.compute_dtype)
}
