//! What benchmarks feed a model: numbers that look like chance.
//!
//! Rows that are all the same make tensor cores switch less, so that a GPU at its limit of power multiplies them faster
//! than any text or page.

/// A number that looks like chance, the same in every run: the finaliser of `MurmurHash3`.
pub(super) fn varied(at: usize) -> u32 {
    let mut bits = at as u32;
    for factor in [0x85eb_ca6b_u32, 0xc2b2_ae35] {
        bits = (bits ^ bits >> 15).wrapping_mul(factor);
    }
    bits ^ bits >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_that_follow_each_other_differ_in_all_bytes() {
        let numbers: Vec<u32> = (0..4096).map(varied).collect();
        let distinct: HashSet<u32> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len());
        for byte in 0..4 {
            let seen: HashSet<u8> = numbers.iter().map(|n| n.to_le_bytes()[byte]).collect();
            assert_eq!(seen.len(), 256, "byte {byte}");
        }
    }
}
