//! Copies between the devices of one model, and the proof at start-up that they are right.
//!
//! The tensor library's own copy between GPUs does not order the consumer after the copy, and never
//! enables peer access: measured on two H100s it returned wrong data in 196 of 200 checks, at a
//! twelfth of the link's speed. And on machines with IOMMU or ACS trouble a peer copy "succeeds" with
//! wrong bytes: the model then answers `!!!!`. So every copy here is ordered by events on both sides,
//! and a link is used for peer copies only after it has carried known patterns, bit for bit.

mod check;
mod peer;

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Result, Tensor};

use super::mark::{Interval, Mark};
use super::open::DeviceHandle;
use check::Findings;

/// How bytes get from one device to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkRoute {
    /// Within host memory, or between the CPU and a GPU.
    Host,
    /// From GPU to GPU.
    Peer,
    /// Through host memory, because peer copies are off or wrong.
    Staged,
}

/// What start-up found out about one direction between two devices.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Device ids.
    pub from: String,
    pub to: String,
    pub route: LinkRoute,
    /// Why the route is not the direct one; empty where it is.
    pub reason: String,
    /// Patterns copied and compared on the way to that decision.
    pub checks: u32,
    /// Of 64 MiB, by the host's clock; zero where it was not measured.
    pub bytes_per_second: f64,
}

/// What a long test of one direction between two GPUs found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkTrial {
    pub checks: u32,
    /// Checks in which at least one bit was wrong.
    pub wrong: u32,
    /// Of 64 MiB; zero between CPUs.
    pub bytes_per_second: f64,
    /// Of one row of a decode step, in a chain of copies there and back, by the devices' time.
    pub hop_seconds: f64,
}

/// The copies that one model makes between its devices.
#[derive(Debug, Clone)]
pub struct Links {
    devices: Vec<DeviceHandle>,
    /// `[from][to]`; none where no module's output goes that way.
    table: Vec<Vec<Option<Link>>>,
    in_flight: Arc<InFlight>,
}

/// Sources of copies that may still be read. A source freed too soon is memory for the next kernel on
/// its device while the other device still reads it.
#[derive(Debug, Default)]
struct InFlight(Mutex<Vec<(Tensor, Mark)>>);

impl InFlight {
    fn hold(&self, source: Tensor, copied: Mark) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(_, copied)| !copied.has_passed());
        held.push((source, copied));
    }
}

impl Links {
    /// Tests the directions `pairs` between `devices`, given by index.
    pub fn open(devices: &[DeviceHandle], pairs: &[(usize, usize)]) -> Result<Self> {
        let mut links = Self {
            devices: devices.to_vec(),
            table: vec![vec![None; devices.len()]; devices.len()],
            in_flight: Arc::default(),
        };
        for &(from, to) in pairs {
            if from != to && links.table[from][to].is_none() {
                links.table[from][to] = Some(links.probe(from, to)?);
            }
        }
        Ok(links)
    }

    /// The directions in use, by device order.
    pub fn used(&self) -> Vec<Link> {
        self.table.iter().flatten().flatten().cloned().collect()
    }

    /// Tests one direction with `checks` patterns.
    pub fn trial(&self, from: usize, to: usize, checks: u32) -> Result<LinkTrial> {
        let (source, target) = (&self.devices[from].device, &self.devices[to].device);
        let there = |x: &Tensor| self.send(x, from, to);
        let back = |x: &Tensor| self.send(x, to, from);
        LinkTrial::of(source, target, checks, there, back)
    }

    /// `x`, which is on device `from`, on device `to`.
    pub fn send(&self, x: &Tensor, from: usize, to: usize) -> Result<Tensor> {
        if from == to {
            return Ok(x.clone());
        }
        self.carry(self.route(from, to), x, to, None).map(|(copy, _)| copy)
    }

    /// As [`send`](Self::send), from one device to another, with the time that the copy takes. `made`: behind what
    /// made `x`, on its device.
    pub fn send_timed(
        &self,
        x: &Tensor,
        from: usize,
        to: usize,
        made: &Mark,
    ) -> Result<(Tensor, Interval)> {
        self.carry(self.route(from, to), x, to, Some(made))
    }

    /// A direction that nobody announced goes the way that is right everywhere.
    fn route(&self, from: usize, to: usize) -> LinkRoute {
        self.table[from][to].as_ref().map_or(LinkRoute::Staged, |link| link.route)
    }

    fn carry(
        &self,
        route: LinkRoute,
        x: &Tensor,
        to: usize,
        made: Option<&Mark>,
    ) -> Result<(Tensor, Interval)> {
        let target = &self.devices[to].device;
        match route {
            LinkRoute::Peer => {
                // What makes it contiguous comes behind the mark.
                let made = made.filter(|_| x.is_contiguous());
                let x = x.contiguous()?;
                let (copy, interval) = peer::copy(&x, target, made)?;
                self.in_flight.hold(x, interval.end.clone());
                Ok((copy, interval))
            }
            LinkRoute::Host | LinkRoute::Staged => {
                let x = x.contiguous()?;
                // The host waits for the source in any case.
                x.device().synchronize()?;
                let begin = Mark::now();
                let copy = if x.device().is_cpu() && target.is_cpu() {
                    x.copy()?
                } else {
                    let copy = x.to_device(&Device::Cpu)?.to_device(target)?;
                    target.synchronize()?;
                    copy
                };
                Ok((copy, Interval { begin, end: Mark::now() }))
            }
        }
    }

    /// Finds the route of one direction: the direct one if it carries every pattern.
    fn probe(&self, from: usize, to: usize) -> Result<Link> {
        let (source, target) = (&self.devices[from], &self.devices[to]);
        let link = |route, reason, findings: Findings| Link {
            from: source.id.clone(),
            to: target.id.clone(),
            route,
            reason,
            checks: findings.checks,
            bytes_per_second: findings.bytes_per_second,
        };
        let test = |route: LinkRoute| {
            check::check(&source.device, &target.device, check::ROUNDS, |x| {
                self.carry(route, x, to, None).map(|(copy, _)| copy)
            })
        };
        let both_gpus = source.device.is_cuda() && target.device.is_cuda();
        let reason = match peer::enable(&source.device, &target.device) {
            _ if !both_gpus => {
                let findings = test(LinkRoute::Host)?;
                findings.require_right(&source.id, &target.id)?;
                return Ok(link(LinkRoute::Host, String::new(), findings));
            }
            Err(reason) => reason,
            Ok(()) => match test(LinkRoute::Peer) {
                Ok(findings) if findings.wrong == 0 => {
                    return Ok(link(LinkRoute::Peer, String::new(), findings));
                }
                Ok(Findings { wrong, checks, .. }) => {
                    format!("{wrong} of {checks} peer copies returned wrong data")
                }
                Err(error) => format!("peer copies fail: {error}"),
            },
        };
        tracing::warn!(from = source.id, to = target.id, reason, "copies go through host memory");
        let findings = test(LinkRoute::Staged)?;
        findings.require_right(&source.id, &target.id)?;
        Ok(link(LinkRoute::Staged, reason, findings))
    }
}

impl LinkTrial {
    /// The same test of the tensor library's own copy between two GPUs that it opened its usual way:
    /// to show what goes wrong without [`Links`].
    pub fn of_library(from: usize, to: usize, checks: u32) -> Result<Self> {
        let (source, target) = (Device::new_cuda(from)?, Device::new_cuda(to)?);
        let there = |x: &Tensor| x.to_device(&target);
        let back = |x: &Tensor| x.to_device(&source);
        Self::of(&source, &target, checks, there, back)
    }

    fn of(
        source: &Device,
        target: &Device,
        checks: u32,
        there: impl Fn(&Tensor) -> Result<Tensor>,
        back: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        let findings = check::check(source, target, checks, &there)?;
        Ok(Self {
            checks: findings.checks,
            wrong: findings.wrong,
            bytes_per_second: findings.bytes_per_second,
            hop_seconds: check::hop_seconds(source, target, there, back)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::super::open::open;
    use super::*;

    #[test]
    fn a_copy_between_virtual_devices_is_another_tensor() {
        let devices = open(&"cpu,cpu".parse().unwrap()).unwrap();
        let links = Links::open(&devices, &[(0, 1)]).unwrap();
        let used = links.used();
        assert_eq!((used.len(), used[0].route), (1, LinkRoute::Host));
        assert_eq!((used[0].from.as_str(), used[0].to.as_str()), ("cpu:0", "cpu:1"));
        assert!(used[0].checks > 0);
        let x = Tensor::arange(0f32, 12.0, &Device::Cpu).unwrap().reshape((3, 4)).unwrap();
        let view = x.t().unwrap();
        let sent = links.send(&view, 0, 1).unwrap();
        assert_eq!(sent.to_vec2::<f32>().unwrap(), view.to_vec2::<f32>().unwrap());
        // Writing to the source later does not reach the copy.
        x.slice_set(&Tensor::zeros((3, 1), DType::F32, &Device::Cpu).unwrap(), 1, 0).unwrap();
        assert!(sent.to_vec2::<f32>().unwrap()[0][1] > 0.0);
    }

    /// Needs two GPUs; where there are none it says so and is over.
    #[cfg(feature = "cuda")]
    #[test]
    fn ten_thousand_copies_between_gpus_are_right_where_the_library_s_are_not() {
        let Ok(devices) = open(&"cuda:0,cuda:1".parse().unwrap()) else {
            eprintln!("not run: it needs two GPUs");
            return;
        };
        let links = Links::open(&devices, &[(0, 1), (1, 0)]).unwrap();
        for (from, to) in [(0, 1), (1, 0)] {
            let trial = links.trial(from, to, 10_000).unwrap();
            eprintln!("{from} to {to}: {trial:?}");
            assert_eq!((trial.checks, trial.wrong), (10_000, 0));
        }
        let library = LinkTrial::of_library(0, 1, 400).unwrap();
        eprintln!("the library's: {library:?}");
        // What the order of our copies is for: once this fails, `Links` may go.
        assert!(library.wrong > 0);
    }
}
