//! The devices to plan for, as people name them: `4xV100-32GB`, `1xA100-80GB,2xA10`, `cpu`,
//! `mine:24GiB:cc8.6`; and limits on their memory.

use super::bytes::{NoSize, parse_bytes};
use crate::device::{ComputeCapability, DeviceHandle};

/// More devices than any one machine has.
const DEVICES_MAX: usize = 64;

/// Less than any device has: bytes that lack their unit.
const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// The first GPUs that kernels are compiled for: V100.
const CAPABILITY_MIN: ComputeCapability = ComputeCapability { major: 7, minor: 0 };

/// One device, before or without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSpec {
    /// `cpu`, `cuda:0`.
    pub id: String,
    pub name: String,
    /// None for a CPU.
    pub capability: Option<ComputeCapability>,
    /// What may be used: what is free, or less where a limit is set.
    pub memory_bytes: u64,
}

impl DeviceSpec {
    /// Opened devices, with what is free of them now; several CPUs share the host's memory evenly. `others` are the
    /// ids of devices that are not opened here and will be used beside them.
    pub fn of_opened(devices: &[DeviceHandle], others: &[String]) -> Vec<Self> {
        let other_cpus = others.iter().filter(|id| id.starts_with("cpu")).count();
        let cpus = devices.iter().filter(|device| device.capability.is_none()).count();
        let cpus = (cpus + other_cpus).max(1);
        let spec = |device: &DeviceHandle| {
            let free = device.memory().free_bytes;
            Self {
                id: device.id.clone(),
                name: device.name.clone(),
                capability: device.capability,
                memory_bytes: if device.capability.is_some() { free } else { free / cpus as u64 },
            }
        };
        devices.iter().map(spec).collect()
    }
}

/// What is wrong with a list of devices or of limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    #[error("no device is named: give for example 4xV100-32GB, 1xA100-80GB,2xA10, cpu or live")]
    Empty,
    #[error(
        "{name:?} is no known device: give {known}, cpu, or NAME:MEMORY:ccCAPABILITY as in mine:24GiB:cc8.6; or, alone, live, or cuda:0,cuda:1 of this machine"
    )]
    Unknown { name: String, known: String },
    #[error("{0:?} is a count without a device: give for example 2xA10")]
    NoDevice(String),
    #[error(
        "{0:?} has no name, or that of the processor: give NAME:MEMORY:ccCAPABILITY as in mine:24GiB:cc8.6"
    )]
    NoName(String),
    #[error("{0:?}: give 1 to {DEVICES_MAX} devices")]
    Count(String),
    #[error("{0:?} is no compute capability: give it as in cc8.6")]
    Capability(String),
    #[error(
        "compute capability {0} is too old: kernels are made for {CAPABILITY_MIN} (V100) and later"
    )]
    TooOld(String),
    #[error(transparent)]
    Size(#[from] NoSize),
    #[error("{0:?} is so many bytes, which no device has: give the unit too, as in 20GiB")]
    NoUnit(String),
    #[error("{0:?} is no DEVICE=MEMORY: give for example 0=20GiB,1=22GiB,cpu=32GiB")]
    NoLimit(String),
    #[error("there is no device {name}: the devices are {known}")]
    NoSuchDevice { name: String, known: String },
    #[error("{0} stands there twice: give each device once")]
    Twice(String),
}

/// A device that needs no more than its name.
struct Preset {
    name: &'static str,
    memory_bytes: u64,
    capability: ComputeCapability,
}

const fn preset(name: &'static str, memory_mib: u64, major: u32, minor: u32) -> Preset {
    Preset { name, memory_bytes: memory_mib << 20, capability: ComputeCapability { major, minor } }
}

/// Total memory as CUDA reports it with ECC on, which is less than the name says. As people's
/// out-of-memory messages quote it: V100 15.78 and 31.75 GiB, T4 14.56, A10 21.99, A100 40 GB
/// 42,298,834,944 bytes, L4 22.03, L40S 44.40 (44.53 with other drivers), H100 79.11. A100 80 GB and
/// H200 (about 139.8 GiB) are from memory. Drivers differ by some hundred MiB.
const PRESETS: [Preset; 10] = [
    preset("V100-16GB", 16_158, 7, 0),
    preset("V100-32GB", 32_512, 7, 0),
    preset("T4", 14_909, 7, 5),
    preset("A10", 22_517, 8, 6),
    preset("A100-40GB", 40_339, 8, 0),
    preset("A100-80GB", 81_049, 8, 0),
    preset("L4", 22_558, 8, 9),
    preset("L40S", 45_465, 8, 9),
    preset("H100", 81_008, 9, 0),
    preset("H200", 143_155, 9, 0),
];

/// One of each device that needs no more than its name.
pub(super) fn presets() -> Vec<DeviceSpec> {
    let spec = |preset: &Preset| DeviceSpec {
        id: "cuda:0".to_owned(),
        name: preset.name.to_owned(),
        capability: Some(preset.capability),
        memory_bytes: preset.memory_bytes,
    };
    PRESETS.iter().map(spec).collect()
}

/// A device without its number.
struct Kind {
    name: String,
    capability: Option<ComputeCapability>,
    /// None: a share of the host's memory.
    memory_bytes: Option<u64>,
}

/// The devices that `text` names. CPUs share `host_bytes` evenly. Ids are those that the devices would
/// have on one machine: `cuda:0`, `cuda:1`, and `cpu`, or `cpu:0`, `cpu:1` where there are several.
pub fn parse_devices(text: &str, host_bytes: u64) -> Result<Vec<DeviceSpec>, FleetError> {
    let mut kinds = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (count, name) = counted(item)?;
        if name.is_empty() {
            return Err(FleetError::NoDevice(item.to_owned()));
        }
        for _ in 0..count {
            kinds.push(kind(name)?);
        }
        if kinds.len() > DEVICES_MAX {
            return Err(FleetError::Count(text.to_owned()));
        }
    }
    if kinds.is_empty() {
        return Err(FleetError::Empty);
    }
    Ok(numbered(kinds, host_bytes))
}

/// `4xV100` is four of them.
fn counted(item: &str) -> Result<(usize, &str), FleetError> {
    let Some((count, name)) = item.split_once('x') else { return Ok((1, item)) };
    if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((1, item));
    }
    match count.parse() {
        Ok(count) if (1..=DEVICES_MAX).contains(&count) => Ok((count, name)),
        _ => Err(FleetError::Count(item.to_owned())),
    }
}

fn kind(text: &str) -> Result<Kind, FleetError> {
    let mut fields = text.splitn(3, ':');
    let name = fields.next().unwrap_or_default();
    let memory_bytes = fields.next().map(memory).transpose()?;
    if let Some(capability_text) = fields.next() {
        let capability = Some(capability(capability_text)?);
        if name.is_empty() || name.eq_ignore_ascii_case("cpu") {
            return Err(FleetError::NoName(text.to_owned()));
        }
        return Ok(Kind { name: name.to_owned(), capability, memory_bytes });
    }
    if name.eq_ignore_ascii_case("cpu") {
        return Ok(Kind { name: "cpu".to_owned(), capability: None, memory_bytes });
    }
    let preset = PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(name));
    let preset = preset.ok_or_else(|| FleetError::Unknown {
        name: text.to_owned(),
        known: PRESETS.map(|preset| preset.name).join(", "),
    })?;
    Ok(Kind {
        name: preset.name.to_owned(),
        capability: Some(preset.capability),
        memory_bytes: memory_bytes.or(Some(preset.memory_bytes)),
    })
}

/// A device's memory: not a number that lacks its unit.
fn memory(text: &str) -> Result<u64, FleetError> {
    match parse_bytes(text)? {
        bytes if bytes < MEMORY_BYTES_MIN => Err(FleetError::NoUnit(text.trim().to_owned())),
        bytes => Ok(bytes),
    }
}

fn capability(text: &str) -> Result<ComputeCapability, FleetError> {
    let wrong = || FleetError::Capability(text.to_owned());
    let number = text.strip_prefix("cc").ok_or_else(wrong)?;
    let (major, minor) = number.split_once('.').ok_or_else(wrong)?;
    let capability = ComputeCapability {
        major: major.parse().map_err(|_| wrong())?,
        minor: minor.parse().map_err(|_| wrong())?,
    };
    if capability < CAPABILITY_MIN {
        return Err(FleetError::TooOld(capability.to_string()));
    }
    Ok(capability)
}

fn numbered(kinds: Vec<Kind>, host_bytes: u64) -> Vec<DeviceSpec> {
    let cpus = kinds.iter().filter(|kind| kind.capability.is_none()).count();
    let sharing = kinds.iter().filter(|kind| kind.memory_bytes.is_none()).count() as u64;
    let (mut next_gpu, mut next_cpu) = (0, 0);
    let name = |kind: Kind| {
        let id = match kind.capability {
            Some(_) => {
                next_gpu += 1;
                format!("cuda:{}", next_gpu - 1)
            }
            None if cpus == 1 => "cpu".to_owned(),
            None => {
                next_cpu += 1;
                format!("cpu:{}", next_cpu - 1)
            }
        };
        DeviceSpec {
            id,
            name: kind.name,
            capability: kind.capability,
            memory_bytes: kind.memory_bytes.unwrap_or(host_bytes / sharing.max(1)),
        }
    };
    kinds.into_iter().map(name).collect()
}

/// Lowers the memory of devices to what `text` allows: `0=20GiB,cuda:1=22GiB,cpu=32GiB`. It may name those of
/// `others` too, which are not planned for here, and the processor where nothing is placed on it.
pub fn limit_memory(
    devices: &mut [DeviceSpec],
    others: &[String],
    text: &str,
) -> Result<(), FleetError> {
    let has_cpus = devices.iter().any(|device| device.capability.is_none());
    for (id, limit) in parse_limits(text)? {
        let known = devices.iter().map(|device| device.id.as_str()).collect::<Vec<_>>().join(", ");
        match devices.iter_mut().find(|device| device.id == id) {
            Some(device) => device.memory_bytes = device.memory_bytes.min(limit),
            None if others.contains(&id) || (id == "cpu" && !has_cpus) => {}
            None => return Err(FleetError::NoSuchDevice { name: id, known }),
        }
    }
    Ok(())
}

/// Ids and bytes of `0=20GiB,cuda:1=22GiB,cpu=32GiB`. A limit of 0 keeps a device free.
pub fn parse_limits(text: &str) -> Result<Vec<(String, u64)>, FleetError> {
    let mut limits: Vec<(String, u64)> = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let named = item.split_once('=').filter(|(name, _)| !name.trim().is_empty());
        let (name, size) = named.ok_or_else(|| FleetError::NoLimit(item.to_owned()))?;
        let limit = if parse_bytes(size)? == 0 { 0 } else { memory(size)? };
        let id = device_id(name.trim());
        if limits.iter().any(|(known, _)| *known == id) {
            return Err(FleetError::Twice(id));
        }
        limits.push((id, limit));
    }
    Ok(limits)
}

/// The id that people mean: a bare number is a GPU's.
pub(super) fn device_id(name: &str) -> String {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("cuda:{name}")
    } else if name == "cuda" {
        "cuda:0".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(text: &str) -> Vec<DeviceSpec> {
        parse_devices(text, 64 << 30).unwrap()
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, &str)]) {
        let devices = devices(text);
        let capability = |device: &DeviceSpec| {
            device.capability.map_or_else(String::new, |capability| capability.to_string())
        };
        let found: Vec<(&str, &str, String)> =
            devices.iter().map(|d| (d.id.as_str(), d.name.as_str(), capability(d))).collect();
        let found: Vec<(&str, &str, &str)> =
            found.iter().map(|(id, name, cc)| (*id, *name, cc.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn fleets_are_counted_and_numbered() {
        check("1xH100", &[("cuda:0", "H100", "9.0")]);
        check("a10", &[("cuda:0", "A10", "8.6")]);
        check(
            "1xA100-80GB,2xA10",
            &[("cuda:0", "A100-80GB", "8.0"), ("cuda:1", "A10", "8.6"), ("cuda:2", "A10", "8.6")],
        );
        check("t4,cpu", &[("cuda:0", "T4", "7.5"), ("cpu", "cpu", "")]);
        check("cpu,cpu", &[("cpu:0", "cpu", ""), ("cpu:1", "cpu", "")]);
        check("2xbox:24GiB:cc12.0", &[("cuda:0", "box", "12.0"), ("cuda:1", "box", "12.0")]);
    }

    #[test]
    fn memory_is_the_preset_s_the_text_s_or_a_share_of_the_host() {
        let memory = |text: &str| -> Vec<u64> {
            devices(text).iter().map(|device| device.memory_bytes).collect()
        };
        assert_eq!(memory("cpu"), [64 << 30]);
        assert_eq!(memory("cpu,cpu"), [32 << 30, 32 << 30]);
        assert_eq!(memory("cpu:8GiB"), [8 << 30]);
        assert_eq!(memory("mine:24GiB:cc8.6"), [24 << 30]);
        assert_eq!(memory("A10:20GiB"), [20 << 30]);
        for (name, gib) in [("V100-32GB", 31.75), ("T4", 14.56), ("H100", 79.11)] {
            let found = memory(name)[0] as f64 / f64::from(1 << 30);
            assert!((found - gib).abs() < 0.01, "{name} has {found} GiB");
        }
    }

    #[test]
    fn limits_only_lower() {
        let mut both = devices("2xA10,cpu");
        limit_memory(&mut both, &[], "0=20GiB, cuda:1=100GiB, cpu=32GB").unwrap();
        let memory: Vec<u64> = both.iter().map(|device| device.memory_bytes).collect();
        assert_eq!(memory, [20 << 30, devices("A10")[0].memory_bytes, 32_000_000_000]);
        // Nothing may lie there; and a limit of what is not used holds.
        let mut gpus = devices("2xA10");
        limit_memory(&mut gpus, &[], "0=0,1=20GiB,cpu=32GiB").unwrap();
        let memory: Vec<u64> = gpus.iter().map(|device| device.memory_bytes).collect();
        assert_eq!(memory, [0, 20 << 30]);
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |text: &str| parse_devices(text, 1 << 30).unwrap_err().to_string();
        assert!(wrong("2xV100").contains("V100-16GB"), "{}", wrong("2xV100"));
        assert!(wrong("0xA10").contains("0xA10"));
        assert!(wrong("65xA10").contains("65xA10"));
        assert!(wrong("40xA10,40xA10").contains("1 to 64"));
        assert!(wrong(" , ").contains("no device"));
        assert!(wrong("mine:24GiB:8.6").contains("cc8.6"));
        assert!(wrong("mine:24G:cc8.6").contains("24G"));
        assert!(wrong("mine:24:cc8.6").contains("give the unit too"));
        assert!(wrong("2x").contains("count without a device"));
        assert!(wrong("p40:24GiB:cc6.1").contains("6.1 is too old"));
        assert!(wrong(":24GiB:cc8.6").contains("no name"));
        assert!(wrong("cpu:24GiB:cc8.6").contains("no name"));
        assert!(wrong("live,A10").contains("alone, live"));
        let others = ["cuda:2".to_owned()];
        limit_memory(&mut devices("2xA10"), &others, "0=1GiB,2=1GiB").unwrap();
        let limit =
            |text| limit_memory(&mut devices("2xA10"), &others, text).unwrap_err().to_string();
        assert!(limit("3=1GiB").contains("cuda:0, cuda:1"), "{}", limit("3=1GiB"));
        assert!(limit("0=1GiB,cuda:0=2GiB").contains("twice"));
        assert!(limit("20GiB").contains("DEVICE=MEMORY"));
        assert!(limit("=20GiB").contains("DEVICE=MEMORY"));
        assert!(limit("0=20").contains("give the unit too"), "{}", limit("0=20"));
        assert!(limit("0=20gib").contains("20gib"));
    }
}
