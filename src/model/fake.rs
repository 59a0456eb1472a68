//! A runner without weights, for tests and load tests of everything above the model.
//!
//! Its logits are a hash of the sequence so far, images included, so that a batch and a single
//! sequence must agree. It can follow a script instead, wait like a real model, and fail on demand.
//! It checks the contract of [`Runner`] at every call and panics where it is broken.

mod fault;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::device::Dtype;
use crate::model::{
    DeviceUse, ModelSpec, NonFinite, Output, Outputs, Placement, RunError, Runner, Segment, Slot,
    SlotTiles, StepBatch,
};
use crate::placement::WeightFormat;

pub use fault::{Fault, FaultKind, Faults};

/// How far a scripted token stands out of the noise in `0..1`.
const SCRIPTED_LOGIT: f32 = 100.0;

/// The answer to a prompt.
pub type Answerer = Arc<dyn Fn(&[u32]) -> Vec<u32> + Send + Sync>;

/// What the fake answers.
#[derive(Clone, Default)]
pub enum Script {
    /// Whatever the hash of the sequence says.
    #[default]
    Hash,
    /// These tokens after every prompt, then the last of them again and again. End them with a stop
    /// id to end the answer.
    Answer(Vec<u32>),
    /// The tokens that this returns for a prompt, as [`Answer`](Self::Answer).
    Of(Answerer),
}

/// A fake model to be.
#[derive(Debug, Clone)]
pub struct Options {
    pub spec: ModelSpec,
    pub script: Script,
    /// Time that each forward pass takes.
    pub step_delay: Duration,
    /// Time that each encoded tile takes.
    pub tile_delay: Duration,
}

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
    /// Most tiles of one call of `encode`.
    pub tiles_max: AtomicUsize,
    /// Segments of all calls of `locate_non_finite`.
    pub located: AtomicUsize,
}

/// A deterministic [`Runner`] without weights.
#[derive(Debug)]
pub struct Fake {
    options: Options,
    slots: Vec<Held>,
    faults: Faults,
    probe: Arc<Probe>,
}

/// What one slot holds.
#[derive(Debug, Clone, Default)]
struct Held {
    tokens: Vec<u32>,
    /// Hash of the tokens and of the feature rows that took the place of image tokens.
    hash: u64,
    /// Hash of each feature row.
    rows: Vec<u64>,
    rows_used: usize,
    /// Passes that this sequence took part in.
    steps: usize,
    /// Its last logits were no numbers.
    poisoned: bool,
    /// Once the first logits were asked for: the prompt's length and the scripted answer.
    answer: Option<(usize, Vec<u32>)>,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            spec: ModelSpec {
                name: "fake".to_owned(),
                revision: "fake".to_owned(),
                vocab_size: 256,
                tokens_per_tile: 4,
                tile_size_px: 2,
                image_token_id: 255,
                slots: 4,
                slot_tokens: 128,
                kv_bytes_per_token: 64,
                kv_dtype: Dtype::F32,
                placements: vec![placement()],
                devices: vec![device()],
                ..ModelSpec::default()
            },
            script: Script::Hash,
            step_delay: Duration::ZERO,
            tile_delay: Duration::ZERO,
        }
    }
}

fn placement() -> Placement {
    Placement {
        module: "fake".to_owned(),
        device_id: "cpu".to_owned(),
        requested_dtype: Dtype::F32,
        weights: WeightFormat::Dense(Dtype::F32),
        compute_dtype: Dtype::F32,
        residual_dtype: Dtype::F32,
        dtype_reason: String::new(),
        weight_bytes: 0,
        tensors: 0,
    }
}

fn device() -> DeviceUse {
    DeviceUse {
        id: "cpu".to_owned(),
        name: "fake".to_owned(),
        compute_capability: String::new(),
        total_bytes: 0,
        free_bytes: 0,
        weight_bytes: 0,
        kv_cache_bytes: 0,
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash => f.write_str("Hash"),
            Self::Answer(tokens) => f.debug_tuple("Answer").field(tokens).finish(),
            Self::Of(_) => f.write_str("Of(..)"),
        }
    }
}

// === impl Fake ===

impl Fake {
    pub fn new(options: Options) -> Self {
        let slots = vec![Held::default(); options.spec.slots];
        Self { options, slots, faults: Faults::default(), probe: Arc::default() }
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
        let held = self.held(segment.slot);
        let slot = segment.slot.0;
        assert!(!segment.tokens.is_empty(), "slot {slot}: a segment without tokens");
        assert_eq!(segment.start, held.tokens.len(), "slot {slot}: start is not the next position");
        assert_eq!(
            segment.image_tokens_before, held.rows_used,
            "slot {slot}: image_tokens_before is not the next feature row"
        );
        let end = segment.start + segment.tokens.len();
        assert!(end <= spec.slot_tokens, "slot {slot}: {end} tokens of {}", spec.slot_tokens);
        let images = segment.tokens.iter().filter(|&&token| token == spec.image_token_id).count();
        let rows = held.rows.len();
        assert!(
            held.rows_used + images <= rows,
            "slot {slot}: image tokens without feature rows, which are {rows}"
        );
        for &token in segment.tokens {
            assert!((token as usize) < spec.vocab_size, "slot {slot}: no token {token}");
        }
    }

    /// Panics where `segment` is not what its slot took in last, with logits that were no numbers.
    fn check_given(&mut self, segment: &Segment<'_>) {
        let image_token_id = self.options.spec.image_token_id;
        let slot = segment.slot.0;
        let held = self.held(segment.slot);
        assert!(held.poisoned, "slot {slot}: its logits were well");
        assert_eq!(held.tokens[segment.start..], *segment.tokens, "slot {slot}: other tokens");
        let images = held.tokens[..segment.start].iter().filter(|&&token| token == image_token_id);
        assert_eq!(segment.image_tokens_before, images.count(), "slot {slot}: other feature rows");
        assert!(segment.want.is_something(), "slot {slot}: it had no logits");
    }

    fn take_in(&mut self, segment: &Segment<'_>) {
        let image_token_id = self.options.spec.image_token_id;
        let held = self.held(segment.slot);
        for &token in segment.tokens {
            let mut value = u64::from(token);
            if token == image_token_id {
                value = held.rows[held.rows_used];
                held.rows_used += 1;
            }
            held.hash = mix(held.hash ^ mix(value));
            held.tokens.push(token);
        }
        held.steps += 1;
    }

    /// The row of logits that follows what `slot` holds.
    fn row(&mut self, slot: Slot) -> Vec<f32> {
        let vocab_size = self.options.spec.vocab_size;
        let script = self.options.script.clone();
        let held = self.held(slot);
        let mut row: Vec<f32> = (0..vocab_size as u64).map(|i| unit(mix(held.hash ^ i))).collect();
        if let Some(token) = held.scripted(&script) {
            row[token as usize] = SCRIPTED_LOGIT;
        }
        row
    }

    fn count(&self, batch: &StepBatch<'_>) {
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

impl Runner for Fake {
    fn spec(&self) -> &ModelSpec {
        &self.options.spec
    }

    fn encode(&mut self, batch: &[SlotTiles<'_>]) -> Result<(), RunError> {
        let spec = &self.options.spec;
        let tile_len = 3 * (spec.tile_size_px as usize).pow(2);
        let tokens_per_tile = spec.tokens_per_tile as u64;
        let mut slots = HashSet::new();
        for SlotTiles { slot, pixels } in batch {
            assert!(slots.insert(*slot), "slot {} stands twice in a batch", slot.0);
            assert!(pixels.tiles > 0, "slot {}: no tiles to encode", slot.0);
            let expected = pixels.tiles * tile_len;
            assert_eq!(pixels.data.len(), expected, "slot {}: pixels of tiles", slot.0);
        }
        let tiles: usize = batch.iter().map(|one| one.pixels.tiles).sum();
        self.probe.tiles_max.fetch_max(tiles, Ordering::Relaxed);
        for one in batch {
            self.faults.in_encode(one.slot)?;
        }
        pause(self.options.tile_delay * tiles as u32);
        for SlotTiles { slot, pixels } in batch {
            let held = self.held(*slot);
            for tile in pixels.data.chunks_exact(tile_len) {
                let bits = tile.iter().map(|value| u64::from(value.to_bits()));
                let hash = bits.fold(0, |hash, value| mix(hash ^ value));
                held.rows.extend((0..tokens_per_tile).map(|row| mix(hash ^ row)));
            }
        }
        self.count_held();
        Ok(())
    }

    fn step(&mut self, batch: &StepBatch<'_>) -> Result<Outputs, RunError> {
        assert!(!batch.segments.is_empty(), "a step without segments");
        let slots: HashSet<Slot> = batch.segments.iter().map(|segment| segment.slot).collect();
        assert_eq!(slots.len(), batch.segments.len(), "a slot has two segments in one step");
        for segment in &batch.segments {
            self.check(segment);
        }
        self.count(batch);
        let steps: Vec<(Slot, usize)> =
            slots.iter().map(|&slot| (slot, self.held(slot).steps)).collect();
        let tokens = batch.segments.iter().map(|segment| segment.tokens.len()).sum();
        let poisoned = self.faults.in_step(&steps, tokens)?;
        pause(self.options.step_delay);
        let mut outputs = Vec::new();
        for segment in &batch.segments {
            self.take_in(segment);
            self.held(segment.slot).poisoned = poisoned.contains(&segment.slot);
            if segment.want.is_something() {
                let mut row = self.row(segment.slot);
                if poisoned.contains(&segment.slot) {
                    row[0] = f32::NAN;
                }
                let never = self.options.spec.image_token_id;
                outputs.extend(Output::from_row(segment.want, row, never));
            }
        }
        self.count_held();
        Ok(Outputs::new(outputs))
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
        !self.tokens.is_empty() || !self.rows.is_empty()
    }

    /// The next token of the script, once the whole prompt is known.
    fn scripted(&mut self, script: &Script) -> Option<u32> {
        let tokens = &self.tokens;
        let (prompt_len, answer) = self.answer.get_or_insert_with(|| {
            let answer = match script {
                Script::Hash => Vec::new(),
                Script::Answer(answer) => answer.clone(),
                Script::Of(answer) => answer(tokens),
            };
            (tokens.len(), answer)
        });
        let done = tokens.len() - *prompt_len;
        answer.get(done).or(answer.last()).copied()
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
