//! Points in time on a device's queue: what lies between two of them is what the device did there, however
//! long before the host asked for it.

use std::time::{Duration, Instant};

use candle_core::{Device, Result};

/// When a device had done all that it was told before.
#[derive(Debug, Clone)]
pub struct Mark(At);

#[derive(Debug, Clone)]
enum At {
    /// A CPU has done what it was told when the call returns.
    Host(Instant),
    #[cfg(feature = "cuda")]
    Gpu(std::sync::Arc<candle_core::cuda_backend::cudarc::driver::CudaEvent>),
}

/// Two marks on one device.
#[derive(Debug, Clone)]
pub struct Interval {
    pub begin: Mark,
    pub end: Mark,
}

impl Mark {
    /// Puts a mark behind what `device` was told so far. Waits for nothing.
    pub fn on(device: &Device) -> Result<Self> {
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(cuda) => Self::on_stream(&cuda.cuda_stream(), true),
            _ => Ok(Self::now()),
        }
    }

    /// The host's time.
    pub fn now() -> Self {
        Self(At::Host(Instant::now()))
    }

    /// One that is not `timed` can only be waited for, and costs the device less.
    #[cfg(feature = "cuda")]
    pub(super) fn on_stream(
        stream: &candle_core::cuda_backend::cudarc::driver::CudaStream,
        is_timed: bool,
    ) -> Result<Self> {
        use candle_core::cuda_backend::WrapErr as _;
        use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
        let flags = if is_timed {
            CUevent_flags::CU_EVENT_DEFAULT
        } else {
            CUevent_flags::CU_EVENT_DISABLE_TIMING
        };
        Ok(Self(At::Gpu(std::sync::Arc::new(stream.record_event(Some(flags)).w()?))))
    }

    /// What another device's stream may wait for; none on a CPU, which has passed it.
    #[cfg(feature = "cuda")]
    pub(super) fn event(&self) -> Option<&candle_core::cuda_backend::cudarc::driver::CudaEvent> {
        match &self.0 {
            At::Host(_) => None,
            At::Gpu(event) => Some(event),
        }
    }

    /// Whether it lies on the queue of a device such as `device`, so that the time from it to another mark there is known.
    pub fn is_on(&self, device: &Device) -> bool {
        matches!(self.0, At::Host(_)) != device.is_cuda()
    }

    /// Whether the device came to it.
    pub fn has_passed(&self) -> bool {
        match &self.0 {
            At::Host(_) => true,
            #[cfg(feature = "cuda")]
            At::Gpu(event) => event.is_complete(),
        }
    }

    /// The time from `earlier`, on the same device, to this mark: waits until it has passed. None where the
    /// driver cannot tell.
    #[cfg_attr(
        not(feature = "cuda"),
        expect(clippy::unnecessary_wraps, reason = "a GPU's driver may not be able to tell")
    )]
    fn since(&self, earlier: &Self) -> Option<Duration> {
        match (&earlier.0, &self.0) {
            (At::Host(earlier), At::Host(later)) => Some(later.saturating_duration_since(*earlier)),
            #[cfg(feature = "cuda")]
            (At::Gpu(earlier), At::Gpu(later)) => {
                let ms = earlier.elapsed_ms(later).ok()?;
                Some(Duration::from_secs_f64(f64::from(ms.max(0.0)) / 1e3))
            }
            #[cfg(feature = "cuda")]
            _ => None,
        }
    }
}

impl Interval {
    /// Waits until the device is through with it. None where the driver cannot tell.
    pub fn duration(&self) -> Option<Duration> {
        self.end.since(&self.begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_has_passed_its_marks() {
        let begin = Mark::on(&Device::Cpu).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        let end = Mark::on(&Device::Cpu).unwrap();
        assert!(begin.has_passed() && end.has_passed());
        assert!(Interval { begin, end }.duration().unwrap() >= Duration::from_millis(2));
    }
}
