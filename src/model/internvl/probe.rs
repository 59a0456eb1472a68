//! The ranges that numbers really reach in this model, on this machine: measured at start-up on a known
//! prompt, and while serving where logits turned out not to be finite.

use std::collections::BTreeMap;

use candle_core::{D, DType, Result, Tensor};

use super::aim::Aim;
use super::fused::DecodeRow;
use super::laps::Laps;
use super::looks::Looks;
use super::observe::{Blind, Observe, Part, Site};
use super::runner::InternVl;
use crate::device::Dtype;
use crate::model::draw::{Draw, Odds};
use crate::model::output::{Choice, Want};
use crate::model::runner::{
    NonFinite, PixelData, PixelTiles, Runner as _, Segment, SiteRange, Slot, SlotTiles, StepBatch,
};

/// The prompt that is run at start-up.
#[derive(Debug, Clone, Default)]
pub struct ProbeInput {
    /// Normalised pixels of `tiles` tiles.
    pub pixels: Vec<f32>,
    pub tiles: usize,
    pub tokens: Vec<u32>,
}

/// The operations that a probe goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Plain ones, which show every place.
    Plain,
    /// Those that serve, which show what is between layers.
    Served,
}

/// What a probe found.
#[derive(Debug)]
pub(super) struct Probed {
    /// In the order in which a prompt meets them.
    pub(super) sites: Vec<SiteRange>,
    /// The last row of what each part makes, in the same order.
    pub(super) rows: Vec<(Part, Vec<f32>)>,
    /// Rows of the page's tiles, as the decoder takes them in.
    pub(super) features: Vec<f32>,
    /// After the last token; none where the decoder was not run.
    pub(super) logits: Option<Vec<f32>>,
}

/// Largest magnitudes by place, and the last row that each part made.
#[derive(Debug)]
struct Ranges {
    way: Way,
    seen: BTreeMap<(Part, Site), Range>,
    rows: BTreeMap<Part, Vec<f32>>,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    max_abs: f32,
    is_finite: bool,
    dtype: DType,
}

impl Range {
    fn of(tensor: &Tensor) -> Result<Self> {
        let wide = tensor.to_dtype(DType::F32)?;
        let max_abs = wide.abs()?.max_all()?.to_scalar::<f32>()?;
        // Nothing times an infinity is not a number, and a NaN stays in a sum.
        let zero = wide.affine(0.0, 0.0)?.sum_all()?.to_scalar::<f32>()?;
        Ok(Self { max_abs, is_finite: zero == 0.0, dtype: tensor.dtype() })
    }
}

impl Observe for Ranges {
    fn looks_inside(&self) -> bool {
        self.way == Way::Plain
    }

    fn see(&mut self, part: Part, site: Site, tensor: &Tensor) -> Result<()> {
        let new = Range::of(tensor)?;
        let range = self.seen.entry((part, site)).or_insert(new);
        range.max_abs = range.max_abs.max(new.max_abs);
        range.is_finite &= new.is_finite;
        if matches!(site, Site::Residual | Site::Logits) {
            let rows = tensor.reshape(((), tensor.dim(D::Minus1)?))?;
            let last = rows.narrow(0, rows.dim(0)? - 1, 1)?.flatten_all()?;
            self.rows.insert(part, last.to_dtype(DType::F32)?.to_vec1()?);
        }
        Ok(())
    }
}

/// The first place where a number is not finite.
#[derive(Default)]
struct FirstNonFinite {
    found: Option<(Part, Site, DType)>,
}

impl Observe for FirstNonFinite {
    fn looks_inside(&self) -> bool {
        true
    }

    fn see(&mut self, part: Part, site: Site, tensor: &Tensor) -> Result<()> {
        if self.found.is_none() && !Range::of(tensor)?.is_finite {
            self.found = Some((part, site, tensor.dtype()));
        }
        Ok(())
    }
}

impl InternVl {
    /// Runs `input` through the whole model and measures every place that can be seen on this way. What serves by
    /// the plain operations has no other way, and is not run a second time.
    pub(super) fn probe(&mut self, input: &ProbeInput, way: Way) -> Result<Probed> {
        let mut ranges = Ranges { way, seen: BTreeMap::new(), rows: BTreeMap::new() };
        let has_decoder = way == Way::Plain || self.decoder.has_kernels();
        let has_pages = has_decoder || self.vision.has_kernels();
        let slot = Slot(0);
        let ran = self.take_pages(slot, input, has_pages, &mut ranges).and_then(|features| {
            let decode = has_decoder.then(|| self.take_tokens(slot, input, &mut ranges));
            Ok((features, decode.transpose()?))
        });
        self.release(slot);
        let (features, logits) = ran?;
        let sites = ranges.seen.into_iter().map(|((part, site), range)| SiteRange {
            module: part.to_string(),
            site: if way == Way::Plain { site.name() } else { site.served_name() },
            dtype: Dtype::of_activation(range.dtype),
            max_abs: range.max_abs,
            is_finite: range.is_finite,
        });
        let rows = ranges.rows.into_iter().collect();
        Ok(Probed { sites: sites.collect(), rows, features, logits })
    }

    /// The logits after the last token of `input` where that is taken in by a decoding step of its own, and the devices'
    /// choices in that step, in one whose logits nobody reads, and in one that draws from the likeliest token alone. None where no
    /// such step was made ready.
    pub(super) fn probe_decoding(
        &mut self,
        input: &ProbeInput,
    ) -> Result<Option<(Vec<f32>, Vec<Choice>)>> {
        let Some((token, before)) = input.tokens.split_last() else { return Ok(None) };
        if before.is_empty() || *token == self.spec.image_token_id {
            return Ok(None);
        }
        let slot = Slot(0);
        let prompt = ProbeInput { tokens: before.to_vec(), ..input.clone() };
        let ran = self
            .take_pages(slot, &prompt, true, &mut Blind)
            .and_then(|_| self.take_tokens(slot, &prompt, &mut Blind));
        self.release(slot);
        ran?;
        let blocks = self.spec.blocks_of_one(input.tokens.len());
        let of_one = Odds { temperature: 1.0, top_k: Some(1), ..Odds::GREEDY };
        let drawn = Want::Drawn(Draw { odds: of_one, seen: &[], allowed: None, number: 0 });
        let (mut logits, mut choices) = (Vec::new(), Vec::new());
        for want in [Want::Logits, Want::Greedy, drawn] {
            // The same token again writes the same entries again.
            let position = before.len();
            let row = DecodeRow { slot, blocks: &blocks, token: *token, position, want };
            let Some(decoded) = self.decoder.decode(&[row], &mut Looks::none())? else {
                return Ok(None);
            };
            choices.extend(decoded.chosen.wait()?);
            if want == Want::Logits {
                logits = decoded.logits.narrow(0, 0, 1)?.flatten_all()?.to_vec1()?;
            }
        }
        Ok(Some((logits, choices)))
    }

    /// Encodes the tiles of `input`, where it `has_pages` to run, for `slot`; returns their rows.
    fn take_pages(
        &mut self,
        slot: Slot,
        input: &ProbeInput,
        has_pages: bool,
        observer: &mut dyn Observe,
    ) -> Result<Vec<f32>> {
        if input.tiles == 0 || !has_pages {
            return Ok(Vec::new());
        }
        let pixels = PixelTiles { tiles: input.tiles, data: PixelData::Values(&input.pixels) };
        let tensor = self.pixel_tensor(&[SlotTiles { slot, first_tile: 0, pixels }])?;
        let rows = self.features(&tensor, observer)?;
        let values = rows.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
        self.features.insert(slot, 0, rows);
        Ok(values)
    }

    /// Returns the logits after the last token.
    fn take_tokens(
        &mut self,
        slot: Slot,
        input: &ProbeInput,
        observer: &mut dyn Observe,
    ) -> Result<Vec<f32>> {
        let blocks = self.spec.blocks_of_one(input.tokens.len());
        let segment = Segment {
            slot,
            blocks: &blocks,
            start: 0,
            tokens: &input.tokens,
            image_tokens_before: 0,
            want: Want::Logits,
            pages: &[],
        };
        // What serves finishes the last layer for a prompt's last row alone.
        let aim = if observer.looks_inside() { Aim::All } else { Aim::LastOf(&[0]) };
        let hidden =
            self.hidden(&[segment], aim, observer, (&mut Laps::off(), &mut Looks::none()))?;
        let last = hidden.narrow(0, hidden.dim(0)? - 1, 1)?;
        let logits = self.decoder.logits(&last, observer, &mut Laps::off())?;
        logits.flatten_all()?.to_vec1()
    }

    /// Where the first number of `batch` that is not finite comes from. Takes the same tokens in once
    /// more, which changes nothing: they overwrite their own KV entries.
    pub(super) fn first_non_finite(&mut self, batch: &StepBatch<'_>) -> Option<NonFinite> {
        let mut first = FirstNonFinite::default();
        let features = batch.segments.iter().find_map(|segment| {
            self.features.pieces(segment.slot).find_map(|features| {
                let range = Range::of(features).ok()?;
                (!range.is_finite).then_some((Part::Projector, Site::Residual, features.dtype()))
            })
        });
        first.found = features;
        let off = &mut Laps::off();
        let looks = &mut Looks::none();
        let hidden = self.hidden(&batch.segments, Aim::All, &mut first, (off, looks));
        let ran = hidden.and_then(|hidden| {
            let last = hidden.narrow(0, hidden.dim(0)?.saturating_sub(1), 1)?;
            self.decoder.logits(&last, &mut first, off)
        });
        if let Err(error) = ran {
            tracing::warn!(%error, "cannot look for the number that is not finite");
        }
        let (part, site, dtype) = first.found?;
        Some(NonFinite {
            module: part.to_string(),
            site: site.name(),
            device_id: self.device_of(part).to_owned(),
            dtype: Dtype::of_activation(dtype),
        })
    }
}
