//! How much of a request is traced, and how many of its steps.

use std::fmt;
use std::str::FromStr;

/// Each level has all of those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// 0: nothing.
    Off,
    /// 1: phases: queue, pages, vision, prefill, decode.
    Phases,
    /// 2: each generation step with the time on each device, and each field.
    #[default]
    Steps,
    /// 3: the engine's own steps, linked to the requests in them, each device's part in one and each way between them.
    Engine,
    /// 4: how probable each chosen token was, and the logits that it was chosen from.
    Numbers,
}

/// Which generation steps get a span of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StepCap {
    /// Every one.
    #[default]
    All,
    /// The first so many, then those at doubling distances, the last one, those much slower than
    /// their neighbours, and those that open or close a field.
    First(usize),
}

/// What one request's trace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceOptions {
    pub level: Level,
    pub steps: StepCap,
}

/// Why a text is no level or cap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not {1}")]
pub struct ParseLevelError(String, &'static str);

impl ParseLevelError {
    /// What it should have been.
    pub fn expected(&self) -> &'static str {
        self.1
    }
}

const LEVELS: [Level; 5] = [Level::Off, Level::Phases, Level::Steps, Level::Engine, Level::Numbers];

impl Level {
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, ParseLevelError> {
        let found = LEVELS.into_iter().find(|level| level.to_string() == text.trim());
        found.ok_or_else(|| ParseLevelError(text.to_owned(), "a level from 0 to 4"))
    }
}

impl fmt::Display for StepCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::First(first) => first.fmt(f),
        }
    }
}

impl FromStr for StepCap {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, ParseLevelError> {
        let text = text.trim();
        if text == "all" {
            return Ok(Self::All);
        }
        let first = text.parse().map(Self::First);
        first.map_err(|_| ParseLevelError(text.to_owned(), "a number of steps or `all`"))
    }
}

impl StepCap {
    /// Whether each of the steps that took so long gets a span, by what they took alone.
    pub fn chosen(self, durations: &[std::time::Duration]) -> Vec<bool> {
        let Self::First(first) = self else { return vec![true; durations.len()] };
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        let slow = sorted.get(sorted.len() / 2).map_or(std::time::Duration::MAX, |d| *d * 3);
        let last = durations.len().saturating_sub(1);
        let mut next = first.max(1).saturating_mul(2);
        let mut choose = |(index, duration): (usize, &std::time::Duration)| {
            let doubled = index + 1 == next;
            if doubled {
                next = next.saturating_mul(2);
            }
            index < first || doubled || index == last || *duration > slow
        };
        durations.iter().enumerate().map(&mut choose).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn chosen(cap: &str, durations: &[u64]) -> Vec<usize> {
        let durations: Vec<Duration> =
            durations.iter().map(|ms| Duration::from_millis(*ms)).collect();
        let chosen = cap.parse::<StepCap>().unwrap().chosen(&durations);
        assert_eq!(chosen.len(), durations.len());
        (0..chosen.len()).filter(|index| chosen[*index]).collect()
    }

    #[test]
    fn all_is_all() {
        assert_eq!(chosen("all", &[5; 700]), (0..700).collect::<Vec<_>>());
    }

    #[test]
    fn a_cap_keeps_the_first_the_slow_and_ever_fewer() {
        let mut durations = [10; 40];
        durations[20] = 31;
        durations[25] = 30;
        assert_eq!(chosen("4", &durations), [0, 1, 2, 3, 7, 15, 20, 31, 39]);
        assert_eq!(chosen("0", &[10; 5]), [1, 3, 4]);
        assert_eq!(chosen("8", &[]), Vec::<usize>::new());
        assert_eq!(chosen(&usize::MAX.to_string(), &[10; 5]), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn texts() {
        assert_eq!("3".parse(), Ok(Level::Engine));
        assert!("5".parse::<Level>().unwrap_err().to_string().contains("from 0 to 4"));
        assert!("-1".parse::<StepCap>().unwrap_err().to_string().contains("`all`"));
        assert!(Level::Off < Level::Steps);
    }
}
