//! What is not recorded but looked up when somebody reads the metrics: how busy the engine is, and
//! what was loaded where.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::names::{self, Spec};
use crate::telemetry::heap;

/// Says how things are now. Called for each metric at each reading.
pub type Source = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// The engine and the model, as plain values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// As clients name it.
    pub model: String,
    /// One of `states`.
    pub state: &'static str,
    pub states: &'static [&'static str],
    pub running: usize,
    pub waiting: usize,
    pub slots: usize,
    /// Share of the KV cache, 0 to 1.
    pub kv_utilization: f64,
    pub devices: Vec<DeviceMemory>,
    pub links: Vec<LinkUse>,
    pub fallbacks: Vec<Fallback>,
}

/// Bytes of one device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceMemory {
    pub device: String,
    pub total: u64,
    pub free: u64,
    pub weights: u64,
    pub kv_cache: u64,
}

/// One direction between two devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LinkUse {
    pub from: String,
    pub to: String,
    pub route: &'static str,
    pub bytes_per_second: f64,
}

/// Modules of one device that are in another dtype than asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fallback {
    pub device: String,
    pub requested: String,
    pub used: String,
    pub modules: u64,
}

type Values = Vec<(f64, Vec<KeyValue>)>;

/// Makes the gauges that read `source`.
pub(super) fn register(meter: &Meter, source: &Source) {
    let one = |value: usize| vec![(value as f64, Vec::new())];
    gauge(meter, source, &names::RUNNING, move |now| one(now.running));
    gauge(meter, source, &names::WAITING, move |now| one(now.waiting));
    gauge(meter, source, &names::SLOTS, move |now| one(now.slots));
    gauge(meter, source, &names::KV_UTILIZATION, |now| vec![(now.kv_utilization, Vec::new())]);
    gauge(meter, source, &names::MODEL_STATE, |now| {
        let value = |state| f64::from(u8::from(state == now.state));
        let states = now.states.iter();
        states.map(|&state| (value(state), vec![KeyValue::new("tessera.state", state)])).collect()
    });
    gauge(meter, source, &names::DTYPE_FALLBACKS, |now| {
        now.fallbacks.iter().map(Fallback::value).collect()
    });
    gauge(meter, source, &names::DEVICE_MEMORY, |now| {
        now.devices.iter().flat_map(DeviceMemory::values).collect()
    });
    gauge(meter, source, &names::LINK_BANDWIDTH, |now| {
        now.links.iter().map(LinkUse::value).collect()
    });
    // Nothing where the program's allocator is not counted.
    gauge(meter, source, &names::HEAP, |_| {
        Some(heap::held())
            .filter(|held| *held > 0)
            .map(|held| (held as f64, Vec::new()))
            .into_iter()
            .collect()
    });
}

fn gauge(
    meter: &Meter,
    source: &Source,
    spec: &Spec,
    values: impl Fn(&Snapshot) -> Values + Send + Sync + 'static,
) {
    let source = Arc::clone(source);
    // The meter keeps the callback; the handle has no use of its own.
    let _ = meter
        .f64_observable_gauge(spec.name)
        .with_unit(spec.unit)
        .with_description(spec.description)
        .with_callback(move |observer| {
            for (value, labels) in values(&source()) {
                observer.observe(value, &labels);
            }
        })
        .build();
}

impl DeviceMemory {
    fn values(&self) -> Values {
        let kinds = [
            ("total", self.total),
            ("free", self.free),
            ("weights", self.weights),
            ("kv_cache", self.kv_cache),
        ];
        let labels = |kind| {
            vec![
                KeyValue::new("tessera.device", self.device.clone()),
                KeyValue::new("tessera.memory", kind),
            ]
        };
        kinds.into_iter().map(|(kind, bytes)| (bytes as f64, labels(kind))).collect()
    }
}

impl LinkUse {
    fn value(&self) -> (f64, Vec<KeyValue>) {
        let labels = vec![
            KeyValue::new("tessera.link.from", self.from.clone()),
            KeyValue::new("tessera.link.to", self.to.clone()),
            KeyValue::new("tessera.link.route", self.route),
        ];
        (self.bytes_per_second, labels)
    }
}

impl Fallback {
    fn value(&self) -> (f64, Vec<KeyValue>) {
        let labels = vec![
            KeyValue::new("tessera.device", self.device.clone()),
            KeyValue::new("tessera.dtype.requested", self.requested.clone()),
            KeyValue::new("tessera.dtype.used", self.used.clone()),
        ];
        (self.modules as f64, labels)
    }
}
