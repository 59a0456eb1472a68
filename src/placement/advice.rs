//! The nearest changes with which a plan that does not fit would: found by planning again.

use std::fmt;

use super::auto::largest;
use super::cost::{Demand, ModelCost, ModuleKind};
use super::device_map::DeviceMap;
use super::dtype_policy::{DtypePolicy, Quantization};
use super::fleet::{DeviceSpec, presets};
use super::plan::{Plan, plan};

/// More devices of a kind than that are another purchase.
const MORE_DEVICES_MAX: usize = 8;

/// One change that is enough by itself, or the smallest set of changes where none is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    /// Another strategy, with all else as it is.
    Auto,
    FewerSlots(usize),
    ShorterSlots(usize),
    FewerKvTokens(usize),
    Quantize,
    /// The embedding's table stays in the host's memory.
    HostEmbedding,
    /// Each device's own dtype instead of the one asked for.
    AutoDtype,
    /// All of these together.
    Together(Vec<Advice>),
    /// The smallest one of the known devices that has room for everything.
    OtherDevice(String),
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
            Self::HostEmbedding => f.write_str("--embedding host"),
            Self::AutoDtype => f.write_str("--dtype auto"),
            Self::Together(changes) => {
                let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
                f.write_str(&changes.join(" "))
            }
            Self::OtherDevice(name) => write!(f, "one {name} instead"),
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
    let on_host = ModelCost { host_embedding: true, ..cost.clone() };
    if !cost.host_embedding && fits(plan(&on_host, devices, map, policy, demand).ok()) {
        advice.push(Advice::HostEmbedding);
    }
    let auto_dtype = DtypePolicy { requested: None, ..policy.clone() };
    if policy.requested.is_some() && fits(try_plan(devices, map, &auto_dtype, *demand)) {
        advice.push(Advice::AutoDtype);
    }
    let q8 = DtypePolicy { quantization: Some(Quantization::Q8), ..policy.clone() };
    if policy.quantization.is_none() && fits(try_plan(devices, map, &q8, *demand)) {
        advice.push(Advice::Quantize);
    }
    advice.extend(more_devices(cost, devices, map, &now, |devices| {
        fits(try_plan(devices, map, policy, *demand))
    }));
    if advice.is_empty() {
        let shortest = demand.slot_tokens.min(page_tokens);
        let works = |policy: &DtypePolicy, slots, slot_tokens| {
            let demand = Demand { slots, slot_tokens, kv_tokens: None, ..*demand };
            fits(try_plan(devices, map, policy, demand))
        };
        advice.extend(together(policy, demand, shortest, works));
    }
    if advice.is_empty() {
        let on_one = |device: &DeviceSpec| {
            let devices = std::slice::from_ref(device);
            fits(try_plan(devices, &DeviceMap::Auto, policy, *demand))
        };
        let mut known = presets();
        known.sort_by_key(|device| device.memory_bytes);
        let found = known.into_iter().find(on_one);
        advice.extend(found.map(|device| Advice::OtherDevice(device.name)));
    }
    advice
}

/// The smallest set of changes that is enough, of 8-bit weights, one slot and a slot of `shortest` tokens.
fn together(
    policy: &DtypePolicy,
    demand: &Demand,
    shortest: usize,
    works: impl Fn(&DtypePolicy, usize, usize) -> bool,
) -> Option<Advice> {
    let q8 = DtypePolicy { quantization: Some(Quantization::Q8), ..policy.clone() };
    let all = (1, shortest);
    let as_they_are = (demand.slots, demand.slot_tokens);
    let one_slot = (1, demand.slot_tokens);
    let short = (demand.slots, shortest);
    let changes = [(policy, all), (&q8, one_slot), (&q8, short), (&q8, all)];
    let (policy_found, (slots, tokens)) =
        changes.into_iter().find(|(policy, (slots, tokens))| works(policy, *slots, *tokens))?;
    let mut changes = Vec::new();
    if policy_found.quantization != policy.quantization {
        changes.push(Advice::Quantize);
    }
    if slots != as_they_are.0 {
        changes.push(Advice::FewerSlots(slots));
    }
    if tokens != as_they_are.1 {
        changes.push(Advice::ShorterSlots(tokens));
    }
    Some(Advice::Together(changes))
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
