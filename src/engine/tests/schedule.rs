//! The scheduler by itself: thousands of random schedules, each replayed from its seed.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::scheduler::{Bounds, Demand, Planned, Scheduler, SeqId};
use crate::model::Slot;

const SCHEDULES: u64 = 2000;
const STEPS: usize = 120;

/// A request as the simulation sees it.
#[derive(Debug)]
struct Seen {
    demand: Demand,
    slot: Option<Slot>,
    encoded: usize,
    held: usize,
    /// Tokens that it will answer.
    answer: usize,
    paused: bool,
    /// Steps since it moved on.
    still: usize,
}

struct World {
    rng: ChaCha8Rng,
    bounds: Bounds,
    scheduler: Scheduler,
    open: BTreeMap<SeqId, Seen>,
    owned: BTreeSet<Slot>,
    next_id: u64,
    last_started: Option<SeqId>,
    ended: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let block_tokens = 16;
        let bounds = Bounds {
            slots: rng.random_range(1..6),
            // At least the longest request.
            kv_blocks: rng.random_range(5..14),
            block_tokens,
            prefill_chunk_tokens: rng.random_range(1..20),
            vision_chunk_tiles: rng.random_range(1..5),
        };
        Self {
            rng,
            bounds,
            scheduler: Scheduler::new(bounds),
            open: BTreeMap::new(),
            owned: BTreeSet::new(),
            next_id: 0,
            last_started: None,
            ended: 0,
        }
    }

    fn arrive(&mut self) {
        let id = SeqId(self.next_id);
        self.next_id += 1;
        let prompt_tokens = self.rng.random_range(1..50);
        let answer = self.rng.random_range(1..20);
        let output_tokens_max = answer + self.rng.random_range(0..10);
        let tiles = self.rng.random_range(0..6);
        let demand = Demand { id, prompt_tokens, output_tokens_max, tiles };
        let seen =
            Seen { demand, slot: None, encoded: 0, held: 0, answer, paused: false, still: 0 };
        self.scheduler.enqueue(demand);
        self.open.insert(id, seen);
    }

    /// Ends a request: it was cancelled, late, or is whole.
    fn end(&mut self, id: SeqId) {
        let seen = self.open.remove(&id).expect("ends once");
        let slot = self.scheduler.remove(id);
        assert_eq!(slot, seen.slot, "{id:?} gives up what it owns");
        if let Some(slot) = slot {
            assert!(self.owned.remove(&slot));
        }
        assert_eq!(self.scheduler.remove(id), None, "nothing is left of {id:?}");
        self.ended += 1;
    }

    fn disturb(&mut self) {
        let ids: Vec<SeqId> = self.open.keys().copied().collect();
        for id in ids {
            if self.rng.random_bool(0.02) {
                self.end(id);
            } else if self.rng.random_bool(0.1) {
                let paused = self.rng.random_bool(0.5);
                let seen = self.open.get_mut(&id).unwrap();
                // Only an answer can be paused; otherwise the scheduler takes no notice.
                seen.paused = paused && seen.held >= seen.demand.prompt_tokens;
                self.scheduler.set_paused(id, paused);
            }
        }
    }

    fn start(&mut self) {
        for (id, slot) in self.scheduler.start_waiting() {
            check_invariant!(InvariantId::SlotOwnedOnce, self.owned.insert(slot), "{slot:?}");
            let first = self.last_started.is_none_or(|last| last < id);
            check_invariant!(InvariantId::FirstComeFirstServed, first, "{id:?}");
            self.last_started = Some(id);
            let seen = self.open.get_mut(&id).expect("started while open");
            assert_eq!(seen.slot.replace(slot), None, "{id:?} starts once");
        }
        self.check_blocks();
        let first_waiting = self.open.values().find(|seen| seen.slot.is_none());
        if let Some(Seen { demand, .. }) = first_waiting {
            let (used, all) = self.scheduler.kv_blocks();
            let needed = demand.prompt_tokens + demand.output_tokens_max - 1;
            let room = needed.div_ceil(self.bounds.block_tokens) <= all - used;
            assert!(self.owned.len() == self.bounds.slots || !room, "there is room for {demand:?}");
        }
    }

    fn encode(&mut self) {
        let plan = self.scheduler.plan_vision();
        let tiles: usize = plan.iter().map(|encode| encode.tiles).sum();
        let budget = self.bounds.vision_chunk_tiles;
        check_invariant!(InvariantId::VisionBudget, tiles <= budget, "{tiles} of {budget}");
        for encode in &plan {
            let seen = self.open.get_mut(&encode.id).expect("encoded while open");
            assert_eq!((Some(encode.slot), encode.first), (seen.slot, seen.encoded));
            seen.encoded += encode.tiles;
            seen.still = 0;
            self.scheduler.encoded(encode);
        }
    }

    fn step(&mut self) {
        let plan = self.scheduler.plan_step();
        self.check_budget(&plan);
        self.check_decodes(&plan);
        for seen in self.open.values_mut().filter(|seen| seen.slot.is_some() && !seen.paused) {
            seen.still += 1;
        }
        let mut whole = Vec::new();
        for planned in &plan {
            let seen = self.open.get_mut(&planned.id).expect("stepped while open");
            seen.check(planned);
            seen.held += planned.tokens;
            seen.still = 0;
            self.scheduler.stepped(planned);
            if seen.held + 1 - seen.demand.prompt_tokens.min(seen.held + 1) == seen.answer {
                whole.push(planned.id);
            }
        }
        for id in whole {
            self.end(id);
        }
        self.check_starvation();
        let held: usize = self.open.values().map(|seen| seen.held).sum();
        assert_eq!(self.scheduler.tokens_held(), held);
    }

    /// Each block has at most one owner, and the count of used ones is right.
    fn check_blocks(&self) {
        let ids = self.open.values().filter(|seen| seen.slot.is_some()).map(|seen| seen.demand.id);
        let owned: Vec<u32> = ids.flat_map(|id| self.scheduler.blocks(id)).copied().collect();
        let distinct: BTreeSet<u32> = owned.iter().copied().collect();
        check_invariant!(
            InvariantId::BlockOwnedOnce,
            distinct.len() == owned.len()
                && distinct.last().is_none_or(|last| (*last as usize) < self.bounds.kv_blocks),
            "{owned:?}"
        );
        assert_eq!(self.scheduler.kv_blocks(), (owned.len(), self.bounds.kv_blocks));
    }

    fn check_budget(&self, plan: &[Planned]) {
        let tokens: usize = plan.iter().filter(|p| p.prefill).map(|p| p.tokens).sum();
        let budget = self.bounds.prefill_chunk_tokens;
        check_invariant!(InvariantId::PrefillBudget, tokens <= budget, "{tokens} of {budget}");
        let ids: BTreeSet<SeqId> = plan.iter().map(|planned| planned.id).collect();
        assert_eq!(ids.len(), plan.len(), "a sequence is planned twice");
    }

    fn check_decodes(&self, plan: &[Planned]) {
        for seen in self.open.values() {
            let decodes = seen.held >= seen.demand.prompt_tokens && !seen.paused;
            let planned = plan.iter().any(|p| p.id == seen.demand.id && !p.prefill);
            check_invariant!(InvariantId::DecodeEveryStep, decodes == planned, "{seen:?}");
        }
    }

    /// Nobody waits longer than all work before it can take: chunks of prompts and of tiles.
    fn check_starvation(&self) {
        let most = self.bounds.slots * 50 + self.bounds.slots * 6;
        for seen in self.open.values() {
            check_invariant!(InvariantId::NoStarvation, seen.still <= most, "{seen:?}");
        }
    }
}

impl Seen {
    fn check(&self, planned: &Planned) {
        let gapless = self.slot == Some(planned.slot) && planned.start == self.held;
        check_invariant!(InvariantId::PositionsGapless, gapless, "{planned:?} for {self:?}");
        assert_eq!(self.encoded, self.demand.tiles, "pages come before their tokens");
        let end = planned.start + planned.tokens;
        if planned.prefill {
            assert!(end <= self.demand.prompt_tokens);
            assert_eq!(planned.wants_logits, end == self.demand.prompt_tokens);
        } else {
            assert_eq!((planned.tokens, planned.wants_logits), (1, true));
        }
    }
}

#[test]
fn random_schedules_keep_the_invariants() {
    for seed in 0..SCHEDULES {
        // A failing test shows it.
        println!("seed {seed}");
        let mut world = World::new(seed);
        let mut submitted = 0;
        for _ in 0..STEPS {
            for _ in 0..world.rng.random_range(0..3) {
                world.arrive();
                submitted += 1;
            }
            world.disturb();
            world.start();
            world.encode();
            world.step();
        }
        world.run_out();
        assert_eq!(world.ended, submitted, "every request ends once");
    }
}

impl World {
    /// Without arrivals and with patient readers, all requests come to their end.
    fn run_out(&mut self) {
        for seen in self.open.values_mut() {
            seen.paused = false;
            self.scheduler.set_paused(seen.demand.id, false);
        }
        let most = self.open.len() * 100 + 100;
        for _ in 0..most {
            self.start();
            self.encode();
            self.step();
        }
        assert!(self.open.is_empty() && self.scheduler.is_empty());
        assert!(self.owned.is_empty());
        assert_eq!(self.scheduler.kv_blocks().0, 0);
    }
}
