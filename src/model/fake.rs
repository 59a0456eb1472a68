//! A runner without weights, for tests and load tests of everything above the model.
//!
//! Its logits are a hash of the sequence so far, images included, so that a batch and a single
//! sequence must agree. It can follow a script instead, wait like a real model, and fail on demand.
//! It checks the contract of [`Runner`] at every call and panics where it is broken. A sequence is what its
//! KV blocks hold: whoever is given wrong blocks gets another answer, or a panic.

mod fault;
mod options;
mod pace;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::device::{Interval, Mark};
use crate::model::times::Lap;
use crate::model::{
    Choice, FeatureKey, ModelSpec, NonFinite, Output, Outputs, PageShares, PassTimes, Pending,
    PixelData, RunError, Runner, Segment, Slot, SlotTiles, StepBatch, Want,
};

pub use fault::{Fault, FaultKind, Faults};
pub use options::{Answerer, Circles, Options, Script};
pub use pace::Pace;

/// How far a scripted token stands out of the noise in `0..1`.
const SCRIPTED_LOGIT: f32 = 100.0;

/// Counts that a test can read while the engine owns the fake.
#[derive(Debug, Default)]
pub struct Probe {
    /// Slots that hold tokens or feature rows now.
    pub slots_held: AtomicUsize,
    /// Forward passes, failed ones included.
    pub steps: AtomicUsize,
    /// Most segments of one pass.
    pub segments_max: AtomicUsize,
    /// Most tokens of one pass.
    pub tokens_max: AtomicUsize,
    /// Tiles of all calls of `encode`.
    pub tiles: AtomicUsize,
    /// Most tiles of one call of `encode`.
    pub tiles_max: AtomicUsize,
    /// Segments of all calls of `locate_non_finite`.
    pub located: AtomicUsize,
    /// Passes that were begun ahead.
    pub begun_ahead: AtomicUsize,
    /// Those of them that were asked for next, with all their segments or some.
    pub followed: AtomicUsize,
}

/// A deterministic [`Runner`] without weights.
#[derive(Debug)]
pub struct Fake {
    options: Options,
    slots: Vec<Held>,
    /// Of each block, as far as it was ever written.
    kv: Vec<Vec<Entry>>,
    faults: Faults,
    /// Feature rows by key.
    kept: HashMap<FeatureKey, Vec<u64>>,
    /// Slots and positions of a pass that was begun ahead.
    ahead: Vec<(Slot, usize)>,
    probe: Arc<Probe>,
}

/// What one slot holds.
#[derive(Debug, Clone, Default)]
struct Held {
    /// Hash of each feature row, by its number.
    rows: BTreeMap<usize, u64>,
    /// Passes that this sequence took part in.
    steps: usize,
    /// Its last logits were no numbers.
    poisoned: bool,
    /// Position from which on tokens are lacking, because their pass failed.
    lost: Option<usize>,
    /// Tokens of the last pass.
    last: Vec<u32>,
    /// Once the first logits were asked for: the prompt's length and the scripted answer.
    answer: Option<(usize, Vec<u32>)>,
}

/// Keys and values of one token, as far as they matter here.
#[derive(Debug, Clone, Copy)]
struct Entry {
    token: u32,
    position: usize,
    /// Image tokens up to this one.
    images: usize,
    /// Hash of all tokens up to this one, and of the feature rows that took the place of image tokens.
    hash: u64,
}

// === impl Fake ===

impl Fake {
    /// A specification without KV blocks gets as many as all slots could need.
    pub fn new(mut options: Options) -> Self {
        let spec = &mut options.spec;
        if spec.kv_blocks == 0 {
            spec.kv_blocks = spec.slots * spec.blocks_for(spec.slot_tokens);
        }
        let kv = vec![Vec::new(); spec.kv_blocks];
        let slots = vec![Held::default(); options.spec.slots];
        let (faults, kept, probe) = (Faults::default(), HashMap::new(), Arc::default());
        Self { options, slots, kv, faults, kept, ahead: Vec::new(), probe }
    }

    /// Lets a test order failures, also later, when the engine owns the fake.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    pub fn probe(&self) -> Arc<Probe> {
        Arc::clone(&self.probe)
    }

    fn held(&mut self, slot: Slot) -> &mut Held {
        let slots = self.slots.len();
        assert!((slot.0 as usize) < slots, "slot {} of a model with {slots}", slot.0);
        &mut self.slots[slot.0 as usize]
    }

    /// Panics where `segment` breaks the contract; changes nothing.
    fn check(&mut self, segment: &Segment<'_>) {
        let spec = self.options.spec.clone();
        let slot = segment.slot.0;
        assert!(!segment.tokens.is_empty(), "slot {slot}: a segment without tokens");
        let before = self.before(segment).map_or(0, |entry| entry.images);
        assert_eq!(
            segment.image_tokens_before, before,
            "slot {slot}: image_tokens_before is not the next feature row"
        );
        let end = segment.start + segment.tokens.len();
        assert!(end <= spec.slot_tokens, "slot {slot}: {end} tokens of {}", spec.slot_tokens);
        let room = segment.blocks.len() * spec.block_tokens;
        assert!(end <= room, "slot {slot}: {end} tokens in KV blocks for {room}");
        let held = self.held(segment.slot);
        let images = segment.tokens.iter().filter(|&&token| token == spec.image_token_id).count();
        for row in before..before + images {
            assert!(held.rows.contains_key(&row), "slot {slot}: no feature row {row}");
        }
        for &token in segment.tokens {
            assert!((token as usize) < spec.vocab_size, "slot {slot}: no token {token}");
        }
    }

    /// Panics where `segment` is not what its slot took in last, with logits that were no numbers.
    fn check_given(&mut self, segment: &Segment<'_>) {
        let slot = segment.slot.0;
        let images = self.before(segment).map_or(0, |entry| entry.images);
        assert_eq!(segment.image_tokens_before, images, "slot {slot}: other feature rows");
        let held = self.held(segment.slot);
        assert!(held.poisoned, "slot {slot}: its logits were well");
        assert_eq!(held.last, *segment.tokens, "slot {slot}: other tokens");
        assert!(segment.want.is_something(), "slot {slot}: it had no logits");
    }

    /// What the KV cache has of the token at `position`, which it must have.
    fn entry(&self, blocks: &[u32], position: usize) -> Entry {
        let block_tokens = self.options.spec.block_tokens;
        let block = blocks[position / block_tokens] as usize;
        let entry = self.kv[block].get(position % block_tokens);
        let entry = entry.unwrap_or_else(|| panic!("KV block {block} has no token at {position}"));
        assert_eq!(entry.position, position, "KV block {block} has a token of another place");
        *entry
    }

    /// The token before `segment`; none at the start of a sequence.
    fn before(&self, segment: &Segment<'_>) -> Option<Entry> {
        Some(self.entry(segment.blocks, segment.start.checked_sub(1)?))
    }

    fn take_in(&mut self, segment: &Segment<'_>) {
        let image_token_id = self.options.spec.image_token_id;
        let block_tokens = self.options.spec.block_tokens;
        let (mut hash, mut images) =
            self.before(segment).map_or((0, 0), |entry| (entry.hash, entry.images));
        for (position, &token) in (segment.start..).zip(segment.tokens) {
            let mut value = u64::from(token);
            if token == image_token_id {
                value = self.held(segment.slot).rows[&images];
                images += 1;
            }
            hash = mix(hash ^ mix(value));
            let block = &mut self.kv[segment.blocks[position / block_tokens] as usize];
            let at = position % block_tokens;
            assert!(at <= block.len(), "a gap in a KV block before position {position}");
            // What a block had behind this belonged to whoever had it before.
            block.truncate(at);
            block.push(Entry { token, position, images, hash });
        }
        let held = self.held(segment.slot);
        held.last = segment.tokens.to_vec();
        held.steps += 1;
    }

    /// The row of logits that follows `segment`, which was taken in.
    fn row(&mut self, segment: &Segment<'_>) -> Vec<f32> {
        let vocab_size = self.options.spec.vocab_size;
        let end = segment.start + segment.tokens.len();
        let (hash, scale) = match self.options.script {
            Script::Circles(Circles { seed, memory, sureness }) => {
                let seen = end.saturating_sub(memory)..end;
                let token = |position| u64::from(self.entry(segment.blocks, position).token);
                (seen.map(token).fold(seed, |hash, token| mix(hash ^ mix(token))), sureness)
            }
            _ => (self.entry(segment.blocks, end - 1).hash, 1.0),
        };
        let mut row: Vec<f32> =
            (0..vocab_size as u64).map(|i| scale * unit(mix(hash ^ i))).collect();
        if let Some(token) = self.scripted(segment) {
            row[token as usize] = SCRIPTED_LOGIT;
        }
        row
    }

    /// Where a token looks.
    fn page_shares(&self, segment: &Segment<'_>) -> PageShares {
        let Some(looks_at) = self.options.looks_at else { return PageShares::new() };
        let share = |page| if page == looks_at { 0.8 } else { 0.1 };
        (0..segment.pages.len()).map(share).collect()
    }

    /// The token of the script that follows `segment`, which was taken in.
    fn scripted(&mut self, segment: &Segment<'_>) -> Option<u32> {
        let end = segment.start + segment.tokens.len();
        if self.held(segment.slot).answer.is_none() {
            let script = self.options.script.clone();
            let tokens = (0..end).map(|position| self.entry(segment.blocks, position).token);
            let answer = script.answer(&tokens.collect::<Vec<u32>>());
            self.held(segment.slot).answer = Some((end, answer));
        }
        self.held(segment.slot).scripted(end)
    }

    /// What `batch` was to take in is lacking.
    fn lose(&mut self, batch: &StepBatch<'_>) {
        for segment in &batch.segments {
            let held = self.held(segment.slot);
            held.lost = Some(held.lost.map_or(segment.start, |lost| lost.min(segment.start)));
        }
    }

    /// Fails where `batch` goes on after tokens that a pass failed to take in.
    fn check_whole(&mut self, batch: &StepBatch<'_>) -> Result<(), RunError> {
        for segment in &batch.segments {
            let held = self.held(segment.slot);
            if held.lost.is_some_and(|lost| segment.start > lost) {
                let message = format!("slot {} lacks tokens", segment.slot.0);
                self.lose(batch);
                return Err(RunError::Device { site: "fake", message });
            }
        }
        for segment in &batch.segments {
            self.held(segment.slot).lost = None;
        }
        Ok(())
    }

    /// What a pass that was begun ahead leaves in the KV cache, unless it is the one that is asked for: anything.
    fn spoil(&mut self, segment: &Segment<'_>) {
        let (block_tokens, position) = (self.options.spec.block_tokens, segment.start);
        let block = &mut self.kv[segment.blocks[position / block_tokens] as usize];
        block.truncate(position % block_tokens);
        block.push(Entry { token: u32::MAX, position, images: usize::MAX, hash: 0 });
    }

    fn count(&mut self, batch: &StepBatch<'_>) {
        let ahead = std::mem::take(&mut self.ahead);
        let is_begun = |s: &Segment<'_>| s.tokens.len() == 1 && ahead.contains(&(s.slot, s.start));
        if batch.segments.iter().all(is_begun) {
            self.probe.followed.fetch_add(1, Ordering::Relaxed);
        }
        let tokens = batch.segments.iter().map(|segment| segment.tokens.len()).sum();
        self.probe.steps.fetch_add(1, Ordering::Relaxed);
        self.probe.segments_max.fetch_max(batch.segments.len(), Ordering::Relaxed);
        self.probe.tokens_max.fetch_max(tokens, Ordering::Relaxed);
    }

    fn count_held(&self) {
        let held = self.slots.iter().filter(|held| held.holds_something()).count();
        self.probe.slots_held.store(held, Ordering::SeqCst);
    }
}

/// Of each tile's pixels.
fn hashes(pixels: PixelData<'_>, tile_len: usize) -> Vec<u64> {
    let hash = |tile: &mut dyn Iterator<Item = u64>| tile.fold(0, |hash, word| mix(hash ^ word));
    match pixels {
        PixelData::Samples(samples, _) => samples
            .chunks_exact(tile_len)
            .map(|tile| {
                let (words, rest) = tile.as_chunks();
                let words = words.iter().map(|word| u64::from_le_bytes(*word));
                hash(&mut words.chain(rest.iter().map(|byte| u64::from(*byte))))
            })
            .collect(),
        PixelData::Values(values) => values
            .chunks_exact(tile_len)
            .map(|tile| hash(&mut tile.iter().map(|value| u64::from(value.to_bits()))))
            .collect(),
    }
}

impl Runner for Fake {
    fn spec(&self) -> &ModelSpec {
        &self.options.spec
    }

    fn encode(&mut self, segments: &[SlotTiles<'_>]) -> Result<(), RunError> {
        let spec = &self.options.spec;
        let tile_len = 3 * (spec.tile_size_px as usize).pow(2);
        let tokens_per_tile = spec.tokens_per_tile;
        let mut tiles = 0;
        for SlotTiles { slot: Slot(slot), pixels, .. } in segments {
            assert!(pixels.tiles > 0, "slot {slot}: no tiles to encode");
            assert_eq!(pixels.data.len(), pixels.tiles * tile_len, "slot {slot}: pixels of tiles");
            tiles += pixels.tiles;
        }
        self.probe.tiles_max.fetch_max(tiles, Ordering::Relaxed);
        self.probe.tiles.fetch_add(tiles, Ordering::Relaxed);
        let slots: Vec<Slot> = segments.iter().map(|segment| segment.slot).collect();
        self.faults.in_encode(&slots)?;
        pause(self.options.tile_delay * tiles as u32);
        for segment in segments {
            let held = self.held(segment.slot);
            for (tile, hash) in (segment.first_tile..).zip(hashes(segment.pixels.data, tile_len)) {
                for row in 0..tokens_per_tile {
                    held.rows.insert(tile * tokens_per_tile + row, mix(hash ^ row as u64));
                }
            }
        }
        self.count_held();
        Ok(())
    }

    fn keep(&mut self, slot: Slot, rows: Range<usize>, key: FeatureKey) -> Result<(), RunError> {
        let held = self.held(slot);
        let kept = rows.map(|row| {
            *held.rows.get(&row).unwrap_or_else(|| panic!("slot {}: no feature row {row}", slot.0))
        });
        let kept = kept.collect();
        self.kept.insert(key, kept);
        Ok(())
    }

    fn reuse(&mut self, slot: Slot, first_row: usize, key: FeatureKey) {
        let kept = self.kept.get(&key).cloned();
        let rows = kept.unwrap_or_else(|| panic!("slot {}: {key:?} was not kept", slot.0));
        self.held(slot).rows.extend((first_row..).zip(rows));
        self.count_held();
    }

    fn forget(&mut self, key: FeatureKey) {
        assert!(self.kept.remove(&key).is_some(), "{key:?} was not kept");
    }

    fn step(&mut self, batch: &StepBatch<'_>) -> Result<Outputs, RunError> {
        assert!(!batch.segments.is_empty(), "a step without segments");
        let slots: HashSet<Slot> = batch.segments.iter().map(|segment| segment.slot).collect();
        assert_eq!(slots.len(), batch.segments.len(), "a slot has two segments in one step");
        self.check_whole(batch)?;
        for segment in &batch.segments {
            self.check(segment);
        }
        self.count(batch);
        let steps: Vec<(Slot, usize)> =
            slots.iter().map(|&slot| (slot, self.held(slot).steps)).collect();
        let tokens = batch.segments.iter().map(|segment| segment.tokens.len()).sum();
        let poisoned = self.faults.in_step(&steps, tokens).inspect_err(|_| self.lose(batch))?;
        let prompt_tokens =
            batch.segments.iter().map(|segment| segment.tokens.len()).filter(|n| *n > 1);
        pause(
            self.options.step_delay
                + self.options.token_delay * prompt_tokens.sum::<usize>() as u32,
        );
        let (mut outputs, mut page_shares) = (Vec::new(), Vec::new());
        for segment in &batch.segments {
            self.take_in(segment);
            self.held(segment.slot).poisoned = poisoned.contains(&segment.slot);
            if segment.want.is_something() {
                page_shares.push(self.page_shares(segment));
            }
            // A row of noise for each of a thousand streams would be a load of its own.
            if segment.want == Want::Greedy
                && poisoned.is_empty()
                && let Some(token) = self.scripted(segment)
            {
                let logit = SCRIPTED_LOGIT;
                let choice = Choice { token, logit, log_sum_exp: logit, is_finite: true };
                outputs.push(Output::Choice(choice));
            } else if segment.want.is_something() {
                let mut row = self.row(segment);
                if poisoned.contains(&segment.slot) {
                    row[0] = f32::NAN;
                }
                let never = self.options.spec.image_token_id;
                outputs.extend(Output::from_row(segment.want, row, never));
            }
        }
        self.count_held();
        Ok(Outputs::new(outputs).with_page_shares(page_shares))
    }

    /// As a device that works by itself: an error is heard of when it is waited for.
    fn submit(&mut self, batch: &StepBatch<'_>) -> Result<Pending, RunError> {
        let begin = Mark::now();
        let done = self.step(batch);
        let interval = Interval { begin, end: Mark::now() };
        let id = self.options.spec.devices.first().map(|device| device.id.clone());
        let times = PassTimes::new(vec![(Lap::Device(id.unwrap_or_default()), interval)]);
        Ok(Pending::later(move || done).timed(Some(times)))
    }

    fn begin_ahead(&mut self, batch: &StepBatch<'_>) -> bool {
        if !self.options.begins_ahead {
            return false;
        }
        assert!(!batch.segments.is_empty(), "nothing to begin ahead");
        for segment in &batch.segments {
            let slot = segment.slot.0;
            assert!(segment.tokens.is_empty(), "slot {slot}: its token is not known yet");
            let is_free = match segment.want {
                Want::Greedy => true,
                want => want.draw().is_some_and(|draw| draw.allowed.is_none()),
            };
            assert!(is_free, "slot {slot}");
            let room = segment.blocks.len() * self.options.spec.block_tokens;
            assert!(segment.start < room, "slot {slot}: position {} of {room}", segment.start);
            // The pass before may have failed, which is heard of later.
            if self.held(segment.slot).lost.is_none() {
                let before = self.before(segment).map_or(0, |entry| entry.images);
                assert_eq!(segment.image_tokens_before, before, "slot {slot}: feature rows");
                self.spoil(segment);
            }
        }
        self.ahead = batch.segments.iter().map(|segment| (segment.slot, segment.start)).collect();
        self.probe.begun_ahead.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn locate_non_finite(&mut self, batch: &StepBatch<'_>) -> Option<NonFinite> {
        assert!(!batch.segments.is_empty(), "nothing to locate");
        for segment in &batch.segments {
            self.check_given(segment);
        }
        self.probe.located.fetch_add(batch.segments.len(), Ordering::Relaxed);
        let placement = self.options.spec.placements.first()?;
        Some(NonFinite {
            module: placement.module.clone(),
            site: "logits",
            device_id: placement.device_id.clone(),
            dtype: placement.compute_dtype,
        })
    }

    fn release(&mut self, slot: Slot) {
        *self.held(slot) = Held::default();
        self.count_held();
    }
}

// === impl Held ===

impl Held {
    fn holds_something(&self) -> bool {
        self.steps > 0 || !self.rows.is_empty()
    }

    /// The token of the script that follows the first `end` tokens.
    fn scripted(&self, end: usize) -> Option<u32> {
        let (prompt_len, answer) = self.answer.as_ref()?;
        answer.get(end.checked_sub(*prompt_len)?).or(answer.last()).copied()
    }
}

fn pause(delay: Duration) {
    if !delay.is_zero() {
        std::thread::sleep(delay);
    }
}

/// The finaliser of splitmix64: each bit of `value` changes half of the result.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `hash` as a number in `0..1`.
fn unit(hash: u64) -> f32 {
    (hash >> 40) as f32 / (1u64 << 24) as f32
}
