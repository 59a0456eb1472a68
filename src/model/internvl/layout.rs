//! From options to places: opens the devices, asks the planner, and says where each part lives.

use super::config::Config;
use super::home::{Home, Homes};
use super::language::Room;
use super::load::{LoadError, LoadOptions};
use super::observe::Part;
use crate::device::{self, DeviceHandle};

/// How modules are spread.
#[derive(Debug, Clone, Default)]
pub struct LayoutOptions {}

#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error(transparent)]
    Dtype(#[from] crate::placement::DtypeRefused),
}

/// Devices in use, and who lives on them.
pub(super) struct Layout {
    pub(super) devices: Vec<DeviceHandle>,
    pub(super) homes: Homes,
}

pub(super) fn decide(
    config: &Config,
    options: &LoadOptions,
    _room: Room,
) -> Result<Layout, LoadError> {
    let devices = device::open(&options.devices)?;
    let layers = config.text.layers;
    let home = |part: Part, index: usize| -> Result<Home, LoadError> {
        let device: &DeviceHandle = &devices[index];
        let decision = options
            .dtypes
            .decide(&part.to_string(), device.capability)
            .map_err(LayoutError::from)?;
        Ok(Home { index, device: device.clone(), decision })
    };
    let last = devices.len() - 1;
    let homes = Homes {
        vision: home(Part::Vision, 0)?,
        projector: home(Part::Projector, 0)?,
        embedding: home(Part::Embedding, 0)?,
        layers: (0..layers)
            .map(|index| home(Part::Layer(index), index * devices.len() / layers))
            .collect::<Result<_, _>>()?,
        norm: home(Part::Norm, last)?,
        head: home(Part::Head, last)?,
    };
    Ok(Layout { devices, homes })
}
