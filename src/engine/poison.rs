//! Counts spoilt requests in a row: one may be its document's fault, several in a row are the
//! model's, or its device's.

use crate::engine::EngineError;

/// How a request ended, as far as it says something about the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Well,
    Spoilt,
    /// It was cancelled, late, too large: the model had no say.
    None,
}

/// Spoilt requests in a row.
#[derive(Debug)]
pub(super) struct Poison {
    /// 0: never.
    limit: usize,
    in_row: usize,
}

// === impl Poison ===

impl Poison {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, in_row: 0 }
    }

    /// A request ended with its whole answer.
    pub(super) fn well(&mut self) {
        self.count(Sign::Well);
    }

    /// A request failed. Says, for people, that it was one too many.
    pub(super) fn failed(&mut self, error: &EngineError) -> Option<String> {
        let tripped = self.count(sign(error));
        tripped.then(|| {
            let count = self.in_row;
            format!("{count} spoilt answers in a row, the last because {error}; restart the server")
        })
    }

    /// Whether the limit is reached now, and was not before.
    fn count(&mut self, sign: Sign) -> bool {
        match sign {
            Sign::Well => self.in_row = 0,
            Sign::Spoilt => self.in_row += 1,
            Sign::None => return false,
        }
        self.limit > 0 && self.in_row == self.limit
    }
}

fn sign(error: &EngineError) -> Sign {
    match error {
        EngineError::NonFiniteLogits { .. } | EngineError::Gibberish { .. } => Sign::Spoilt,
        // A loop is as often a hard page as a broken model.
        EngineError::Repetition { .. }
        | EngineError::Decode { .. }
        | EngineError::TooManyPages { .. }
        | EngineError::Prompt(_)
        | EngineError::TooManyTokens { .. }
        | EngineError::Deadline { .. }
        | EngineError::SlowClient { .. }
        | EngineError::Constraint(_)
        | EngineError::Rejected(_)
        | EngineError::Run(_)
        | EngineError::Stopped
        | EngineError::Panicked { .. } => Sign::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOILT: EngineError = EngineError::Gibberish { step: 1, bangs: 64, characters: 64 };
    const LATE: EngineError = EngineError::Deadline { phase: "decode" };

    /// The requests, as letters, after which it trips.
    fn trips(limit: usize, requests: &str) -> Vec<usize> {
        let mut poison = Poison::new(limit);
        let mut trips = Vec::new();
        for (number, request) in (1..).zip(requests.chars()) {
            let message = match request {
                'x' => poison.failed(&SPOILT),
                'l' => poison.failed(&LATE),
                _ => {
                    poison.well();
                    None
                }
            };
            trips.extend(message.map(|_| number));
        }
        trips
    }

    #[test]
    fn only_a_row_trips_and_only_once() {
        for (limit, requests, expected) in [
            (3, "xxx", &[3][..]),
            (3, "xx.xx.xx", &[]),
            // What says nothing about the model neither counts nor resets.
            (3, "xlxllx", &[6]),
            (3, "xxxxxxx", &[3]),
            (1, "..x", &[3]),
            (0, "xxxxxxxx", &[]),
        ] {
            assert_eq!(trips(limit, requests), expected, "{limit} {requests}");
        }
    }

    #[test]
    fn the_message_says_how_many_and_why() {
        let message = Poison::new(1).failed(&SPOILT).unwrap();
        assert_eq!(
            message,
            "1 spoilt answers in a row, the last because the answer is gibberish at step 1: 64 of its \
             last 64 characters are `!`; restart the server"
        );
    }
}
