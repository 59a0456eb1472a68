//! The scorers of the batch notebook that many users come from, so that figures made with it can be
//! compared. Their flaws are kept, and are these:
//!
//! - `evaluator` (its `DocumentTypeEvaluator`): an amount with its digits in another order, and an empty
//!   or one-letter text, score 0.8; a list is compared as one text.
//! - `accuracy` (its `calculate_field_accuracy`): an amount within 1 % is right; a list is split at
//!   commas, also those inside amounts and descriptions; an item matches where one contains the other.
//!
//! The notebook fills in `NOT_FOUND` for what an answer leaves out. That is not done here: such a field
//! scores 0, as does a document that failed.

use std::collections::BTreeSet;

/// What the notebook gives to what is nearly right.
const FUZZY: f64 = 0.8;
const SUBSTRING: f64 = 0.9;
const AMOUNTS_APART_MAX: f64 = 0.01;

/// Fields that the notebook's definitions list as amounts.
const AMOUNTS: &[&str] = &["GST_AMOUNT", "TOTAL_AMOUNT"];

/// 1, 0.8 or 0.
pub(super) fn evaluator(truth: &str, found: &str) -> f64 {
    if let Some(score) = absent(truth, found) {
        return score;
    }
    let (truth, found) = (truth.trim().to_lowercase(), found.trim().to_lowercase());
    if truth == found {
        return 1.0;
    }
    let bare = |text: &str| text.chars().filter(|c| !" -.".contains(*c)).collect::<String>();
    let (truth, found) = (bare(&truth), bare(&found));
    let (a, b): (BTreeSet<char>, BTreeSet<char>) =
        (truth.chars().collect(), found.chars().collect());
    let all = a.union(&b).count();
    let alike = all > 0 && a.intersection(&b).count() as f64 / all as f64 >= FUZZY;
    if truth.contains(&found) || found.contains(&truth) || alike { FUZZY } else { 0.0 }
}

/// From 0 to 1.
pub(super) fn accuracy(name: &str, truth: &str, found: &str) -> f64 {
    if let Some(score) = absent(truth, found) {
        return score;
    }
    let bare = |text: &str| {
        let kept = text.chars().filter(|c| !",$%() ".contains(*c)).collect::<String>();
        kept.to_lowercase()
    };
    if bare(truth) == bare(found) {
        return 1.0;
    }
    match name {
        "DOCUMENT_TYPE" => f64::from(u8::from(canonical(truth) == canonical(found))),
        "IS_GST_INCLUDED" => 0.0,
        name if crate::fields::is_list(name) => of_lists(name, truth, found),
        name if AMOUNTS.contains(&name) => f64::from(u8::from(near(truth, found))),
        _ => of_texts(truth, found),
    }
}

fn absent(truth: &str, found: &str) -> Option<f64> {
    let [truth, found] = [truth, found].map(|text| text.trim().eq_ignore_ascii_case(super::ABSENT));
    (truth || found).then(|| f64::from(u8::from(truth && found)))
}

fn canonical(kind: &str) -> &'static str {
    let kind = kind.to_lowercase();
    match () {
        () if kind.contains("statement") || kind.contains("bank") => "bank_statement",
        () if kind.contains("receipt") => "receipt",
        () => "invoice",
    }
}

fn amount(text: &str) -> Option<f64> {
    let number: String = text.chars().filter(|c| !",$ ".contains(*c)).collect();
    number.parse().ok().filter(|number: &f64| number.is_finite())
}

fn near(truth: &str, found: &str) -> bool {
    let (Some(truth), Some(found)) = (amount(truth), amount(found)) else { return false };
    (truth - found).abs() <= AMOUNTS_APART_MAX * truth.abs()
}

/// Items that match one of the truth's that no other did, by the longer list.
fn of_lists(name: &str, truth: &str, found: &str) -> f64 {
    let split = |text: &str| -> Vec<String> {
        let items = text.split([',', ';', '|', '\n']).map(|item| item.trim().to_lowercase());
        items.filter(|item| !item.is_empty()).collect()
    };
    let (mut left, found) = (split(truth), split(found));
    let longer = left.len().max(found.len());
    let whole = |text: &str| text.trim().parse::<f64>().ok().map(f64::trunc);
    let matches = |truth: &String, item: &String| {
        if name.ends_with("QUANTITIES") {
            whole(truth).is_some_and(|truth| Some(truth) == whole(item))
        } else if name.contains("PRICES") || name.contains("AMOUNTS") {
            near(truth, item)
        } else {
            truth.contains(item.as_str()) || item.contains(truth.as_str())
        }
    };
    let mut matched = 0;
    for item in &found {
        if let Some(at) = left.iter().position(|truth| matches(truth, item)) {
            left.remove(at);
            matched += 1;
        }
    }
    if longer == 0 { 0.0 } else { f64::from(matched) / longer as f64 }
}

fn of_texts(truth: &str, found: &str) -> f64 {
    let (truth, found) = (truth.trim().to_lowercase(), found.trim().to_lowercase());
    if truth.contains(&found) || found.contains(&truth) {
        return SUBSTRING;
    }
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    let (a, b) = (words(&truth), words(&found));
    let overlap = a.intersection(&b).count() as f64 / a.len().max(b.len()).max(1) as f64;
    if overlap >= FUZZY { overlap } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
    }

    #[test]
    fn the_evaluator_and_its_flaws() {
        check(evaluator("NOT_FOUND", "NOT_FOUND"), 1.0);
        check(evaluator("NOT_FOUND", "x"), 0.0);
        check(evaluator("ACME", "Acme"), 1.0);
        check(evaluator("06 082 698 025", "06082698025"), 0.8);
        check(evaluator("ACME Pty Ltd", "ACME"), 0.8);
        // Digits in another order, and nothing at all.
        check(evaluator("$123.45", "$543.21"), 0.8);
        check(evaluator("$123.45", ""), 0.8);
        check(evaluator("ACME", "Globex"), 0.0);
    }

    #[test]
    fn accuracy_by_field() {
        check(accuracy("TOTAL_AMOUNT", "$1,234.50", "1234.50"), 1.0);
        check(accuracy("TOTAL_AMOUNT", "$100.00", "$100.90"), 1.0);
        check(accuracy("TOTAL_AMOUNT", "$100.00", "$102.00"), 0.0);
        check(accuracy("DOCUMENT_TYPE", "BANK_STATEMENT", "statement"), 1.0);
        check(accuracy("IS_GST_INCLUDED", "true", "false"), 0.0);
        check(accuracy("SUPPLIER_NAME", "ACME Pty Ltd", "ACME Pty"), 0.9);
        check(accuracy("BUSINESS_ADDRESS", "1 a b c d", "2 a b c d"), 0.8);
        check(accuracy("SUPPLIER_NAME", "ACME", "Globex"), 0.0);
    }

    #[test]
    fn accuracy_of_lists() {
        check(accuracy("LINE_ITEM_DESCRIPTIONS", "tea | milk | bread", "tea | milk"), 2.0 / 3.0);
        check(accuracy("LINE_ITEM_QUANTITIES", "1 | 2", "1 | 3"), 0.5);
        check(accuracy("LINE_ITEM_PRICES", "10.00 | 5.00", "10.05 | 6.00"), 0.5);
        // A comma inside an amount makes two items of it: both match, though nothing here is a thousand.
        check(accuracy("LINE_ITEM_PRICES", "1,200.00", "1 | 200.00"), 1.0);
    }
}
