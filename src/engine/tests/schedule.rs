//! The scheduler by itself: thousands of random schedules, each replayed from its seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::engine::Priority;
use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::prefix::{self, Cut, Prefix};
use crate::engine::scheduler::{Bounds, Demand, Planned, Scheduler, SeqId, Started};
use crate::model::Slot;

const SCHEDULES: u64 = 10_000;
const STEPS: usize = 120;
const PROMPT_TOKENS_MAX: usize = 50;
const ANSWER_TOKENS_MAX: usize = 40;
const TILES_MAX: usize = 6;
pub(super) const BLOCK_TOKENS: usize = 8;

/// A request as the simulation sees it.
#[derive(Debug)]
struct Seen {
    demand: Demand,
    slot: Option<Slot>,
    tiles: Vec<bool>,
    held: usize,
    /// Tokens that it answered.
    answered: usize,
    /// Of these, what the last choice brought.
    fresh: usize,
    /// Tokens that it will answer.
    answer: usize,
    paused: bool,
}

struct World {
    rng: ChaCha8Rng,
    bounds: Bounds,
    scheduler: Scheduler,
    open: BTreeMap<SeqId, Seen>,
    owned: BTreeSet<Slot>,
    next_id: u64,
    last_started: BTreeMap<bool, SeqId>,
    ended: usize,
    preempted: usize,
    cached_tokens: usize,
    /// Steps under way, the oldest first.
    flying: VecDeque<Vec<Planned>>,
    dropped: usize,
    forced: usize,
    /// Sequences of a step that was begun ahead.
    begun: BTreeSet<SeqId>,
    followed: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let longest = (PROMPT_TOKENS_MAX + ANSWER_TOKENS_MAX).div_ceil(BLOCK_TOKENS);
        let bounds = Bounds {
            slots: rng.random_range(1..12),
            kv_blocks: longest + rng.random_range(0..3 * longest),
            block_tokens: BLOCK_TOKENS,
            tiles: TILES_MAX * rng.random_range(1..8),
            prefill_chunk_tokens: rng.random_range(1..20),
            row_tile: rng.random_range(1..9),
            vision_chunk_tiles: rng.random_range(1..5),
            steps_in_flight: rng.random_range(1..4),
        };
        Self {
            rng,
            bounds,
            scheduler: Scheduler::new(bounds),
            open: BTreeMap::new(),
            owned: BTreeSet::new(),
            next_id: 0,
            last_started: BTreeMap::new(),
            ended: 0,
            preempted: 0,
            cached_tokens: 0,
            flying: VecDeque::new(),
            dropped: 0,
            forced: 0,
            begun: BTreeSet::new(),
            followed: 0,
        }
    }

    fn arrive(&mut self) {
        let id = SeqId(self.next_id);
        self.next_id += 1;
        let batch = self.rng.random_bool(0.4);
        let prompt_tokens = self.rng.random_range(1..=PROMPT_TOKENS_MAX);
        let tiles = self.rng.random_range(0..=TILES_MAX);
        let demand = Demand {
            id,
            priority: if batch { Priority::Batch } else { Priority::Interactive },
            prompt_tokens,
            tiles,
            prefix: self.prefix(prompt_tokens, tiles),
        };
        let seen = Seen {
            slot: None,
            tiles: vec![false; tiles],
            held: 0,
            answered: 0,
            fresh: 1,
            answer: self.rng.random_range(1..=ANSWER_TOKENS_MAX),
            paused: false,
            demand: demand.clone(),
        };
        self.scheduler.enqueue(demand);
        self.open.insert(id, seen);
    }

    /// One of three beginnings, then the request's own; some requests have none that may be shared.
    fn prefix(&mut self, prompt_tokens: usize, tiles: usize) -> Prefix {
        if self.rng.random_bool(0.2) {
            return Prefix::default();
        }
        let kind = self.rng.random_range(0..3u32);
        let common = self.rng.random_range(0..=prompt_tokens);
        let own = 1000 + self.next_id as u32;
        let tokens: Vec<u32> =
            (0..prompt_tokens).map(|at| if at < common { kind } else { own }).collect();
        let cut = Cut { block_tokens: BLOCK_TOKENS, image_token_id: u32::MAX, tokens_per_tile: 1 };
        let blocks = prefix::blocks(&tokens, &[], cut);
        // Pages stand at the beginning: their tiles are spread over the first blocks.
        blocks
            .iter()
            .enumerate()
            .map(|(index, block)| prefix::PrefixBlock { tiles: (index + 1).min(tiles), ..*block })
            .collect()
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
                // Some fail, and what they had is not to be trusted.
                if self.rng.random_bool(0.3) {
                    self.scheduler.distrust(id);
                }
                self.end(id);
            } else if self.rng.random_bool(0.1) {
                let paused = self.rng.random_bool(0.5);
                let seen = self.open.get_mut(&id).unwrap();
                // Only an answer can be paused; otherwise the scheduler takes no notice.
                seen.paused = paused && seen.answered > 0;
                self.scheduler.set_paused(id, paused);
            }
        }
    }

    fn start(&mut self) {
        for Started { id, slot, cached_tokens } in self.scheduler.start_waiting() {
            check_invariant!(InvariantId::SlotOwnedOnce, self.owned.insert(slot), "{slot:?}");
            let seen = self.open.get_mut(&id).expect("started while open");
            assert_eq!(seen.slot.replace(slot), None, "{id:?} starts once");
            assert!(cached_tokens < seen.demand.prompt_tokens, "the last token is taken in");
            self.cached_tokens += cached_tokens;
            seen.held = cached_tokens;
            // Some pages are known from another request.
            if seen.demand.tiles > 0 && self.rng.random_bool(0.2) {
                let first = self.rng.random_range(0..seen.demand.tiles);
                self.scheduler.has_tiles(id, first, 1);
                seen.tiles[first] = true;
            }
            let batch = seen.demand.priority == Priority::Batch;
            let last = self.last_started.insert(batch, id);
            check_invariant!(
                InvariantId::FirstComeFirstServed,
                last.is_none_or(|last| last < id),
                "{id:?} after {last:?}"
            );
        }
        self.see_preempted();
        self.check_blocks();
        let idle = self.owned.is_empty();
        assert!(!idle || self.open.is_empty(), "a request could start");
    }

    fn see_preempted(&mut self) {
        for id in self.scheduler.take_preempted() {
            let seen = self.open.get_mut(&id).expect("preempted while open");
            seen.held = 0;
            self.preempted += 1;
        }
        // Those that have blocks again may have found some of their own.
        for (id, seen) in &mut self.open {
            seen.held = self.scheduler.held(*id);
        }
    }

    fn encode(&mut self) {
        let plan = self.scheduler.plan_vision();
        let tiles: usize = plan.iter().map(|encode| encode.tiles).sum();
        let budget = self.bounds.vision_chunk_tiles;
        check_invariant!(InvariantId::VisionBudget, tiles <= budget, "{tiles} of {budget}");
        for encode in &plan {
            let seen = self.open.get_mut(&encode.id).expect("encoded while open");
            assert_eq!(Some(encode.slot), seen.slot);
            for tile in encode.first..encode.first + encode.tiles {
                assert!(!std::mem::replace(&mut seen.tiles[tile], true), "tile {tile} again");
            }
            self.scheduler.has_tiles(encode.id, encode.first, encode.tiles);
        }
    }

    /// Launches a step, and ends the oldest where no more may be under way, or none was launched.
    fn step(&mut self) {
        let answering = self.open.values().filter(|seen| seen.decodes()).count();
        let mut plan = self.plan_begun();
        let was_begun = !plan.is_empty();
        if !was_begun {
            plan = self.scheduler.plan_step();
        }
        self.see_preempted();
        self.check_blocks();
        self.check_budget(&plan);
        if !was_begun {
            self.check_decodes(&plan, answering);
        }
        self.check_progress(&plan);
        let launched = !plan.is_empty();
        for planned in &plan {
            let blocks = self.scheduler.blocks(planned.id).len();
            let flying = self.flying_tokens(planned.id);
            let seen = self.open.get(&planned.id).expect("stepped while open");
            seen.check(planned, blocks, flying);
            self.scheduler.launched(planned);
        }
        if launched {
            self.begin_ahead(&plan);
            self.flying.push_back(plan);
        }
        if !launched || self.flying.len() == self.bounds.steps_in_flight {
            self.land();
        }
    }

    /// What goes on of a step that was begun ahead: all of its sequences that decode, and nobody else.
    fn plan_begun(&mut self) -> Vec<Planned> {
        let begun = std::mem::take(&mut self.begun);
        let plan = self.scheduler.plan_begun(&begun);
        let planned: BTreeSet<SeqId> = plan.iter().map(|planned| planned.id).collect();
        assert!(planned.is_subset(&begun));
        for id in begun.difference(&planned) {
            let has_blocks = !self.scheduler.blocks(*id).is_empty();
            let goes_on = |seen: &Seen| seen.decodes() && seen.fresh == 1 && has_blocks;
            assert!(!self.open.get(id).is_some_and(goes_on), "{id:?} was left out");
        }
        self.followed += usize::from(!plan.is_empty());
        plan
    }

    /// Plans the step behind that of `plan`, the only one under way, as if all choices were free.
    fn begin_ahead(&mut self, plan: &[Planned]) {
        if self.bounds.steps_in_flight > 1 || self.rng.random_bool(0.3) {
            return;
        }
        let open = &self.open;
        let goes_on = |id| open.get(&id).is_some_and(|seen| seen.answered + 1 < seen.answer);
        let ahead = self.scheduler.plan_ahead(plan, goes_on);
        self.check_blocks();
        for next in &ahead {
            let seen = &self.open[&next.id];
            assert_eq!((next.start, next.tokens), (seen.held + 1, 1), "{seen:?}");
            let room = self.scheduler.blocks(next.id).len() * BLOCK_TOKENS;
            check_invariant!(InvariantId::BlocksForTokens, next.start < room, "{next:?}");
        }
        let planned: BTreeSet<SeqId> = plan.iter().map(|planned| planned.id).collect();
        let waits = |seen: &Seen| seen.slot.is_some() && !seen.paused;
        let is_held_up = |seen: &Seen| waits(seen) && !planned.contains(&seen.demand.id);
        assert!(ahead.is_empty() || !self.open.values().any(is_held_up), "somebody waits");
        self.begun = ahead.iter().map(|next| next.id).collect();
    }

    /// The oldest step under way ends; now and then without success, and then what builds upon it has none
    /// either.
    fn land(&mut self) {
        let Some(plan) = self.flying.pop_front() else { return };
        if self.rng.random_bool(0.03) {
            let failed: BTreeSet<SeqId> = plan.iter().map(|planned| planned.id).collect();
            let mut dropped = plan;
            for later in &mut self.flying {
                dropped.extend(later.extract_if(.., |planned| failed.contains(&planned.id)));
            }
            for planned in &dropped {
                self.scheduler.dropped(planned);
            }
            self.dropped += dropped.len();
            return;
        }
        let mut whole = Vec::new();
        for planned in &plan {
            self.scheduler.stepped(planned);
            // It may have ended meanwhile.
            let Some(seen) = self.open.get_mut(&planned.id) else { continue };
            seen.held += planned.tokens;
            if planned.chooses {
                // Some choices force the tokens after them.
                let brought =
                    if self.rng.random_bool(0.2) { self.rng.random_range(2..12) } else { 1 };
                seen.fresh = brought.min(seen.answer - seen.answered);
                seen.answered += seen.fresh;
                self.forced += seen.fresh - 1;
                self.scheduler.expect(planned.id, seen.fresh);
            }
            if planned.prefill && planned.chooses {
                self.scheduler.publish(planned.id);
            }
            if seen.answered == seen.answer {
                whole.push(planned.id);
            }
        }
        let held: usize = self.open.values().map(|seen| seen.held).sum();
        assert_eq!(self.scheduler.tokens_held(), held);
        for id in whole {
            self.end(id);
        }
    }

    fn flying_tokens(&self, id: SeqId) -> usize {
        let planned = self.flying.iter().flatten().filter(|planned| planned.id == id);
        planned.map(|planned| planned.tokens).sum()
    }

    /// Each block has as many owners as there are sequences that list it, only one where it is written.
    fn check_blocks(&self) {
        let mut owners: BTreeMap<u32, u32> = BTreeMap::new();
        for id in self.open.keys() {
            for block in self.scheduler.blocks(*id) {
                *owners.entry(*block).or_default() += 1;
            }
        }
        let pool = self.scheduler.pool();
        for (block, owners) in &owners {
            check_invariant!(
                InvariantId::BlockOwnedOnce,
                pool.owners(*block) == *owners && (*owners == 1 || !pool.is_writable(*block)),
                "KV block {block} of {owners}"
            );
        }
        // It counts everything: now and then is enough to find what stays wrong.
        if self.next_id.is_multiple_of(8) {
            pool.check_deeply();
        }
        assert_eq!(self.scheduler.kv_blocks(), (owners.len(), self.bounds.kv_blocks));
    }

    fn check_budget(&self, plan: &[Planned]) {
        let tokens: usize = plan.iter().filter(|p| p.prefill).map(|p| p.tokens).sum();
        let budget = self.bounds.prefill_chunk_tokens;
        check_invariant!(InvariantId::PrefillBudget, tokens <= budget, "{tokens} of {budget}");
        // Whole tiles of rows, where little of a chunk is lost for them.
        let rows: usize = plan.iter().filter(|p| !p.prefill).map(|p| p.tokens).sum();
        let beyond = (budget + rows) % self.bounds.row_tile;
        assert!(tokens <= budget - beyond.min(budget) || beyond * 4 > budget, "{plan:?}");
        let ids: BTreeSet<SeqId> = plan.iter().map(|planned| planned.id).collect();
        assert_eq!(ids.len(), plan.len(), "a sequence is planned twice");
    }

    /// All that answer are in this step; where several are under way, their share of it, unless KV blocks are
    /// waited for. `before` answered, of which some may have been preempted.
    fn check_decodes(&self, plan: &[Planned], before: usize) {
        let is_planned = |seen: &Seen| plan.iter().any(|p| p.id == seen.demand.id && !p.prefill);
        let is_ready = |seen: &&Seen| seen.decodes() && self.flying_tokens(seen.demand.id) == 0;
        for seen in self.open.values() {
            let id = InvariantId::DecodeEveryStep;
            check_invariant!(id, !is_planned(seen) || is_ready(&seen), "{seen:?}");
        }
        let answering = self.open.values().filter(|seen| seen.decodes()).count();
        let ready = self.open.values().filter(is_ready).count();
        let planned = self.open.values().filter(|seen| is_planned(seen)).count();
        let share_of = |answering: usize| answering.div_ceil(self.bounds.steps_in_flight);
        let least = ready.min(share_of(answering));
        check_invariant!(
            InvariantId::DecodeEveryStep,
            planned <= share_of(before) && (planned >= least || !self.flying.is_empty()),
            "{planned}, {least} at least"
        );
    }

    /// Where some sequence could go on, one does, or is under way.
    fn check_progress(&self, plan: &[Planned]) {
        let ready = self.open.values().any(|seen| {
            let has_blocks = !self.scheduler.blocks(seen.demand.id).is_empty();
            has_blocks && !seen.paused && seen.tiles.iter().all(|encoded| *encoded)
        });
        let moves = !plan.is_empty() || !self.flying.is_empty();
        check_invariant!(InvariantId::NoStarvation, !ready || moves, "{:?}", self.open);
    }

    /// Without arrivals and with patient readers, all requests come to their end, each within the steps that
    /// it takes alone: the most senior one is never held up.
    fn run_out(&mut self) {
        for seen in self.open.values_mut() {
            seen.paused = false;
            self.scheduler.set_paused(seen.demand.id, false);
        }
        let alone = TILES_MAX + PROMPT_TOKENS_MAX + 2 * ANSWER_TOKENS_MAX;
        // Steps that end without success, and waiting for one that is under way.
        let most = 2 * self.bounds.steps_in_flight * self.open.len() * alone;
        for _ in 0..most {
            self.start();
            self.encode();
            self.step();
        }
        check_invariant!(
            InvariantId::NoStarvation,
            self.open.is_empty() && self.scheduler.is_empty(),
            "{:?}",
            self.open
        );
        while !self.flying.is_empty() {
            self.land();
        }
        assert!(self.owned.is_empty());
        self.scheduler.pool().check_deeply();
        assert_eq!(self.scheduler.kv_blocks().0, 0, "a KV block was lost");
    }
}

impl Seen {
    /// All but the tokens that its last choice brought are held.
    fn decodes(&self) -> bool {
        let tokens = self.demand.prompt_tokens + self.answered;
        self.answered > 0 && self.held + self.fresh == tokens && !self.paused
    }

    /// `flying` of its tokens are under way.
    fn check(&self, planned: &Planned, blocks: usize, flying: usize) {
        let start = self.held + flying;
        let gapless = self.slot == Some(planned.slot) && planned.start == start;
        check_invariant!(InvariantId::PositionsGapless, gapless, "{planned:?} for {self:?}");
        // What the first tokens stand for is in the KV cache, or the pages are encoded.
        let blocks_held = start / BLOCK_TOKENS;
        let known = blocks_held.checked_sub(1).and_then(|last| self.demand.prefix.get(last));
        let needed = known.map_or(0, |block| block.tiles);
        assert!(
            start > 0 || self.tiles[needed..].iter().all(|encoded| *encoded),
            "pages come before their tokens"
        );
        assert!(!self.paused, "{self:?}");
        let end = planned.start + planned.tokens;
        let room = blocks * BLOCK_TOKENS;
        check_invariant!(InvariantId::BlocksForTokens, end <= room, "{planned:?} in {room}");
        let tokens = self.demand.prompt_tokens + self.answered;
        assert!(end <= tokens);
        assert_eq!(planned.chooses, end == tokens, "a token is chosen once");
        assert_eq!(planned.prefill, !self.decodes());
    }
}

#[test]
fn random_schedules_keep_the_invariants() {
    let (mut preempted, mut cached, mut dropped, mut forced, mut followed) = (0, 0, 0, 0, 0);
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
        preempted += world.preempted;
        cached += world.cached_tokens;
        dropped += world.dropped;
        forced += world.forced;
        followed += world.followed;
    }
    assert!(preempted as u64 > SCHEDULES, "{preempted} preemptions are too few to say anything");
    assert!(dropped as u64 > SCHEDULES, "{dropped} failures are too few to say anything");
    assert!(forced as u64 > SCHEDULES, "{forced} forced tokens are too few to say anything");
    assert!(
        followed as u64 > SCHEDULES,
        "{followed} steps begun ahead are too few to say anything"
    );
    assert!(cached as u64 > SCHEDULES, "{cached} cached tokens are too few to say anything");
}
