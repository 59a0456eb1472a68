//! One forward pass for all planned sequences; one by one where the batch failed, and in halves where
//! a piece of a prompt is too much for the device's memory even then.

use std::collections::BTreeMap;

use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::scheduler::{Planned, Scheduler, SeqId};
use crate::engine::sequence::Sequence;
use crate::model::{Output, Outputs, RunError, Runner, StepBatch};

/// Tokens of a prompt that are not halved any more: what does not fit then will not fit at all.
const HALVED_TOKENS_MIN: usize = 16;

/// What a pass reads: the tokens of sequences, and where they belong in the KV cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running<'a> {
    pub(super) sequences: &'a BTreeMap<SeqId, Sequence>,
    pub(super) scheduler: &'a Scheduler,
}

/// What became of each planned sequence.
#[derive(Debug)]
pub(super) struct Stepped {
    pub(super) outcomes: Vec<(Planned, Result<(), RunError>)>,
    /// Of the sequences that wanted something and did not fail, in the order of `outcomes`.
    outputs: Vec<Outputs>,
}

/// Runs the pass. If it fails, each sequence gets one more chance, alone: what is too much for the
/// device in a batch may fit by itself, and a sequence that fails alone fails for itself.
pub(super) fn run(runner: &mut dyn Runner, running: Running<'_>, plan: Vec<Planned>) -> Stepped {
    let error = match pass(runner, running, &plan) {
        Ok(outputs) => {
            let outcomes = plan.into_iter().map(|planned| (planned, Ok(()))).collect();
            return Stepped { outcomes, outputs: vec![outputs] };
        }
        Err(error) => error,
    };
    tracing::warn!(segments = plan.len(), %error, "a step failed; its sequences run one by one");
    let mut stepped = Stepped { outcomes: Vec::with_capacity(plan.len()), outputs: Vec::new() };
    for planned in plan {
        let outcome = alone(runner, running, planned).map(|outputs| stepped.outputs.push(outputs));
        stepped.outcomes.push((planned, outcome));
    }
    stepped
}

/// Runs one sequence. Activations grow with the tokens of a pass, so a piece of a prompt that found no
/// memory is taken in half by half; if that fails too, the request ends, however far it came.
fn alone(
    runner: &mut dyn Runner,
    running: Running<'_>,
    planned: Planned,
) -> Result<Outputs, RunError> {
    match pass(runner, running, &[planned]) {
        Err(RunError::OutOfMemory { .. }) if planned.tokens >= 2 * HALVED_TOKENS_MIN => {
            let (first, second) = planned.halves();
            alone(runner, running, first)?;
            alone(runner, running, second)
        }
        outcome => outcome,
    }
}

fn pass(
    runner: &mut dyn Runner,
    running: Running<'_>,
    plan: &[Planned],
) -> Result<Outputs, RunError> {
    let outputs = runner.step(&running.batch(plan))?;
    let wanted = plan.iter().filter(|planned| planned.wants_logits).count();
    if outputs.len() == wanted {
        return Ok(outputs);
    }
    let message = format!("{} outputs for {wanted}", outputs.len());
    check_invariant!(InvariantId::LogitsPerSegment, false, "{message}");
    Err(RunError::Device { site: "step", message })
}

// === impl Running ===

impl<'a> Running<'a> {
    /// The segments of `plan`.
    pub(super) fn batch(self, plan: &[Planned]) -> StepBatch<'a> {
        let segment = |planned: &Planned| {
            let blocks = self.scheduler.blocks(planned.id);
            Some(self.sequences.get(&planned.id)?.segment(planned, blocks))
        };
        StepBatch { segments: plan.iter().filter_map(segment).collect() }
    }
}

// === impl Stepped ===

impl Stepped {
    /// One output for each sequence that wanted one and did not fail.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().flatten()
    }

    /// The message of the device error that failed every sequence, if that is what happened.
    pub(super) fn device_failure(&self) -> Option<String> {
        let mut message = None;
        for (_, outcome) in &self.outcomes {
            match outcome {
                Err(error @ RunError::Device { .. }) => message = Some(error.to_string()),
                _ => return None,
            }
        }
        message
    }
}
