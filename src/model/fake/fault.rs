//! Failures that a test orders from the fake runner.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{RunError, Slot};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// One logit of the slot is not a number.
    Nan,
    OutOfMemory,
    Device,
    Panic,
}

/// When something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// None: whichever slot comes first.
    pub slot: Option<Slot>,
    /// Passes that the slot's sequence has behind it, at least.
    pub step: usize,
    /// Segments that the pass has, at least: 2 fails in a batch, and not alone.
    pub segments_min: usize,
    /// Tokens that the pass has, at least.
    pub tokens_min: usize,
    /// How often it happens.
    pub times: usize,
    /// It happens in `encode` instead of `step`.
    pub in_encode: bool,
}

/// The failures that are still to come; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Fault {
    /// `kind` in the next pass, once.
    pub fn next(kind: FaultKind) -> Self {
        Self {
            kind,
            slot: None,
            step: 0,
            segments_min: 1,
            tokens_min: 0,
            times: 1,
            in_encode: false,
        }
    }
}

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// `steps` has the slots of a pass over `tokens`, each with the passes that its sequence has behind
    /// it. Says which slots get logits that are no numbers.
    pub(super) fn in_step(
        &self,
        steps: &[(Slot, usize)],
        tokens: usize,
    ) -> Result<Vec<Slot>, RunError> {
        let mut poisoned = Vec::new();
        while let Some((kind, slot)) = self.take(|fault| {
            let hit = steps.iter().find(|(slot, step)| {
                fault.slot.is_none_or(|of| of == *slot)
                    && *step >= fault.step
                    && !poisoned.contains(slot)
            })?;
            let large = steps.len() >= fault.segments_min && tokens >= fault.tokens_min;
            (!fault.in_encode && large).then_some(hit.0)
        }) {
            if kind == FaultKind::Nan {
                poisoned.push(slot);
            } else {
                fail(kind, "step", slot)?;
            }
        }
        Ok(poisoned)
    }

    pub(super) fn in_encode(&self, slots: &[Slot]) -> Result<(), RunError> {
        let hit = |fault: &Fault| {
            let slot = slots.iter().find(|slot| fault.slot.is_none_or(|of| of == **slot))?;
            (fault.in_encode && slots.len() >= fault.segments_min).then_some(*slot)
        };
        self.take(hit).map_or(Ok(()), |(kind, slot)| fail(kind, "encode", slot))
    }

    fn take(&self, hit: impl Fn(&Fault) -> Option<Slot>) -> Option<(FaultKind, Slot)> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, slot) =
            faults.iter().enumerate().find_map(|(at, fault)| hit(fault).map(|slot| (at, slot)))?;
        let kind = faults[at].kind;
        faults[at].times -= 1;
        if faults[at].times == 0 {
            faults.remove(at);
        }
        Some((kind, slot))
    }
}

fn fail(kind: FaultKind, site: &'static str, slot: Slot) -> Result<(), RunError> {
    let message = format!("ordered by a test for slot {}", slot.0);
    match kind {
        FaultKind::Nan => Ok(()),
        FaultKind::OutOfMemory => {
            Err(RunError::OutOfMemory { device_id: "cpu".to_owned(), message })
        }
        FaultKind::Device => Err(RunError::Device { site, message }),
        FaultKind::Panic => panic!("{message}"),
    }
}
