//! One forward pass for all planned sequences; one by one where the batch failed, and in halves where
//! a piece of a prompt is too much for the device's memory even then.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::scheduler::{Planned, Scheduler, SeqId};
use crate::engine::sequence::Sequence;
use crate::model::{Choice, Outputs, PageShares, PassTimes, Pending, RunError, Runner, StepBatch};

/// Tokens of a prompt that are not halved any more: what does not fit then will not fit at all.
const HALVED_TOKENS_MIN: usize = 16;

/// What a pass reads: the tokens of sequences, and where they belong in the KV cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running<'a> {
    pub(super) sequences: &'a BTreeMap<SeqId, Sequence>,
    pub(super) scheduler: &'a Scheduler,
}

/// A pass under way.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) plan: Vec<Planned>,
    pub(super) begin: Instant,
    /// An error that came at once is kept until its turn.
    pending: Result<Pending, RunError>,
    /// Sequences whose tokens before these were not taken in after all: what comes of them here is no good.
    void: BTreeSet<SeqId>,
}

/// What became of each planned sequence.
#[derive(Debug)]
pub(super) struct Stepped {
    pub(super) outcomes: Vec<(Planned, Outcome)>,
    /// Of passes under way: what was to follow tokens that this one did not take in. To be planned again.
    pub(super) dropped: Vec<Planned>,
    /// None where the runner cannot tell, and where sequences ran one by one.
    pub(super) times: Option<PassTimes>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// Its tokens are in the KV cache. With the choice that it wanted, and where its last token looked.
    Taken(Option<(Choice, PageShares)>),
    /// Nobody waits for it any more.
    Dropped,
    Failed(RunError),
}

/// What the segments of a pass asked for, in their order.
type Choices = Vec<(Choice, PageShares)>;

/// Begins a pass over what is planned.
pub(super) fn launch(
    runner: &mut dyn Runner,
    running: Running<'_>,
    plan: Vec<Planned>,
    begin: Instant,
) -> Launched {
    let pending = runner.submit(&running.batch(&plan));
    Launched { plan, begin, pending, void: BTreeSet::new() }
}

/// Waits for the oldest pass; `later` are those launched after it. If it fails, each sequence gets one more
/// chance, alone: what is too much for the device in a batch may fit by itself, and a sequence that fails alone
/// fails for itself.
pub(super) fn land(
    runner: &mut dyn Runner,
    running: Running<'_>,
    launched: Launched,
    later: &mut VecDeque<Launched>,
) -> Stepped {
    let Launched { plan, pending, void, .. } = launched;
    let times = pending.as_ref().ok().and_then(|pending| pending.times().cloned());
    let is_no_good = |id: &SeqId| void.contains(id) || !running.sequences.contains_key(id);
    let error = match pending.and_then(|pending| checked(pending.wait()?, &plan)) {
        Ok(choices) => {
            let mut choices = choices.into_iter();
            let outcome = |planned: Planned| {
                let choice = if planned.chooses { choices.next() } else { None };
                let is_no_good = is_no_good(&planned.id);
                (planned, if is_no_good { Outcome::Dropped } else { Outcome::Taken(choice) })
            };
            let outcomes = plan.into_iter().map(outcome).collect();
            return Stepped { outcomes, dropped: Vec::new(), times };
        }
        Err(error) => error,
    };
    tracing::warn!(segments = plan.len(), %error, "a step failed; its sequences run one by one");
    let failed: BTreeSet<SeqId> = plan.iter().map(|planned| planned.id).collect();
    let dropped =
        later.iter_mut().flat_map(|launched| launched.drop_what_follows(&failed)).collect();
    let outcome = |planned: Planned| {
        if is_no_good(&planned.id) {
            return (planned, Outcome::Dropped);
        }
        let choices = alone(runner, running, planned);
        let taken = choices.map(|choices| Outcome::Taken(choices.into_iter().next()));
        (planned, taken.unwrap_or_else(Outcome::Failed))
    };
    Stepped { outcomes: plan.into_iter().map(outcome).collect(), dropped, times: None }
}

/// Runs one sequence. Activations grow with the tokens of a pass, so a piece of a prompt that found no
/// memory is taken in half by half; if that fails too, the request ends, however far it came.
fn alone(
    runner: &mut dyn Runner,
    running: Running<'_>,
    planned: Planned,
) -> Result<Choices, RunError> {
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
) -> Result<Choices, RunError> {
    checked(runner.step(&running.batch(plan))?, plan)
}

fn checked(outputs: Outputs, plan: &[Planned]) -> Result<Choices, RunError> {
    let wanted = plan.iter().filter(|planned| planned.chooses).count();
    let choices: Choices = outputs.into_choices().collect();
    if choices.len() == wanted {
        return Ok(choices);
    }
    let message = format!("{} choices for {wanted}", choices.len());
    check_invariant!(InvariantId::ChoicePerSegment, false, "{message}");
    Err(RunError::Device { site: "step", message })
}

// === impl Launched ===

impl Launched {
    /// Gives up what `failed` sequences were to take in here, and says what that was.
    fn drop_what_follows(&mut self, failed: &BTreeSet<SeqId>) -> Vec<Planned> {
        let void = &mut self.void;
        let follows = |planned: &&Planned| failed.contains(&planned.id) && void.insert(planned.id);
        self.plan.iter().filter(follows).copied().collect()
    }
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
    /// The message of the device error that failed every sequence, if that is what happened.
    pub(super) fn device_failure(&self) -> Option<String> {
        let mut message = None;
        for (_, outcome) in &self.outcomes {
            match outcome {
                Outcome::Failed(error @ RunError::Device { .. }) => {
                    message = Some(error.to_string());
                }
                Outcome::Dropped => {}
                Outcome::Failed(_) | Outcome::Taken(_) => return None,
            }
        }
        message
    }
}
