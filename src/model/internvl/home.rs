//! Where each part of the model lives: its device, and the dtypes that it computes in.

use candle_core::{DType, Device};

use super::host_table::Host;
use super::observe::Part;
use crate::device::{DeviceHandle, Dtype};
use crate::placement::{DtypeDecision, Quantization, WeightFormat};
use crate::weights::{ModuleWeights, Weights};

/// One part's place.
#[derive(Debug, Clone)]
pub(super) struct Home {
    /// Of the device, in the model's list.
    pub(super) index: usize,
    pub(super) device: DeviceHandle,
    pub(super) decision: DtypeDecision,
}

/// The places of all parts.
#[derive(Debug, Clone)]
pub(super) struct Homes {
    /// The host, where the embedding's table stays in its memory; none: the table is where its rows begin.
    pub(super) host: Option<Host>,
    pub(super) vision: Home,
    pub(super) projector: Home,
    pub(super) embedding: Home,
    pub(super) layers: Vec<Home>,
    pub(super) norm: Home,
    pub(super) head: Home,
}

/// The devices of a model. What the model freed on them goes to whoever wants it when this is dropped, which
/// must be after all the rest of it.
#[derive(Debug)]
pub(super) struct Hosts(Vec<DeviceHandle>);

impl Hosts {
    pub(super) fn of(homes: &Homes) -> Self {
        let mut devices: Vec<DeviceHandle> = Vec::new();
        for (_, home) in homes.iter() {
            if devices.iter().all(|known| known.id != home.device.id) {
                devices.push(home.device.clone());
            }
        }
        Self(devices)
    }

    /// Gives what is free in the devices' pools to whoever wants it, once all that was begun is done.
    pub(super) fn give_back(&self) {
        for device in &self.0 {
            device.give_back();
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Home {
    /// Inputs of matrix products.
    pub(super) fn compute(&self) -> DType {
        self.decision.compute.to_candle()
    }

    /// The sum that runs through the layers, and the weights of norms, which read it.
    pub(super) fn residual(&self) -> DType {
        self.decision.residual().to_candle()
    }

    pub(super) fn candle_device(&self) -> &Device {
        &self.device.device
    }

    /// How matrices lie in memory, where that is not the compute dtype.
    pub(super) fn quantization(&self) -> Option<Quantization> {
        match self.decision.weights {
            WeightFormat::Dense(_) => None,
            WeightFormat::Quantized(format) => Some(format),
        }
    }

    /// Weights of matrices.
    pub(super) fn matrices<'a>(&'a self, weights: &'a Weights) -> ModuleWeights<'a> {
        weights.on(&self.device, self.decision.compute)
    }

    /// Weights of norms and of whatever is added to the residual.
    pub(super) fn vectors<'a>(&'a self, weights: &'a Weights) -> ModuleWeights<'a> {
        weights.on(&self.device, self.decision.residual())
    }

    /// The same place, computing in f32, for `reason`.
    pub(super) fn in_f32(&self, reason: String) -> Self {
        let decision = DtypeDecision {
            requested: self.decision.requested,
            compute: Dtype::F32,
            weights: WeightFormat::Dense(Dtype::F32),
            reason,
        };
        Self { decision, ..self.clone() }
    }
}

impl Homes {
    /// Each part with its place, in the order in which a prompt meets them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Part, &Home)> {
        let before = [
            (Part::Vision, &self.vision),
            (Part::Projector, &self.projector),
            (Part::Embedding, &self.embedding),
        ];
        let layers = self.layers.iter().enumerate().map(|(index, home)| (Part::Layer(index), home));
        let after = [(Part::Norm, &self.norm), (Part::Head, &self.head)];
        before.into_iter().chain(layers).chain(after)
    }

    /// Where the embedding's table is: as its rows are, but for the device.
    pub(super) fn table(&self) -> Home {
        let device = self.host.as_ref().map_or(&self.embedding.device, |host| &host.device);
        Home { device: device.clone(), ..self.embedding.clone() }
    }

    pub(super) fn get_mut(&mut self, part: Part) -> &mut Home {
        match part {
            Part::Vision => &mut self.vision,
            Part::Projector => &mut self.projector,
            Part::Embedding => &mut self.embedding,
            Part::Layer(index) => &mut self.layers[index],
            Part::Norm => &mut self.norm,
            Part::Head => &mut self.head,
        }
    }

    /// The directions in which a prompt and its next token cross from device to device.
    pub(super) fn crossings(&self) -> Vec<(usize, usize)> {
        let mut crossings = vec![
            (self.vision.index, self.projector.index),
            (self.projector.index, self.embedding.index),
        ];
        let mut at = self.embedding.index;
        for next in self.layers.iter().chain([&self.norm, &self.head]) {
            crossings.push((at, next.index));
            at = next.index;
        }
        crossings.retain(|(from, to)| from != to);
        crossings.sort_unstable();
        crossings.dedup();
        crossings
    }
}
