//! The nearest changes with which a plan that does not fit would: found by planning again.

use std::fmt;

use super::auto::largest;
use super::cost::{Demand, ModelCost, ModuleKind};
use super::device_map::DeviceMap;
use super::dtype_policy::{DtypePolicy, Quantization};
use super::fleet::DeviceSpec;
use super::plan::{Plan, plan};

/// More devices of a kind than that are another purchase.
const MORE_DEVICES_MAX: usize = 8;

/// One change that is enough by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// Another strategy, with all else as it is.
    Auto,
    FewerSlots(usize),
    ShorterSlots(usize),
    FewerKvTokens(usize),
    Quantize,
    /// So many more devices of this name.
    MoreDevices {
        count: usize,
        name: String,
    },
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("--device-map auto"),
            Self::FewerSlots(slots) => write!(f, "--slots {slots}"),
            Self::FewerKvTokens(tokens) => write!(f, "--kv-tokens {tokens}"),
            Self::ShorterSlots(tokens) => write!(f, "--slot-tokens {tokens}"),
            Self::Quantize => f.write_str("--quantize q8"),
            Self::MoreDevices { count, name } => write!(f, "{count} more {name}"),
        }
    }
}

/// What would make the model fit; empty where it does, or nothing here would. `page_tokens` is the
/// shortest slot that is of use.
pub fn advise(
    cost: &ModelCost,
    devices: &[DeviceSpec],
    map: &DeviceMap,
    policy: &DtypePolicy,
    demand: &Demand,
    page_tokens: usize,
) -> Vec<Advice> {
    let try_plan = |devices: &[DeviceSpec], map: &DeviceMap, policy: &DtypePolicy, demand| {
        plan(cost, devices, map, policy, &demand).ok()
    };
    let fits = |found: Option<Plan>| found.is_some_and(|plan| plan.fits);
    let Some(now) = try_plan(devices, map, policy, *demand) else { return Vec::new() };
    if now.fits {
        return Vec::new();
    }
    let mut advice = Vec::new();
    if *map != DeviceMap::Auto && fits(try_plan(devices, &DeviceMap::Auto, policy, *demand)) {
        advice.push(Advice::Auto);
    }
    let slots = |slots: u64| {
        fits(try_plan(devices, map, policy, Demand { slots: slots as usize, ..*demand }))
    };
    if demand.slots > 1 && slots(1) {
        advice.push(Advice::FewerSlots(largest(1, demand.slots as u64, slots) as usize));
    }
    let tokens = |tokens: u64| {
        fits(try_plan(devices, map, policy, Demand { slot_tokens: tokens as usize, ..*demand }))
    };
    let (shortest, longest) = (page_tokens as u64, demand.slot_tokens as u64);
    if shortest < longest && tokens(shortest) {
        // A round number.
        let most = largest(shortest, longest, tokens);
        let round = (most / 256 * 256).max(shortest);
        advice.push(Advice::ShorterSlots(round as usize));
    }
    let kv_tokens = |tokens: u64| {
        let kv_tokens = Some(tokens as usize);
        fits(try_plan(devices, map, policy, Demand { kv_tokens, ..*demand }))
    };
    if longest < demand.tokens() && kv_tokens(longest) {
        let most = largest(longest, demand.tokens(), kv_tokens);
        advice.push(Advice::FewerKvTokens((most / 256 * 256).max(longest) as usize));
    }
    let q8 = DtypePolicy { quantization: Some(Quantization::Q8), ..policy.clone() };
    if policy.quantization.is_none() && fits(try_plan(devices, map, &q8, *demand)) {
        advice.push(Advice::Quantize);
    }
    advice.extend(more_devices(cost, devices, map, &now, |devices| {
        fits(try_plan(devices, map, policy, *demand))
    }));
    advice
}

/// More of the kind that is short of memory, where the map spreads over what there is.
fn more_devices(
    cost: &ModelCost,
    devices: &[DeviceSpec],
    map: &DeviceMap,
    now: &Plan,
    fits: impl Fn(&[DeviceSpec]) -> bool,
) -> Option<Advice> {
    let spreads = !matches!(map, DeviceMap::Single(_) | DeviceMap::Explicit(_));
    let short = &devices[now.problems.first()?.device];
    // The host's processors are not bought by the piece.
    if !spreads || short.capability.is_none() || cost.find(ModuleKind::Layer).is_none() {
        return None;
    }
    let mut more = devices.to_vec();
    for count in 1..=MORE_DEVICES_MAX {
        // After the GPUs, before the host.
        let at = more.iter().rposition(|device| device.capability.is_some()).map_or(0, |at| at + 1);
        more.insert(at, DeviceSpec { id: format!("cuda:{at}"), ..short.clone() });
        if fits(&more) {
            return Some(Advice::MoreDevices { count, name: short.name.clone() });
        }
    }
    None
}
