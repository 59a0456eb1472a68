//! A loaded InternVL3 behind the engine's seam.

use std::ops::Range;
use std::time::Instant;

use candle_core::{Result, Tensor};

use super::aim::Aim;
use super::config::{Config, VisionConfig};
use super::embedding::runs;
use super::features::FeatureRows;
use super::fused::{AheadRow, Chosen, DecodeRow, Decoded};
use super::home::{Homes, Hosts};
use super::language::Decoder;
use super::laps::Laps;
use super::looks::{Looked, Looks};
use super::observe::{Blind, Observe, Part, Within};
use super::projector::Projector;
use super::vision::{VisionTower, without_class_token};
use crate::model::cache::Rows;
use crate::model::cpu;
use crate::model::cuda::transfer::Staging;
use crate::model::layers::Visit;
use crate::model::output::{Choice, Output, Outputs, Want};
use crate::model::pending::Pending;
use crate::model::runner::{
    FeatureKey, ModelSpec, NonFinite, PixelData, RunError, Runner, Segment, Slot, SlotTiles,
    StepBatch,
};

/// The model, on its devices.
pub struct InternVl {
    pub(super) spec: ModelSpec,
    pub(super) config: Config,
    pub(super) vision: VisionTower,
    pub(super) projector: Projector,
    pub(super) decoder: Decoder,
    /// Tiles that go through the vision tower together.
    pub(super) vision_batch_tiles: usize,
    pub(super) features: FeatureRows,
    pub(super) staging: Staging,
    /// The last field: fields are dropped in their order.
    pub(super) hosts: Hosts,
}

impl std::fmt::Debug for InternVl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InternVl").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Sorts an error of the tensor library by what can be done about it.
fn run_error(site: &'static str, device_id: &str, error: &candle_core::Error) -> RunError {
    let message = error.to_string();
    // Of the driver, in words, and of the libraries of matrix products, which take memory of their own.
    let words = ["OUT_OF_MEMORY", "out of memory", "STATUS_ALLOC_FAILED"];
    if words.iter().any(|word| message.contains(word)) {
        RunError::OutOfMemory { device_id: device_id.to_owned(), message }
    } else {
        RunError::Device { site, message }
    }
}

impl InternVl {
    pub(super) fn homes(&self) -> &Homes {
        self.decoder.homes()
    }

    pub(super) fn device_of(&self, part: Part) -> &str {
        self.homes().iter().find(|(of, _)| *of == part).map_or("", |(_, home)| &home.device.id)
    }

    /// Shows the stored tensors of `part`.
    pub(super) fn visit(&self, part: Part, visit: Visit<'_>) {
        match part {
            Part::Vision => self.vision.visit(visit),
            Part::Projector => self.projector.visit(visit),
            other => self.decoder.visit(other, visit),
        }
    }

    /// Runs `work` on a thread of the pool that its kernels share, on the CPU: from outside, every
    /// kernel would be handed over and waited for. A GPU's context stays with the calling thread.
    fn on_pool<T: Send>(&mut self, work: impl FnOnce(&mut Self) -> T + Send) -> T {
        if self.vision.home().candle_device().is_cpu() {
            cpu::on_pool(|| work(self))
        } else {
            work(self)
        }
    }

    fn at<T>(&self, site: &'static str, result: Result<T>) -> std::result::Result<T, RunError> {
        let part = if site == "vision" || site == "pixels" { Part::Vision } else { Part::Head };
        result.map_err(|error| run_error(site, self.device_of(part), &error))
    }

    /// Normalised pixels of all of `batch`, f32, `[tiles, channels, side, side]`, on the vision tower's device.
    pub(super) fn pixel_tensor(&mut self, batch: &[SlotTiles<'_>]) -> Result<Tensor> {
        let VisionConfig { image_size: side, channels, .. } = self.config.vision;
        let device = self.vision.home().candle_device();
        let stored = batch.iter().map(|one| one.pixels.data.samples());
        if let Some(stored) = stored.collect::<Option<Vec<_>>>()
            && let [(_, values), ..] = stored[..]
            && stored.iter().all(|(_, others)| *others == values)
        {
            let parts: Vec<&[u8]> = stored.iter().map(|(samples, _)| *samples).collect();
            let tiles: usize = batch.iter().map(|one| one.pixels.tiles).sum();
            let shape = (tiles, channels, side, side);
            if let Some(pixels) = self.staging.upload(&parts, values.as_flat(), shape, device)? {
                return Ok(pixels);
            }
        }
        let of_slot = |one: &SlotTiles<'_>| {
            let shape = (one.pixels.tiles, channels, side, side);
            match one.pixels.data {
                PixelData::Values(values) => Tensor::from_slice(values, shape, device),
                PixelData::Samples(samples, values) => {
                    let mut data = vec![0.0; samples.len()];
                    values.fill(samples, side * side, &mut data);
                    Tensor::from_vec(data, shape, device)
                }
            }
        };
        let mut tensors = batch.iter().map(of_slot).collect::<Result<Vec<_>>>()?;
        if tensors.len() == 1 { Ok(tensors.swap_remove(0)) } else { Tensor::cat(&tensors, 0) }
    }

    /// Feature rows of all tiles on the embedding's device, `[tiles * tokens_per_tile, hidden]`.
    pub(super) fn features(&self, pixels: &Tensor, observer: &mut dyn Observe) -> Result<Tensor> {
        let tiles = pixels.dim(0)?;
        let (projector, embedding) = (self.projector.home(), &self.decoder.homes().embedding);
        let links = self.decoder.links();
        let mut rows = Vec::with_capacity(tiles.div_ceil(self.vision_batch_tiles));
        for first in (0..tiles).step_by(self.vision_batch_tiles) {
            let count = self.vision_batch_tiles.min(tiles - first);
            let mut look = Within { part: Part::Vision, observer: &mut *observer };
            let features = self.vision.forward(&pixels.narrow(0, first, count)?, &mut look)?;
            // With the class token, which the projector leaves out: so it works by the same kernels beside the
            // tower and on another device, and the rows are equal to the bit.
            let features = links.send(&features, self.vision.home().index, projector.index)?;
            let mut look = Within { part: Part::Projector, observer: &mut *observer };
            let projected = match self.projector.forward_fused(&features, &mut look)? {
                Some(projected) => projected,
                None => self.projector.forward(&without_class_token(&features)?, &mut look)?,
            };
            let projected = links.send(&projected, projector.index, embedding.index)?;
            rows.push(projected.to_dtype(embedding.residual())?);
        }
        if rows.len() == 1 { Ok(rows.swap_remove(0)) } else { Tensor::cat(&rows, 0) }
    }

    /// Embedding rows of all segments with image features in place, `[rows, hidden]`.
    pub(super) fn embed(&self, segments: &[Segment<'_>]) -> Result<Tensor> {
        let ids: Vec<u32> = segments.iter().flat_map(|s| s.tokens).copied().collect();
        let x = self.decoder.embed(&ids, self.spec.image_token_id)?;
        let mut first_row = 0;
        for segment in segments {
            let mut image_row = segment.image_tokens_before;
            let runs = runs(segment.tokens, self.spec.image_token_id);
            for (_, run) in runs.filter(|(is_image, _)| *is_image) {
                let mut at = first_row + run.start;
                for rows in self.features.rows(segment.slot, image_row..image_row + run.len())? {
                    x.slice_set(&rows, 0, at)?;
                    at += rows.dim(0)?;
                }
                image_row += run.len();
            }
            first_row += segment.tokens.len();
        }
        Ok(x)
    }

    /// Runs all segments through the decoder; the rows of `aim` before the final norm.
    pub(super) fn hidden(
        &mut self,
        segments: &[Segment<'_>],
        aim: Aim<'_>,
        observer: &mut dyn Observe,
        (laps, looks): (&mut Laps, &mut Looks<'_>),
    ) -> Result<Tensor> {
        let x = self.embed(segments)?;
        let sequences: Vec<Rows<'_>> = segments
            .iter()
            .map(|s| Rows { blocks: s.blocks, start: s.start, len: s.tokens.len() })
            .collect();
        self.decoder.forward(x, &sequences, aim, observer, (laps, looks))
    }
}

impl InternVl {
    /// What follows the rows of `x`, which [`hidden`](Self::hidden) returned, each with what it wants.
    fn outputs(
        &self,
        x: &Tensor,
        wants: &[Want<'_>],
        (mut laps, looked): (Laps, Looked),
    ) -> Result<Pending> {
        let logits = self.decoder.logits(x, &mut Blind, &mut laps)?;
        let times = laps.finish()?;
        let never = self.spec.image_token_id;
        if let Some(chosen) = self.decoder.choose(&logits, wants, never)? {
            let decoded = Decoded { chosen, logits, was_begun: false, times };
            return self.chosen(wants, decoded, looked);
        }
        let logits: Vec<Vec<f32>> = logits.to_vec2()?;
        let outputs = logits
            .into_iter()
            .zip(wants)
            .filter_map(|(row, want)| Output::from_row(*want, row, never));
        let outputs = Outputs::new(outputs.collect()).with_page_shares(looked.wait()?);
        Ok(Pending::there(outputs).timed(times))
    }

    /// Choices that are made where the logits are. Waits for them if somebody wants the logits themselves.
    fn chosen(&self, wants: &[Want<'_>], decoded: Decoded, looked: Looked) -> Result<Pending> {
        let Decoded { chosen, logits, times, .. } = decoded;
        if !wants.contains(&Want::Logits) {
            let device_id = self.device_of(Part::Head).to_owned();
            let outputs = move |chosen: Chosen| {
                let choices = chosen.wait()?.into_iter().map(Output::Choice);
                Ok(Outputs::new(choices.collect()).with_page_shares(looked.wait()?))
            };
            let wait = move || outputs(chosen).map_err(|e| run_error("lm_head", &device_id, &e));
            return Ok(Pending::later(wait).timed(times));
        }
        let output = |(at, (want, choice)): (usize, (&Want<'_>, Choice))| match want {
            Want::Logits => logits.narrow(0, at, 1)?.flatten_all()?.to_vec1().map(Output::Logits),
            _ => Ok(Output::Choice(choice)),
        };
        let outputs = wants.iter().zip(chosen.wait()?).enumerate().map(output);
        let outputs = Outputs::new(outputs.collect::<Result<_>>()?);
        Ok(Pending::there(outputs.with_page_shares(looked.wait()?)).timed(times))
    }
}

/// The segments of a step in which every sequence takes its one last token, which is no image, and wants
/// something; none where another kind of segment is among them.
fn decode_rows<'a>(segments: &[Segment<'a>], image_token_id: u32) -> Option<Vec<DecodeRow<'a>>> {
    let row = |segment: &Segment<'a>| match segment.tokens {
        [token] if *token != image_token_id && segment.want.is_something() => Some(DecodeRow {
            slot: segment.slot,
            blocks: segment.blocks,
            token: *token,
            position: segment.start,
            want: segment.want,
        }),
        _ => None,
    };
    segments.iter().map(row).collect()
}

impl Runner for InternVl {
    fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    fn encode(&mut self, segments: &[SlotTiles<'_>]) -> std::result::Result<(), RunError> {
        let started = Instant::now();
        let pixels = self.pixel_tensor(segments);
        let pixels = self.at("pixels", pixels)?;
        let uploaded = started.elapsed();
        let rows = self.on_pool(|model| model.features(&pixels, &mut Blind));
        let rows = self.at("vision", rows)?;
        let per_tile = self.spec.tokens_per_tile;
        let mut first = 0;
        let parts = segments.iter().map(|segment| {
            let part = rows.narrow(0, first, segment.pixels.tiles * per_tile)?;
            first += segment.pixels.tiles * per_tile;
            // A copy of its own, or the slot would hold the memory of all.
            if segments.len() == 1 { Ok(part) } else { part.force_contiguous() }
        });
        let parts = self.at("vision", parts.collect::<Result<Vec<Tensor>>>())?;
        for (segment, part) in segments.iter().zip(parts) {
            self.features.insert(segment.slot, segment.first_tile * per_tile, part);
        }
        let tiles: usize = segments.iter().map(|one| one.pixels.tiles).sum();
        tracing::debug!(tiles, ?uploaded, launched = ?started.elapsed(), "encoded");
        Ok(())
    }

    fn keep(
        &mut self,
        slot: Slot,
        rows: Range<usize>,
        key: FeatureKey,
    ) -> std::result::Result<(), RunError> {
        let kept = self.features.keep(slot, rows, key);
        self.at("vision", kept)
    }

    fn reuse(&mut self, slot: Slot, first_row: usize, key: FeatureKey) {
        self.features.reuse(slot, first_row, key);
    }

    fn forget(&mut self, key: FeatureKey) {
        self.features.forget(key);
    }

    fn step(&mut self, batch: &StepBatch<'_>) -> std::result::Result<Outputs, RunError> {
        self.submit(batch)?.wait()
    }

    fn submit(&mut self, batch: &StepBatch<'_>) -> std::result::Result<Pending, RunError> {
        let started = Instant::now();
        let segments = batch.segments.len();
        let mut looks = Looks::new(&batch.segments, self.config.text.layers);
        if let Some(rows) = decode_rows(&batch.segments, self.spec.image_token_id) {
            let decoded = self.decoder.decode(&rows, &mut looks);
            if let Some(decoded) = self.at("decoder", decoded)? {
                let wants: Vec<Want<'_>> = rows.iter().map(|row| row.want).collect();
                let was_begun = decoded.was_begun;
                let pending = self.chosen(&wants, decoded, looks.finish());
                tracing::debug!(segments, was_begun, launched = ?started.elapsed(), "decoding");
                return self.at("lm_head", pending);
            }
        }
        let laps = Laps::start(&self.homes().embedding);
        let mut laps = self.at("decoder", laps)?;
        let wanting = batch.segments.iter().enumerate().filter(|(_, s)| s.want.is_something());
        let (wanted, wants): (Vec<usize>, Vec<Want<'_>>) =
            wanting.map(|(index, segment)| (index, segment.want)).unzip();
        let aim = Aim::LastOf(&wanted);
        let hidden = self.on_pool(|model| {
            model.hidden(&batch.segments, aim, &mut Blind, (&mut laps, &mut looks))
        });
        let hidden = self.at("decoder", hidden)?;
        if wants.is_empty() {
            let times = self.at("decoder", laps.finish())?;
            return Ok(Pending::there(Outputs::default()).timed(times));
        }
        let looked = looks.finish();
        let outputs = self.on_pool(|model| model.outputs(&hidden, &wants, (laps, looked)));
        let rows: usize = batch.segments.iter().map(|segment| segment.tokens.len()).sum();
        tracing::debug!(segments, rows, launched = ?started.elapsed(), "stepping");
        self.at("lm_head", outputs)
    }

    fn begin_ahead(&mut self, batch: &StepBatch<'_>) -> bool {
        let segments = batch.segments.iter();
        let rows: Vec<AheadRow<'_>> = segments
            .map(|segment| AheadRow {
                slot: segment.slot,
                blocks: segment.blocks,
                position: segment.start,
                is_drawn: matches!(segment.want, Want::Drawn(_)),
            })
            .collect();
        self.decoder.begin_ahead(&rows).unwrap_or_else(|error| {
            // The next pass finds out what is wrong with the device.
            tracing::warn!(%error, "a step was not begun ahead");
            false
        })
    }

    fn locate_non_finite(&mut self, batch: &StepBatch<'_>) -> Option<NonFinite> {
        self.on_pool(|model| model.first_non_finite(batch))
    }

    fn release(&mut self, slot: Slot) {
        self.features.release(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_memory_has_many_words() {
        let sorted = |message: &str| {
            run_error("decoder", "cuda:1", &candle_core::Error::Msg(message.to_owned()))
        };
        for message in [
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
        ] {
            let error = sorted(message);
            let is_memory =
                matches!(&error, RunError::OutOfMemory { device_id, .. } if device_id == "cuda:1");
            assert!(is_memory, "{error}");
        }
        let other = sorted("CublasError(CUBLAS_STATUS_EXECUTION_FAILED)");
        assert!(matches!(other, RunError::Device { site: "decoder", .. }), "{other}");
    }
}
