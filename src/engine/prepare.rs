//! From a job's files and question to pixels and tokens: decode, tile, tokenise. CPU work that runs
//! on the intake threads.

use std::sync::Arc;

use crate::engine::answer::Detokenize;
use crate::engine::{EngineError, Job};
use crate::model::ModelSpec;
use crate::preprocess::{self, DecodeLimits, Orientation, Page};
use crate::prompt::{Detokenizer, Prompter};

/// A job as the model takes it.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Thumbnail included.
    pub(super) tiles_per_page: Vec<u32>,
    /// Normalised pixels of all tiles, one tile after the other.
    pub(super) pixels: Vec<f32>,
    pub(super) prompt: Vec<u32>,
    pub(super) image_tokens: usize,
}

/// Prepares jobs. The engine's tests have one that needs no files.
pub(super) trait Prepare: Send + Sync {
    /// `go_on` says, between pages, why the work is to be given up.
    fn prepare(
        &self,
        job: &Job,
        go_on: &dyn Fn() -> Result<(), EngineError>,
    ) -> Result<Prepared, EngineError>;

    fn detokenizer(&self) -> Box<dyn Detokenize>;

    /// Tokens that end an answer.
    fn stop_ids(&self) -> &[u32];
}

/// Prepares for a real checkpoint.
pub(super) struct Preparer {
    pub(super) prompter: Arc<Prompter>,
    pub(super) tiling: preprocess::Config,
    pub(super) spec: ModelSpec,
    pub(super) pages_max: usize,
}

// === impl Preparer ===

impl Prepare for Preparer {
    fn prepare(
        &self,
        job: &Job,
        go_on: &dyn Fn() -> Result<(), EngineError>,
    ) -> Result<Prepared, EngineError> {
        let pages = self.decode(job, go_on)?;
        let mut tiling = self.tiling.clone();
        tiling.max_tiles = job.tiles_max.map_or(tiling.max_tiles, |max| max.min(tiling.max_tiles));
        let mut pixels = Vec::new();
        let mut tiles_per_page = Vec::with_capacity(pages.len());
        for page in pages {
            go_on()?;
            let span = tracing::info_span!(
                parent: &job.span,
                "preprocess",
                width_px = page.width_px(),
                height_px = page.height_px(),
                tiles = tracing::field::Empty,
            );
            let tiles = preprocess::tile(&page, &tiling);
            span.record("tiles", tiles.tiles);
            tiles_per_page.push(tiles.tiles);
            pixels.extend(tiles.data);
        }
        let prompt = self.prompter.build(&job.question, &tiles_per_page)?;
        Ok(Prepared {
            tiles_per_page,
            pixels,
            prompt: prompt.ids,
            image_tokens: prompt.image_tokens,
        })
    }

    fn detokenizer(&self) -> Box<dyn Detokenize> {
        Box::new(self.prompter.detokenizer())
    }

    fn stop_ids(&self) -> &[u32] {
        self.prompter.stop_ids()
    }
}

impl Preparer {
    fn decode(
        &self,
        job: &Job,
        go_on: &dyn Fn() -> Result<(), EngineError>,
    ) -> Result<Vec<Page>, EngineError> {
        let limits = DecodeLimits::default();
        let mut pages = Vec::new();
        for (file, bytes) in job.files.iter().enumerate() {
            go_on()?;
            let decoded = preprocess::decode(bytes, &limits, Orientation::Apply)
                .map_err(|source| EngineError::Decode { file, source })?;
            pages.extend(decoded);
            if pages.len() > self.pages_max {
                return Err(EngineError::TooManyPages {
                    pages: pages.len(),
                    pages_max: self.pages_max,
                });
            }
        }
        Ok(pages)
    }
}

impl Detokenize for Detokenizer {
    fn push(&mut self, token: u32) -> Option<String> {
        Self::push(self, token)
    }

    fn flush(&mut self) -> Option<String> {
        Self::flush(self)
    }
}
