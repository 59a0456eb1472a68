//! How long a fake model takes.

use std::str::FromStr;
use std::time::Duration;

/// Times that passes take: those of a real model, so that a load test meets its queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Each forward pass.
    pub step: Duration,
    /// And beside it, each token of a prompt.
    pub token: Duration,
    /// Each encoded tile.
    pub tile: Duration,
}

impl FromStr for Pace {
    type Err = String;

    /// `step=8ms,token=20us,tile=2ms`, in any order; what is not named takes no time.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut pace = Self::default();
        for one in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let (name, value) = one.split_once('=').ok_or_else(|| format!("{one:?} has no ="))?;
            let time = time(value).ok_or_else(|| format!("{value:?} is no time"))?;
            match name {
                "step" => pace.step = time,
                "token" => pace.token = time,
                "tile" => pace.tile = time,
                _ => return Err(format!("{name:?} is none of step, token and tile")),
            }
        }
        Ok(pace)
    }
}

/// A whole number of `us`, `ms` or `s`, at most a minute.
fn time(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..end].parse().ok()?;
    let micros = match &text[end..] {
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        _ => return None,
    };
    let micros = number.checked_mul(micros).filter(|micros| *micros <= 60_000_000)?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_are_read() {
        let pace: Pace = "step=8ms, token=20us,tile=1s".parse().unwrap();
        let expected = Pace {
            step: Duration::from_millis(8),
            token: Duration::from_micros(20),
            tile: Duration::from_secs(1),
        };
        assert_eq!(pace, expected);
        assert_eq!("".parse(), Ok(Pace::default()));
        for (text, problem) in [
            ("step", "\"step\" has no ="),
            ("step=8", "\"8\" is no time"),
            ("step=61s", "\"61s\" is no time"),
            ("pause=1ms", "\"pause\" is none of step, token and tile"),
        ] {
            assert_eq!(text.parse::<Pace>(), Err(problem.to_owned()));
        }
    }
}
