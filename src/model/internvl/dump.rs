//! Named activations of one prompt, written to a safetensors file: to compare Tessera with another
//! pipeline layer by layer, and to find where a NaN is born.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor};

use super::aim::Aim;
use super::laps::Laps;
use super::looks::Looks;
use super::observe::{Observe, Part, Site};
use super::runner::InternVl;
use crate::model::output::Want;
use crate::model::runner::{PixelTiles, Runner as _, Segment, Slot, SlotTiles};

/// Tensors by the name of their site.
pub type Activations = HashMap<String, Tensor>;

/// Collects what it sees on the host, in f32. A site seen again is continued.
#[derive(Default)]
struct Recorder {
    sites: BTreeMap<String, Vec<Tensor>>,
}

impl Observe for Recorder {
    fn see(&mut self, part: Part, site: Site, tensor: &Tensor) -> Result<()> {
        let name = match (part, site) {
            (Part::Vision, Site::Residual) => "vision".to_owned(),
            (Part::Projector, Site::Residual) => "projector".to_owned(),
            (Part::Embedding, Site::Residual) => "hidden.0".to_owned(),
            (Part::Layer(index), Site::Residual) => format!("hidden.{}", index + 1),
            (_, Site::Logits) => "logits".to_owned(),
            _ => return Ok(()),
        };
        self.record(&name, tensor)
    }
}

impl Recorder {
    fn record(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        let tensor = tensor.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.contiguous()?;
        self.sites.entry(name.to_owned()).or_default().push(tensor);
        Ok(())
    }
}

impl InternVl {
    /// All activations of a prompt of `tokens` over `pixels`, by name:
    ///
    /// | name | shape |
    /// |---|---|
    /// | `pixel_values` | `[tiles, 3, side, side]` |
    /// | `vision` | `[tiles, 1 + patches, vision hidden]`, class token first |
    /// | `projector` | `[tiles * tokens_per_tile, hidden]` |
    /// | `hidden.0` | `[tokens, hidden]`: embeddings with the image rows in place |
    /// | `hidden.1` ... `hidden.N` | after each decoder layer, before the final norm |
    /// | `logits` | `[vocab]`, after the last token |
    /// | `tokens` | `[tokens]`, u32 |
    ///
    /// All but `tokens` are f32, whatever the model computes in.
    pub fn activations(&mut self, pixels: PixelTiles<'_>, tokens: &[u32]) -> Result<Activations> {
        let slot = Slot(0);
        let mut recorder = Recorder::default();
        if pixels.tiles > 0 {
            let tensor = self.pixel_tensor(&[SlotTiles { slot, first_tile: 0, pixels }])?;
            recorder.record("pixel_values", &tensor)?;
            let rows = self.features(&tensor, &mut recorder)?;
            self.features.insert(slot, 0, rows);
        }
        let blocks = self.spec.blocks_of_one(tokens.len());
        let segment = Segment {
            slot,
            blocks: &blocks,
            start: 0,
            tokens,
            image_tokens_before: 0,
            want: Want::Logits,
            pages: &[],
        };
        let (laps, looks) = (&mut Laps::off(), &mut Looks::none());
        let hidden = self.hidden(&[segment], Aim::All, &mut recorder, (laps, looks))?;
        let last = hidden.narrow(0, tokens.len() - 1, 1)?;
        self.decoder.logits(&last, &mut recorder, &mut Laps::off())?;
        self.release(slot);
        let mut named = recorder
            .sites
            .into_iter()
            .map(|(site, pieces)| Ok((site, Tensor::cat(&pieces, 0)?)))
            .collect::<Result<Activations>>()?;
        if let Some(logits) = named.get_mut("logits") {
            *logits = logits.squeeze(0)?;
        }
        named.insert("tokens".to_owned(), Tensor::new(tokens, &Device::Cpu)?);
        Ok(named)
    }
}

/// Writes `activations` to `path`.
pub fn write(activations: &Activations, path: &Path) -> Result<()> {
    candle_core::safetensors::save(activations, path)
}
