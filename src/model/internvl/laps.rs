//! Where the time of one pass goes, by device. On CPUs only: a GPU's work goes on after its call returns, and
//! waiting for it would cost what there is to measure.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::home::Homes;
use crate::model::runner::StageTimes;

/// A pass that is being timed, or not.
#[derive(Debug)]
pub(super) struct Laps {
    on: bool,
    since: Instant,
    /// By index in the model's list, in the order in which rows reached them.
    devices: Vec<(usize, Duration)>,
    hops: Duration,
}

impl Laps {
    pub(super) fn start(homes: &Homes) -> Self {
        let on = homes.iter().all(|(_, home)| home.candle_device().is_cpu());
        Self { on, since: Instant::now(), devices: Vec::new(), hops: Duration::ZERO }
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now.saturating_duration_since(std::mem::replace(&mut self.since, now))
    }

    /// The time since the last call went by on this device.
    pub(super) fn computed(&mut self, device: usize) {
        if !self.on {
            return;
        }
        let time = self.lap();
        match self.devices.iter().position(|(index, _)| *index == device) {
            Some(at) => self.devices[at].1 += time,
            None => self.devices.push((device, time)),
        }
    }

    /// The time since the last call went by between devices.
    pub(super) fn hopped(&mut self) {
        if self.on {
            let time = self.lap();
            self.hops += time;
        }
    }

    pub(super) fn finish(self, homes: &Homes) -> Option<Arc<StageTimes>> {
        let name = |index: usize| {
            let home = homes.iter().find(|(_, home)| home.index == index);
            home.map(|(_, home)| home.device.id.clone()).unwrap_or_default()
        };
        let devices = self.devices.iter().map(|(index, time)| (name(*index), *time)).collect();
        self.on.then(|| Arc::new(StageTimes { devices, hops: self.hops }))
    }
}
