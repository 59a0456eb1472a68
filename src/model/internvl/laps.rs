//! The laps of one pass over its devices, by marks on their queues. Nothing waits for a mark: the laps are read
//! when the pass is over.

use candle_core::{Device, Result, Tensor};

use super::home::Home;
use crate::device::{Interval, Links, Mark};
use crate::model::times::{Lap, PassTimes};

/// A pass that is being timed, or not.
#[derive(Debug)]
pub(super) struct Laps {
    /// The device that rows are on, and since when; none: nobody asked for times.
    running: Option<Running>,
    laps: Vec<(Lap, Interval)>,
}

#[derive(Debug)]
struct Running {
    id: String,
    device: Device,
    begin: Mark,
}

impl Running {
    fn begin(home: &Home) -> Result<Self> {
        Ok(Self::since(Mark::on(home.candle_device())?, home))
    }

    fn since(begin: Mark, home: &Home) -> Self {
        Self { id: home.device.id.clone(), begin, device: home.candle_device().clone() }
    }

    fn end(self) -> Result<(Lap, Interval)> {
        let interval = Interval { begin: self.begin, end: Mark::on(&self.device)? };
        Ok((Lap::Device(self.id), interval))
    }
}

impl Laps {
    /// Of a pass that begins at `home`.
    pub(super) fn start(home: &Home) -> Result<Self> {
        Ok(Self { running: Some(Running::begin(home)?), laps: Vec::new() })
    }

    /// Of a pass that nobody wants to know the times of.
    pub(super) fn off() -> Self {
        Self { running: None, laps: Vec::new() }
    }

    /// `x`, which is on device `from`, on the device of `to`: the lap there ends, and one here begins.
    pub(super) fn send(
        &mut self,
        links: &Links,
        x: &Tensor,
        from: usize,
        to: &Home,
    ) -> Result<Tensor> {
        if from == to.index {
            return Ok(x.clone());
        }
        let Some(running) = self.running.take() else { return links.send(x, from, to.index) };
        let (lap, interval) = running.end()?;
        let (x, hop) = links.send_timed(x, from, to.index, &interval.end)?;
        self.laps.push((lap, interval));
        // The lap there begins where the copy ends: a mark less, and devices stop for each. A copy through the host has
        // its marks there.
        let is_there = hop.end.is_on(to.candle_device());
        let begin = if is_there { hop.end.clone() } else { Mark::on(to.candle_device())? };
        self.running = Some(Running::since(begin, to));
        self.laps.push((Lap::Hop, hop));
        Ok(x)
    }

    /// None of a pass that was not timed.
    pub(super) fn finish(mut self) -> Result<Option<PassTimes>> {
        let Some(running) = self.running.take() else { return Ok(None) };
        self.laps.push(running.end()?);
        Ok(Some(PassTimes::new(self.laps)))
    }
}
