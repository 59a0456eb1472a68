//! Where the time of a forward pass went, told once its devices are through with it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::device::Interval;

/// Where the time of one forward pass went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// One after the other.
    pub laps: Vec<(Lap, Duration)>,
    /// By device, in the order in which rows reach them.
    pub devices: Vec<(String, Duration)>,
    /// Rows on their way between devices.
    pub hops: Duration,
}

/// The [`StageTimes`] of a pass that may be under way still. Several passes may be, each with its own.
#[derive(Debug, Clone)]
pub struct PassTimes(Arc<Inner>);

/// What a pass did in an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lap {
    /// Computed on the device with this id.
    Device(String),
    Hop,
}

#[derive(Debug)]
struct Inner {
    /// Empty once they were told.
    laps: Mutex<Vec<(Lap, Interval)>>,
    told: OnceLock<StageTimes>,
    count: usize,
}

impl PassTimes {
    pub fn new(laps: Vec<(Lap, Interval)>) -> Self {
        let count = laps.len();
        Self(Arc::new(Inner { laps: Mutex::new(laps), told: OnceLock::new(), count }))
    }

    /// How many laps it has.
    pub fn laps(&self) -> usize {
        self.0.count
    }

    /// Whether every device is through with the pass: then [`get`](Self::get) does not wait.
    pub fn has_passed(&self) -> bool {
        let laps = self.0.laps.lock().unwrap_or_else(PoisonError::into_inner);
        laps.iter().all(|(_, interval)| interval.end.has_passed())
    }

    /// Waits until every device is through with the pass.
    pub fn get(&self) -> &StageTimes {
        self.0.told.get_or_init(|| {
            let mut laps = self.0.laps.lock().unwrap_or_else(PoisonError::into_inner);
            StageTimes::of(std::mem::take(&mut *laps))
        })
    }
}

impl StageTimes {
    fn of(laps: Vec<(Lap, Interval)>) -> Self {
        let mut times = Self::default();
        for (lap, interval) in laps {
            // A driver that cannot tell has other worries.
            let Some(duration) = interval.duration() else { continue };
            match &lap {
                Lap::Hop => times.hops += duration,
                Lap::Device(id) => match times.devices.iter_mut().find(|(known, _)| known == id) {
                    Some((_, sum)) => *sum += duration,
                    None => times.devices.push((id.clone(), duration)),
                },
            }
            times.laps.push((lap, duration));
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Mark;

    #[test]
    fn laps_of_a_device_are_one_sum() {
        let (a, b) = (Mark::now(), Mark::now());
        let interval = || Interval { begin: a.clone(), end: b.clone() };
        let one = interval().duration().unwrap();
        let device = |id: &str| (Lap::Device(id.to_owned()), interval());
        let laps = vec![device("cpu:1"), (Lap::Hop, interval()), device("cpu:0"), device("cpu:1")];
        let each = laps.iter().map(|(lap, _)| (lap.clone(), one)).collect();
        let times = PassTimes::new(laps);
        assert!(times.has_passed());
        assert_eq!(times.laps(), 4);
        let expected = StageTimes {
            laps: each,
            devices: vec![("cpu:1".to_owned(), 2 * one), ("cpu:0".to_owned(), one)],
            hops: one,
        };
        assert_eq!(times.get(), &expected);
        assert_eq!(times.get(), &expected, "told once more");
        assert!(times.has_passed());
    }
}
