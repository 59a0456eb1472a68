//! Lists, item by item: which items of two lists belong together when both keep their order.

/// The largest sum of `weight` over pairs of items, each item in at most one pair, and no two pairs
/// crossing.
pub(super) fn align(truth: usize, found: usize, weight: &dyn Fn(usize, usize) -> f64) -> f64 {
    let mut best = vec![0.0; found + 1];
    for i in 0..truth {
        // What the row before had one place to the left.
        let mut corner = 0.0;
        for j in 0..found {
            let above = best[j + 1];
            let paired = corner + weight(i, j);
            best[j + 1] = f64::max(paired, f64::max(above, best[j]));
            corner = above;
        }
    }
    best[found]
}

/// F1 of `matches` among lists of these lengths; two empty lists agree.
pub(super) fn f1(matches: f64, truth: usize, found: usize) -> f64 {
    if truth + found == 0 { 1.0 } else { 2.0 * matches / (truth + found) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(a: &str, b: &str) -> f64 {
        let (a, b) = (a.as_bytes(), b.as_bytes());
        align(a.len(), b.len(), &|i, j| f64::from(u8::from(a[i] == b[j])))
    }

    #[test]
    fn pairs_do_not_cross() {
        for (a, b, pairs) in
            [("abc", "abc", 3.0), ("abc", "ac", 2.0), ("ab", "ba", 1.0), ("", "a", 0.0)]
        {
            assert!((common(a, b) - pairs).abs() < 1e-9, "{a} {b}");
            assert!((common(b, a) - pairs).abs() < 1e-9, "{b} {a}");
        }
    }

    #[test]
    fn a_lost_item_costs_its_share() {
        assert!((f1(2.0, 3, 2) - 0.8).abs() < 1e-9);
        assert!((f1(0.0, 0, 0) - 1.0).abs() < 1e-9);
        assert!(f1(0.0, 0, 2).abs() < 1e-9);
    }
}
