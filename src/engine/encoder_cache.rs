//! Which pages' image features are kept when their request has ended. Pure: the features themselves are the
//! model's.

use std::collections::{BTreeMap, HashMap};

use crate::model::FeatureKey;

/// Pages by their last use.
#[derive(Debug, Default)]
pub(super) struct EncoderCache {
    pages: HashMap<FeatureKey, Kept>,
    by_use: BTreeMap<u64, FeatureKey>,
    /// Feature rows of all pages.
    rows: usize,
    /// Counts uses: the cache's clock.
    uses: u64,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    rows: usize,
    used: u64,
}

// === impl EncoderCache ===

impl EncoderCache {
    /// Whether the page's features are there. They count as used.
    pub(super) fn find(&mut self, key: FeatureKey) -> bool {
        let Some(kept) = self.pages.get_mut(&key) else { return false };
        self.by_use.remove(&kept.used);
        self.uses += 1;
        kept.used = self.uses;
        self.by_use.insert(self.uses, key);
        true
    }

    /// The features of a page are kept from now on.
    pub(super) fn insert(&mut self, key: FeatureKey, rows: usize) {
        if self.find(key) {
            return;
        }
        self.uses += 1;
        self.pages.insert(key, Kept { rows, used: self.uses });
        self.by_use.insert(self.uses, key);
        self.rows += rows;
    }

    /// Says whether the page was there.
    pub(super) fn remove(&mut self, key: FeatureKey) -> bool {
        let Some(kept) = self.pages.remove(&key) else { return false };
        self.by_use.remove(&kept.used);
        self.rows -= kept.rows;
        true
    }

    /// Gives up pages, the least recently used first, until no more than `rows_max` rows are left.
    pub(super) fn shrink(&mut self, rows_max: usize) -> Vec<FeatureKey> {
        let mut gone = Vec::new();
        while self.rows > rows_max
            && let Some((_, &key)) = self.by_use.first_key_value()
        {
            self.remove(key);
            gone.push(key);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_page_goes_first() {
        let mut cache = EncoderCache::default();
        let [a, b, c] = [1, 2, 3].map(FeatureKey);
        for key in [a, b, c] {
            cache.insert(key, 10);
        }
        assert!(cache.find(a));
        assert!(cache.shrink(30).is_empty());
        assert_eq!(cache.shrink(20), [b]);
        assert!(!cache.find(b) && cache.find(a) && cache.find(c));
        assert!(cache.remove(c) && !cache.remove(c));
        cache.insert(a, 10);
        assert_eq!(cache.rows, 10);
        assert_eq!(cache.shrink(0), [a]);
    }
}
