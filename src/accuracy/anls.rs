//! ANLS, the usual measure of reading documents: how much of a text is right, by Levenshtein distance;
//! less than half is nothing. Case does not count, as in `DocVQA`. Of a list the items are aligned in
//! order, and what is missing or too much counts as wrong.

use crate::fields;

use super::{is_absent, items, list};

/// Below this similarity two texts have nothing in common.
const THRESHOLD: f64 = 0.5;

pub(super) fn similarity(name: &str, truth: &str, found: &str) -> f64 {
    if !fields::is_list(name) {
        return of_texts(truth, found);
    }
    let (truth, found) = (items(truth), items(found));
    let longer = truth.len().max(found.len());
    if longer == 0 {
        return 1.0;
    }
    list::align(truth.len(), found.len(), &|i, j| of_texts(truth[i], found[j])) / longer as f64
}

fn of_texts(truth: &str, found: &str) -> f64 {
    if is_absent(truth) || is_absent(found) {
        return f64::from(u8::from(is_absent(truth) && is_absent(found)));
    }
    let (truth, found) = (truth.trim().to_lowercase(), found.trim().to_lowercase());
    let similarity = strsim::normalized_levenshtein(&truth, &found);
    if similarity < THRESHOLD { 0.0 } else { similarity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, truth: &str, found: &str, wanted: f64) {
        let found_similarity = similarity(name, truth, found);
        assert!(
            (found_similarity - wanted).abs() < 1e-9,
            "{truth:?} {found:?}: {found_similarity}"
        );
    }

    #[test]
    fn letters_count_by_share() {
        check("SUPPLIER_NAME", "Burnie", "burnie", 1.0);
        check("SUPPLIER_NAME", "Burnie", "Burnle", 1.0 - 1.0 / 6.0);
        check("SUPPLIER_NAME", "Burnie", "Hobart", 0.0);
        check("SUPPLIER_NAME", "NOT_FOUND", "NOT_FOUN", 0.0);
    }

    #[test]
    fn a_lost_row_costs_its_share_only() {
        check("LINE_ITEM_DESCRIPTIONS", "tea | milk | bread", "tea | bread", 2.0 / 3.0);
        check("LINE_ITEM_DESCRIPTIONS", "NOT_FOUND", "NOT_FOUND", 1.0);
        check("LINE_ITEM_DESCRIPTIONS", "NOT_FOUND", "tea", 0.0);
    }
}
