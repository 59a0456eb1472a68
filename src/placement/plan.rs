//! A plan: where each module goes, what that takes of each device, and what is missing.

use std::fmt;

use super::accelerate::{self, Balance};
use super::auto::{self, Choice};
use super::bytes::Bytes;
use super::cost::{Demand, ModelCost};
use super::device_map::{self, DeviceMap, MapError};
use super::dtype_policy::{DtypeDecision, DtypeOverride, DtypePolicy, DtypeRefused};
use super::fleet::DeviceSpec;
use super::prices::Prices;
use super::split_model;
use crate::device::Dtype;

/// A placement with its accounts.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// No device is over its budget.
    pub fits: bool,
    /// Why the modules lie as they do.
    pub reason: String,
    /// As given, unused ones too.
    pub devices: Vec<DevicePlan>,
    /// In the order of a forward pass.
    pub placements: Vec<PlannedModule>,
    pub kv_bytes_per_token: u64,
    /// Tokens of all sequences together for which every device has room.
    pub kv_tokens: u64,
    /// How often a token's row moves to another device on its way through the decoder.
    pub crossings: usize,
    pub problems: Vec<Problem>,
}

/// Memory of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePlan {
    pub spec: DeviceSpec,
    pub weight_bytes: u64,
    /// The KV cache, which is allocated when the model loads.
    pub kv_bytes: u64,
    /// Of one pass at its largest, what decoding steps keep, and image features of all sequences.
    pub activation_bytes: u64,
    /// For the driver and libraries; none where nothing is placed.
    pub reserve_bytes: u64,
    /// Tokens for which the device has room; none where nothing on it grows with them.
    pub kv_tokens: Option<u64>,
}

/// Where one module goes, as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedModule {
    /// In the original layout's names.
    pub module: String,
    /// Index into the devices.
    pub device: usize,
    pub decision: DtypeDecision,
    /// Of the device's memory, or of the host's.
    pub bytes: u64,
    /// Its weights stay in the host's memory: the device has the rows that are read of them.
    pub on_host: bool,
}

/// A device that would need more memory than it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Index into the devices.
    pub device: usize,
    text: String,
}

/// Why there is no plan at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("there is no device to place the model on")]
    NoDevices,
    #[error("the device map names {id}, which is not there: the devices are {known}")]
    UnknownDevice { id: String, known: String },
    #[error(transparent)]
    Map(#[from] MapError),
    #[error(
        "--dtype-override {pattern}={dtype} names a layer that is not there: the model has {layers}, from 0 on"
    )]
    OverrideOfNothing { pattern: String, dtype: Dtype, layers: usize },
    #[error(transparent)]
    Dtype(#[from] DtypeRefused),
}

/// Places the model of `cost` on `devices` as `map` says. A plan that does not fit is a plan, with its
/// problems; an error is where no map can be made.
pub fn plan(
    cost: &ModelCost,
    devices: &[DeviceSpec],
    map: &DeviceMap,
    policy: &DtypePolicy,
    demand: &Demand,
) -> Result<Plan, PlanError> {
    if devices.is_empty() {
        return Err(PlanError::NoDevices);
    }
    let layers = cost.layers();
    let beyond =
        |own: &&DtypeOverride| own.modules.last_layer().is_some_and(|last| last as usize >= layers);
    if let Some(own) = policy.overrides.iter().find(beyond) {
        let (pattern, dtype) = (own.modules.to_string(), own.dtype);
        return Err(PlanError::OverrideOfNothing { pattern, dtype, layers });
    }
    let prices = Prices::new(cost, devices, policy, demand)?;
    let choice = match map {
        DeviceMap::Auto => auto::choose(&prices),
        DeviceMap::Balanced => accelerate::choose(&prices, Balance::Even),
        DeviceMap::BalancedLow0 => accelerate::choose(&prices, Balance::LowFirst),
        DeviceMap::Sequential => accelerate::choose(&prices, Balance::None),
        DeviceMap::InternVl => split_model::choose(&prices),
        DeviceMap::Single(id) => {
            let device = find(devices, id)?;
            as_asked(vec![device; cost.modules.len()])
        }
        DeviceMap::Explicit(entries) => {
            let ids = device_map::resolve(entries, cost)?;
            as_asked(ids.into_iter().map(|id| find(devices, id)).collect::<Result<_, _>>()?)
        }
    };
    account(&prices, choice)
}

fn as_asked(devices: Vec<usize>) -> Choice {
    Choice { devices, reason: "as asked".to_owned() }
}

/// The device of this id. `cpu` also means the first of several.
fn find(devices: &[DeviceSpec], id: &str) -> Result<usize, PlanError> {
    let named = |id: &str| devices.iter().position(|device| device.id == id);
    let found = named(id).or_else(|| if id == "cpu" { named("cpu:0") } else { None });
    found.ok_or_else(|| PlanError::UnknownDevice {
        id: id.to_owned(),
        known: devices.iter().map(|device| device.id.as_str()).collect::<Vec<_>>().join(", "),
    })
}

/// Sums up what `choice` takes.
fn account(prices: &Prices<'_>, choice: Choice) -> Result<Plan, PlanError> {
    let placements = placements(prices, &choice.devices)?;
    let devices: Vec<DevicePlan> =
        (0..prices.devices.len()).map(|device| device_plan(prices, &choice, device)).collect();
    let modules = prices.cost.modules.iter().zip(&choice.devices).enumerate();
    let kv_bytes_per_token =
        modules.map(|(module, (_, device))| prices.price(*device, module).kv_per_token).sum();
    let problems: Vec<Problem> =
        devices.iter().enumerate().filter_map(|(index, device)| device.problem(index)).collect();
    let decoder: Vec<usize> = prices
        .cost
        .modules
        .iter()
        .zip(&choice.devices)
        .filter(|(module, _)| module.is_decoder())
        .map(|(_, device)| *device)
        .collect();
    Ok(Plan {
        fits: problems.is_empty(),
        reason: choice.reason,
        kv_tokens: devices.iter().filter_map(|device| device.kv_tokens).min().unwrap_or(0),
        crossings: decoder.windows(2).filter(|pair| pair[0] != pair[1]).count(),
        devices,
        placements,
        kv_bytes_per_token,
        problems,
    })
}

fn placements(prices: &Prices<'_>, devices: &[usize]) -> Result<Vec<PlannedModule>, DtypeRefused> {
    let mut usage = vec![super::prices::Usage::default(); prices.devices.len()];
    let modules = prices.cost.modules.iter().zip(devices).enumerate();
    modules
        .map(|(index, (module, device))| {
            let price = prices.price(*device, index);
            if let Some(refused) = &price.refused {
                return Err(refused.clone());
            }
            let before = usage[*device];
            usage[*device] = prices.add(before, *device, index);
            Ok(PlannedModule {
                module: module.name.clone(),
                device: *device,
                decision: price.decision.clone(),
                bytes: price.host_weights + usage[*device].weights - before.weights,
                on_host: price.host_weights > 0,
            })
        })
        .collect()
}

fn device_plan(prices: &Prices<'_>, choice: &Choice, device: usize) -> DevicePlan {
    let here = (0..choice.devices.len()).filter(|module| choice.devices[*module] == device);
    let here: Vec<usize> = here.collect();
    let usage = prices.usage(device, here.iter().copied());
    let tokens = prices.demand.tokens();
    DevicePlan {
        spec: prices.devices[device].clone(),
        weight_bytes: usage.weights,
        kv_bytes: usage.kv_per_token.saturating_mul(tokens),
        activation_bytes: (usage.held_per_token.saturating_mul(tokens))
            .saturating_add(usage.peak)
            .saturating_add(usage.standing),
        reserve_bytes: if here.is_empty() { 0 } else { prices.reserve(device) },
        kv_tokens: prices.tokens(device, &usage),
    }
}

impl DevicePlan {
    pub fn used_bytes(&self) -> u64 {
        let parts = [self.weight_bytes, self.kv_bytes, self.activation_bytes, self.reserve_bytes];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    /// Whether anything is placed here.
    pub fn is_used(&self) -> bool {
        self.used_bytes() > 0
    }

    fn problem(&self, device: usize) -> Option<Problem> {
        let missing = self.used_bytes().checked_sub(self.spec.memory_bytes).filter(|m| *m > 0)?;
        let text = format!(
            "{} ({}) has {} and would need {}, which is {} more: weights {}, KV {}, activations {}, \
             reserve {}",
            self.spec.id,
            self.spec.name,
            Bytes(self.spec.memory_bytes),
            Bytes(self.used_bytes()),
            Bytes(missing),
            Bytes(self.weight_bytes),
            Bytes(self.kv_bytes),
            Bytes(self.activation_bytes),
            Bytes(self.reserve_bytes),
        );
        Some(Problem { device, text })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Numbers as `0-9,27`.
pub fn ranges(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let shown = runs.into_iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    });
    shown.collect::<Vec<_>>().join(",")
}
