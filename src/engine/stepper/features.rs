//! Image features that are kept for pages that come again: used, kept, given up, and distrusted.

use super::Stepper;
use crate::engine::scheduler::{SeqId, Started};
use crate::model::Slot;

impl Stepper {
    /// Gives a sequence that starts the features of its pages that were kept.
    pub(super) fn reuse_features(&mut self, start: Started) {
        let Some(sequence) = self.sequences.get(&start.id) else { return };
        for (first_tile, page) in sequence.pages() {
            let hit = self.features.find(page.key);
            self.board.counters.page(hit);
            self.config
                .telemetry
                .metrics()
                .encoder_cache(page.tiles, if hit { page.tiles } else { 0 });
            if hit {
                let first_row = first_tile * self.runner.spec().tokens_per_tile;
                self.runner.reuse(start.slot, first_row, page.key);
                self.scheduler.has_tiles(start.id, first_tile, page.tiles);
            }
        }
    }

    /// A prompt made sense: what it became can be used again.
    pub(super) fn publish(&mut self, id: SeqId, slot: Slot) {
        self.scheduler.publish(id);
        let Some(sequence) = self.sequences.get(&id) else { return };
        let per_tile = self.runner.spec().tokens_per_tile;
        for (first, page) in sequence.pages() {
            let end = first + page.tiles;
            if self.features.find(page.key) || !self.scheduler.holds_tiles(id, first..end) {
                continue;
            }
            match self.runner.keep(slot, first * per_tile..end * per_tile, page.key) {
                Ok(()) => self.features.insert(page.key, page.tiles * per_tile),
                Err(error) => tracing::debug!(%error, "image features are not kept"),
            }
        }
        self.shrink_features(0);
    }

    /// Gives up kept features until there is room for those of `tiles` more: together with those in slots
    /// they are no more than the KV cache has tokens, for which memory was planned.
    pub(super) fn shrink_features(&mut self, tiles: usize) {
        let spec = self.runner.spec();
        let in_slots = (self.scheduler.tiles_held() + tiles) * spec.tokens_per_tile;
        for key in self.features.shrink(spec.kv_tokens().saturating_sub(in_slots)) {
            self.runner.forget(key);
        }
    }

    /// What a spoilt sequence had is not to spoil others.
    pub(super) fn distrust(&mut self, id: SeqId) {
        self.scheduler.distrust(id);
        let Some(sequence) = self.sequences.get(&id) else { return };
        for (_, page) in sequence.pages() {
            if self.features.remove(page.key) {
                self.runner.forget(page.key);
            }
        }
    }
}
