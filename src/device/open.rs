//! Opening devices by name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use candle_core::Device;

/// One device to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceRequest {
    Cpu,
    Cuda(usize),
}

/// The devices that a model may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceSelection {
    /// All GPUs where there are any, else the CPU.
    #[default]
    Auto,
    /// In this order. The CPU may stand there more than once: each is a device of its own, with
    /// copies between them, to try a sharded model without GPUs.
    Listed(Vec<DeviceRequest>),
}

/// A replica's part of the devices: they are divided evenly and in order, each to one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub replica: usize,
    /// At least 1.
    pub replicas: usize,
}

/// What can be wrong with a device request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("there is no device {0:?}")]
    Unknown(String),
    #[error("{0} stands twice in the list")]
    Twice(String),
    #[error(
        "{0} was asked for, but this binary has no CUDA: build with --features cuda, or use cpu"
    )]
    NotCompiled(String),
    #[error("cannot open {device}: {message}")]
    Open { device: String, message: String },
    #[error(
        "{replicas} replicas cannot share {devices} evenly: list a multiple of {replicas} devices, or change the number of replicas"
    )]
    Uneven { replicas: usize, devices: String },
}

/// NVIDIA's version of a GPU's abilities: 7.0 is V100, 8.0 A100, 9.0 H100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComputeCapability {
    pub major: u32,
    pub minor: u32,
}

/// Bytes of a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceMemory {
    pub total_bytes: u64,
    /// Free for any process.
    pub free_bytes: u64,
}

/// Tells a device's memory at the time it is asked, on any thread. Holds nothing on the device.
#[derive(Clone)]
pub struct MemoryGauge(Arc<dyn Fn() -> DeviceMemory + Send + Sync>);

/// An opened device. Opened once and cloned: two openings of one GPU are two devices to candle.
#[derive(Debug, Clone)]
pub struct DeviceHandle {
    pub device: Device,
    /// `cpu`, `cuda:0`; `cpu:0`, `cpu:1` where the CPU stands for several.
    pub id: String,
    pub name: String,
    /// None for the CPU.
    pub capability: Option<ComputeCapability>,
}

impl ComputeCapability {
    /// Whether the GPU has bf16 arithmetic: A100 and later. Earlier ones emulate it at best.
    pub fn has_bf16(self) -> bool {
        self >= Self { major: 8, minor: 0 }
    }

    /// Whether there are products of 8-bit floats with a scale for each row of both sides: H100, H200. Tensor cores of L4 and
    /// L40S take 8-bit floats as well, and later GPUs others too, but cublasLt has these products for 9.0 only.
    pub fn has_fp8(self) -> bool {
        self.major == 9
    }
}

impl Default for Share {
    /// The only replica's: all of them.
    fn default() -> Self {
        Self { replica: 0, replicas: 1 }
    }
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl FromStr for DeviceRequest {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => other
                .strip_prefix("cuda:")
                .and_then(|ordinal| ordinal.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Unknown(other.to_owned())),
        }
    }
}

impl FromStr for DeviceSelection {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "auto" {
            return Ok(Self::Auto);
        }
        let listed: Vec<DeviceRequest> =
            text.split(',').map(|one| one.trim().parse()).collect::<Result<_, _>>()?;
        let twice = listed.iter().enumerate().find(|(index, device)| {
            matches!(device, DeviceRequest::Cuda(_)) && listed[..*index].contains(device)
        });
        match twice {
            Some((_, device)) => Err(DeviceError::Twice(device.to_string())),
            None => Ok(Self::Listed(listed)),
        }
    }
}

/// Opens the devices of `selection`, at least one.
pub fn open(selection: &DeviceSelection) -> Result<Vec<DeviceHandle>, DeviceError> {
    named(selection).into_iter().map(open_one).collect()
}

/// Opens what a replica has of `selection`, and no other device: on a GPU that would take memory.
/// Beside them, the names of the other replicas' devices.
pub fn open_share(
    selection: &DeviceSelection,
    share: Share,
) -> Result<(Vec<DeviceHandle>, Vec<String>), DeviceError> {
    let mut named = named(selection);
    let Share { replica, replicas } = share;
    if !named.len().is_multiple_of(replicas) {
        let devices: Vec<String> = named.into_iter().map(|(_, id)| id).collect();
        return Err(DeviceError::Uneven { replicas, devices: devices.join(", ") });
    }
    let each = named.len() / replicas;
    let own: Vec<_> = named.drain(replica * each..(replica + 1) * each).collect();
    let opened = own.into_iter().map(open_one).collect::<Result<_, _>>()?;
    Ok((opened, named.into_iter().map(|(_, id)| id).collect()))
}

/// The devices of `selection` with their ids.
fn named(selection: &DeviceSelection) -> Vec<(DeviceRequest, String)> {
    let listed = match selection {
        DeviceSelection::Listed(listed) => listed.clone(),
        DeviceSelection::Auto => auto(cuda::count()),
    };
    let cpus = listed.iter().filter(|device| **device == DeviceRequest::Cpu).count();
    let mut next_cpu = 0;
    let id = |device| match device {
        DeviceRequest::Cpu if cpus > 1 => {
            next_cpu += 1;
            format!("cpu:{}", next_cpu - 1)
        }
        one => one.to_string(),
    };
    let ids: Vec<String> = listed.iter().copied().map(id).collect();
    listed.into_iter().zip(ids).collect()
}

/// All GPUs that were found. A server that was to compute on them and does not is hundreds of times as slow, so it says
/// why there are none.
fn auto(found: Result<usize, String>) -> Vec<DeviceRequest> {
    match found {
        Ok(0) => vec![DeviceRequest::Cpu],
        Ok(count) => (0..count).map(DeviceRequest::Cuda).collect(),
        Err(reason) => {
            tracing::warn!(
                reason,
                "no GPU is found: the CPU computes; --devices cpu if it is meant to"
            );
            vec![DeviceRequest::Cpu]
        }
    }
}

/// Why this binary, which could use GPUs, finds none, so that `auto` means the CPU; none where it finds some, and where
/// it could not use them.
pub fn without_gpus() -> Option<String> {
    cuda::count().err()
}

fn open_one((device, id): (DeviceRequest, String)) -> Result<DeviceHandle, DeviceError> {
    match device {
        DeviceRequest::Cuda(ordinal) => cuda::open(ordinal),
        DeviceRequest::Cpu => Ok(cpu(id)),
    }
}

fn cpu(id: String) -> DeviceHandle {
    DeviceHandle {
        device: Device::Cpu,
        id,
        name: cpu_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        capability: None,
    }
}

fn cpu_name() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

impl DeviceHandle {
    /// Memory of the device, now; zeros where the system does not say.
    pub fn memory(&self) -> DeviceMemory {
        self.gauge().now()
    }

    /// What tells its memory later on.
    pub fn gauge(&self) -> MemoryGauge {
        match self.device {
            Device::Cuda(_) => cuda::gauge(&self.device),
            _ => MemoryGauge::of(super::host::memory),
        }
    }

    /// Gives memory that this process holds there and does not use to whoever wants it.
    pub fn give_back(&self) {
        if let Device::Cuda(_) = self.device {
            cuda::give_back(&self.device);
        }
    }
}

impl MemoryGauge {
    pub fn of(ask: impl Fn() -> DeviceMemory + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Always the same, where there is no device to ask.
    pub fn fixed(memory: DeviceMemory) -> Self {
        Self::of(move || memory)
    }

    /// Zeros where the system does not say.
    pub fn now(&self) -> DeviceMemory {
        (self.0)()
    }
}

impl fmt::Debug for MemoryGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryGauge").field(&self.now()).finish()
    }
}

/// Two are equal where they are one.
impl PartialEq for MemoryGauge {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
mod cuda {
    use candle_core::Device;

    use super::{DeviceError, DeviceHandle, DeviceMemory, MemoryGauge};

    #[expect(clippy::unnecessary_wraps, reason = "a driver may fail")]
    pub(super) fn count() -> Result<usize, String> {
        Ok(0)
    }

    pub(super) fn open(ordinal: usize) -> Result<DeviceHandle, DeviceError> {
        Err(DeviceError::NotCompiled(format!("cuda:{ordinal}")))
    }

    pub(super) fn gauge(_device: &Device) -> MemoryGauge {
        MemoryGauge::fixed(DeviceMemory::default())
    }

    pub(super) fn give_back(_device: &Device) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_parse() {
        use DeviceRequest::{Cpu, Cuda};
        let listed = |devices: &[DeviceRequest]| Ok(DeviceSelection::Listed(devices.to_vec()));
        assert_eq!("auto".parse(), Ok(DeviceSelection::Auto));
        assert_eq!("cuda".parse(), listed(&[Cuda(0)]));
        assert_eq!("cuda:3, cuda:1".parse(), listed(&[Cuda(3), Cuda(1)]));
        assert_eq!("cpu,cpu".parse(), listed(&[Cpu, Cpu]));
        let refused = |text: &str| text.parse::<DeviceSelection>().unwrap_err();
        assert_eq!(refused("gpu"), DeviceError::Unknown("gpu".to_owned()));
        assert_eq!(refused("cuda:0,cuda"), DeviceError::Twice("cuda:0".to_owned()));
        assert_eq!(refused("cpu,"), DeviceError::Unknown(String::new()));
    }

    fn ids(selection: &str) -> Vec<String> {
        let handles = open(&selection.parse().unwrap()).unwrap();
        handles.into_iter().map(|handle| handle.id).collect()
    }

    #[test]
    fn replicas_share_devices_evenly_and_in_order() {
        let selection: DeviceSelection = "cpu,cpu,cpu,cpu".parse().unwrap();
        let share = |replica| {
            let (own, others) = open_share(&selection, Share { replica, replicas: 2 }).unwrap();
            (own.into_iter().map(|handle| handle.id).collect::<Vec<_>>(), others)
        };
        let names = |ids: [&str; 2]| ids.map(str::to_owned).to_vec();
        let (first, second) = (names(["cpu:0", "cpu:1"]), names(["cpu:2", "cpu:3"]));
        assert_eq!(share(0), (first.clone(), second.clone()));
        assert_eq!(share(1), (second, first));
        let all = open_share(&selection, Share::default()).unwrap();
        assert_eq!((all.0.len(), all.1.len()), (4, 0));
        let uneven = open_share(&selection, Share { replica: 0, replicas: 3 }).unwrap_err();
        let expected = "3 replicas cannot share cpu:0, cpu:1, cpu:2, cpu:3 evenly: list a multiple of 3 devices, or \
                        change the number of replicas";
        assert_eq!(uneven.to_string(), expected);
    }

    #[test]
    fn auto_is_every_gpu_or_else_the_cpu() {
        use DeviceRequest::{Cpu, Cuda};
        assert_eq!(auto(Ok(2)), [Cuda(0), Cuda(1)]);
        assert_eq!(auto(Ok(0)), [Cpu]);
        assert_eq!(auto(Err("CUDA_ERROR_UNKNOWN".to_owned())), [Cpu]);
    }

    #[test]
    fn the_cpu_opens_as_often_as_asked_and_has_memory() {
        assert_eq!(ids("cpu"), ["cpu"]);
        assert_eq!(ids("cpu,cpu,cpu"), ["cpu:0", "cpu:1", "cpu:2"]);
        let cpu = open(&"cpu".parse().unwrap()).unwrap().remove(0);
        assert_eq!(cpu.capability, None);
        assert!(cpu.memory().total_bytes > 0);
    }
}
