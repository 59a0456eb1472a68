//! Sizes of memory as people write them: `20GiB` is 2^30 each, `20GB` is 10^9 each, as in
//! transformers' `max_memory`.

use std::fmt;

/// What a unit stands for. Spelled in one case only: `Gb` would be bits.
const UNITS: [(&str, u64); 12] = [
    ("KiB", 1 << 10),
    ("KIB", 1 << 10),
    ("MiB", 1 << 20),
    ("MIB", 1 << 20),
    ("GiB", 1 << 30),
    ("GIB", 1 << 30),
    ("TiB", 1 << 40),
    ("TIB", 1 << 40),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no size of memory: give a number with GiB, MiB, GB or MB, or of bytes")]
pub struct NoSize(String);

/// `24GiB`, `22.5GiB`, `16GB`, or a number of bytes.
pub fn parse_bytes(text: &str) -> Result<u64, NoSize> {
    let wrong = || NoSize(text.to_owned());
    let trimmed = text.trim();
    let unit = UNITS.iter().find(|(name, _)| trimmed.ends_with(name));
    let (number, unit) = match unit {
        Some((name, bytes)) => (trimmed[..trimmed.len() - name.len()].trim_end(), *bytes),
        None => (trimmed, 1),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).ok_or_else(wrong);
    }
    let plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let fraction: f64 = number.parse().map_err(|_| wrong())?;
    let bytes = fraction * unit as f64;
    if plain && unit > 1 && bytes < u64::MAX as f64 { Ok(bytes as u64) } else { Err(wrong()) }
}

/// A size with one decimal, in the unit that suits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = self.0 as f64 / 1024.0;
        match self.0 {
            0 => f.write_str("0"),
            1..0x10_0000 => write!(f, "{kib:.1} KiB"),
            0x10_0000..0x640_0000 => write!(f, "{:.1} MiB", kib / 1024.0),
            _ => write!(f, "{:.1} GiB", kib / 1_048_576.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary_or_decimal() {
        for (text, bytes) in [
            ("10GiB", 10 << 30),
            ("10GIB", 10 << 30),
            ("10GB", 10_000_000_000),
            ("1.5 GiB", 3 << 29),
            ("512MiB", 512 << 20),
            ("20MB", 20_000_000),
            ("3KB", 3000),
            (" 17 ", 17),
            ("0", 0),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "GiB", "10Gb", "10gib", "-1GiB", "1e3GiB", "1.5", "infGiB", "99999999TiB"]
        {
            assert_eq!(parse_bytes(text), Err(NoSize(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(Bytes(15_888_747_520).to_string(), "14.8 GiB");
        assert_eq!(Bytes(3 << 20).to_string(), "3.0 MiB");
        assert_eq!(Bytes(57_344).to_string(), "56.0 KiB");
        assert_eq!(Bytes(0).to_string(), "0");
    }
}
