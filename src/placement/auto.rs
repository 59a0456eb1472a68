//! Our own placement: whole on one device where it fits, else in contiguous stages on the fewest
//! devices, so that a token crosses each boundary once.
//!
//! The model is a chain: vision tower, projector and embedding; the layers; final norm and output
//! matrix. A stage is a piece of it. Both ends of a token's way are whole, because splitting them
//! would add a crossing and save little.

use std::ops::Range;

use super::cost::ModuleKind;
use super::prices::{Prices, Usage};

/// More tokens than any memory holds.
const TOKENS_MAX: u64 = 1 << 40;

/// A placement, and why it is the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// A device of each module.
    pub(super) devices: Vec<usize>,
    pub(super) reason: String,
}

/// The chain on an ordered choice of devices.
struct Chain<'a> {
    prices: &'a Prices<'a>,
    /// Modules of each link, in order.
    links: Vec<Range<usize>>,
    /// Devices that may be used, in order.
    fleet: Vec<usize>,
    /// Bytes by which each device may be overdrawn.
    overdraft: u64,
}

/// A piece of the chain, from where the one before it ends.
#[derive(Debug, Clone, Copy)]
struct Stage {
    device: usize,
    end: usize,
}

/// The first stages of a split.
#[derive(Debug, Clone, Default)]
struct Split {
    /// Sum over their devices of the filled share of memory, squared.
    squares: f64,
    stages: Vec<Stage>,
}

/// The placement that `auto` means.
pub(super) fn choose(prices: &Prices<'_>) -> Choice {
    let tokens = prices.demand.tokens();
    let allowed = |fleet: Vec<usize>| -> Vec<usize> {
        let strict: Vec<usize> =
            fleet.iter().copied().filter(|device| !prices.refuses(*device)).collect();
        // Where every device refuses, one of them says so.
        if strict.is_empty() { fleet } else { strict }
    };
    let gpus = allowed(prices.accelerators());
    let all = allowed((0..prices.devices.len()).collect());
    for fleet in [&gpus, &all] {
        let chain = Chain::new(prices, fleet.clone());
        if let Some(stages) = chain.fewest(tokens) {
            return chain.choice(stages, tokens);
        }
    }
    Chain::new(prices, all).least_overdrawn(tokens)
}

impl<'a> Chain<'a> {
    fn new(prices: &'a Prices<'a>, fleet: Vec<usize>) -> Self {
        let modules = &prices.cost.modules;
        let is_layer = |index: &usize| modules[*index].kind == ModuleKind::Layer;
        let layers: Vec<usize> = (0..modules.len()).filter(is_layer).collect();
        let first = layers.first().copied().unwrap_or(modules.len());
        let last = layers.last().map_or(first, |last| last + 1);
        let ends = [0..first, last..modules.len()];
        let [front, back] = ends.map(std::iter::once);
        let layers = layers.into_iter().map(|layer| layer..layer + 1);
        let links = front.chain(layers).chain(back).filter(|link| !link.is_empty()).collect();
        Self { prices, links, fleet, overdraft: 0 }
    }

    fn fits(&self, device: usize, usage: &Usage, tokens: u64) -> bool {
        let memory = self.prices.devices[device].memory_bytes.saturating_add(self.overdraft);
        self.prices.total(device, usage, tokens) <= memory
    }

    fn extend(&self, usage: Usage, device: usize, link: usize) -> Usage {
        self.links[link].clone().fold(usage, |usage, module| self.prices.add(usage, device, module))
    }

    /// How far a stage on `device` that begins at link `start` can go.
    fn reach(&self, device: usize, start: usize, tokens: u64) -> usize {
        let mut usage = Usage::default();
        for link in start..self.links.len() {
            usage = self.extend(usage, device, link);
            if !self.fits(device, &usage, tokens) {
                return link;
            }
        }
        self.links.len()
    }

    /// The least number of stages with room for `tokens`; none where there is none. Going as far as
    /// possible is never worse, because a shorter rest needs no more.
    fn fewest(&self, tokens: u64) -> Option<usize> {
        // By number of stages: the furthest that the devices so far can go.
        let mut furthest = vec![0; self.fleet.len() + 1];
        for (seen, device) in self.fleet.iter().enumerate() {
            for stages in (0..=seen).rev() {
                let end = self.reach(*device, furthest[stages], tokens);
                furthest[stages + 1] = furthest[stages + 1].max(end);
            }
        }
        furthest.iter().position(|end| *end == self.links.len())
    }

    /// One device: the first with room. Several: of all splits into so many stages one whose tightest
    /// device holds the most tokens, and of those the most even one.
    fn choice(&self, stages: usize, tokens: u64) -> Choice {
        if stages == 1 {
            let all = self.links.len();
            let room = |device: &&usize| self.reach(**device, 0, tokens) == all;
            let device = self.fleet.iter().find(room).copied().unwrap_or_default();
            return Choice {
                devices: vec![device; self.prices.cost.modules.len()],
                reason: "one device has room for everything".to_owned(),
            };
        }
        let fits = |tokens| self.fewest(tokens).is_some_and(|fewest| fewest <= stages);
        let most = largest(tokens, TOKENS_MAX, fits);
        Choice {
            devices: self.spread(&self.evenest(stages, most)),
            reason: format!(
                "{stages} devices are the fewest that fit; layers are split so that the tightest has \
                 the most room for KV"
            ),
        }
    }

    /// Where nothing fits: the split with the least that is missing on any device.
    fn least_overdrawn(mut self, tokens: u64) -> Choice {
        let devices = self.fleet.len();
        let everything: u64 = self
            .fleet
            .iter()
            .map(|device| {
                let usage = self.prices.usage(*device, 0..self.prices.cost.modules.len());
                self.prices.total(*device, &usage, tokens)
            })
            .max()
            .unwrap_or(0);
        let (mut low, mut high) = (0, everything);
        while low < high {
            self.overdraft = low + (high - low) / 2;
            if self.fewest(tokens).is_some() {
                high = self.overdraft;
            } else {
                low = self.overdraft + 1;
            }
        }
        self.overdraft = high;
        let stages = self.fewest(tokens).unwrap_or(devices);
        Choice {
            devices: self.spread(&self.evenest(stages, tokens)),
            reason: "nothing fits: this is the split with the least that is missing".to_owned(),
        }
    }

    /// The split into exactly `stages` with room for `tokens` whose filled shares of memory have the
    /// smallest sum of squares.
    fn evenest(&self, stages: usize, tokens: u64) -> Vec<Stage> {
        let links = self.links.len();
        // By number of stages and links covered.
        let mut best: Vec<Vec<Option<Split>>> = vec![vec![None; links + 1]; stages + 1];
        best[0][0] = Some(Split::default());
        for device in &self.fleet {
            // From the last, so that no device is used twice.
            for used in (0..stages).rev() {
                let (shorter, longer) = best.split_at_mut(used + 1);
                for (start, split) in shorter[used].iter().enumerate() {
                    let Some(split) = split else { continue };
                    self.continued(split, *device, start, tokens, &mut longer[0]);
                }
            }
        }
        best[stages][links].take().map(|split| split.stages).unwrap_or_default()
    }

    /// Adds to `best` what `split`, which ends at `start`, becomes with every stage on `device`.
    fn continued(
        &self,
        split: &Split,
        device: usize,
        start: usize,
        tokens: u64,
        best: &mut [Option<Split>],
    ) {
        let mut usage = Usage::default();
        for (end, best) in best.iter_mut().enumerate().skip(start + 1) {
            usage = self.extend(usage, device, end - 1);
            if !self.fits(device, &usage, tokens) {
                return;
            }
            let memory = self.prices.devices[device].memory_bytes.max(1);
            let filled = self.prices.total(device, &usage, tokens) as f64 / memory as f64;
            let squares = split.squares + filled * filled;
            if best.as_ref().is_none_or(|best| squares < best.squares) {
                let stages = [&split.stages[..], &[Stage { device, end }]].concat();
                *best = Some(Split { squares, stages });
            }
        }
    }

    /// The device of each module.
    fn spread(&self, stages: &[Stage]) -> Vec<usize> {
        let mut devices = vec![0; self.prices.cost.modules.len()];
        let mut start = 0;
        for stage in stages {
            for module in self.links[start..stage.end].iter().flat_map(Clone::clone) {
                devices[module] = stage.device;
            }
            start = stage.end;
        }
        devices
    }
}

/// The largest number from `low` to `high` for which `holds` is true; it is for `low`, and never again
/// once it was false.
pub(super) fn largest(low: u64, high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}
