//! Steps that are begun ahead: while a step is under way the runner begins the one behind it, before it is known what the
//! first one chooses, so that the device does not wait for this thread between two steps.
//!
//! Only where nothing is lost by it: no sequence is held to a grammar, whatever its token is drawn by, and nobody waits for
//! anything else, nor will soon: a request whose pages are being read would find a step before it in which its prompt could have been
//! taken in beside the answers. One that comes meanwhile waits for one step more. A sequence that ends with its token leaves
//! its row behind.

use super::Stepper;
use crate::engine::scheduler::Planned;
use crate::engine::sequence::Sequence;
use crate::model::StepBatch;

impl Stepper {
    /// What the next step takes in: that of the step which was begun ahead, if there is one.
    pub(super) fn plan(&mut self) -> Vec<Planned> {
        let begun = std::mem::take(&mut self.begun);
        let plan = self.scheduler.plan_begun(&begun);
        if plan.is_empty() { self.scheduler.plan_step() } else { plan }
    }

    /// Has the runner begin the step behind the only one that is under way, if it can.
    pub(super) fn begin_ahead(&mut self) {
        let [launched] = self.launched.make_contiguous() else { return };
        if self.runner.spec().passes > 1 || self.board.has_waiting() {
            return;
        }
        let sequences = &self.sequences;
        let is_free = |planned: &Planned| sequences.get(&planned.id).is_some_and(Sequence::is_free);
        if !launched.plan.iter().all(is_free) {
            return;
        }
        let goes_on = |id| sequences.get(&id).is_some_and(Sequence::has_length_left);
        let ahead = self.scheduler.plan_ahead(&launched.plan, goes_on);
        if ahead.is_empty() {
            return;
        }
        let scheduler = &self.scheduler;
        let segment = |planned: &Planned| {
            let sequence = sequences.get(&planned.id)?;
            Some(sequence.segment_ahead(planned, scheduler.blocks(planned.id)))
        };
        let segments = ahead.iter().filter_map(segment).collect();
        if self.runner.begin_ahead(&StepBatch { segments }) {
            self.begun = ahead.iter().map(|planned| planned.id).collect();
        }
    }
}
