//! From a job's files and question to pixels and tokens: decode, tile, tokenise. CPU work that runs
//! on the intake threads.

use std::sync::Arc;

use tracing::Span;
use tracing::field::Empty;

use crate::constraint::Vocabulary;
use crate::engine::answer::Detokenize;
use crate::engine::constrained::Constrained;
use crate::engine::invariant::{InvariantId, check_invariant};
use crate::engine::prefix::{file_key, page_key};
use crate::engine::{EngineError, Job, PageFile, PageSource};
use crate::model::{FeatureKey, ModelSpec};
use crate::preprocess::{
    self, DecodeError, DecodeLimits, Decoder, Grid, NumberedPage, Orientation, Page, PdfRenderer,
    SampleValues,
};
use crate::prompt::{Detokenizer, PromptTokens, Prompter};
use crate::telemetry::spans::span_below;

/// A job as the model takes it.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Thumbnail included.
    pub(super) tiles_per_page: Vec<u32>,
    pub(super) pages: Vec<PageSource>,
    /// What each page is made of; empty where nobody asks.
    pub(super) page_keys: Vec<FeatureKey>,
    /// Of all tiles, one tile after the other.
    pub(super) samples: Vec<u8>,
    /// What samples stand for.
    pub(super) values: Arc<SampleValues>,
    pub(super) prompt: Vec<u32>,
    pub(super) image_tokens: usize,
    /// None where the answer is free.
    pub(super) constrained: Option<Constrained>,
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
    prompter: Arc<Prompter>,
    vocabulary: Vocabulary,
    tiling: preprocess::Config,
    values: Arc<SampleValues>,
    spec: ModelSpec,
    decoder: Decoder,
    /// Whether pages that were seen before are to be known again.
    prefix_cache: bool,
}

/// What the pages of one document become, page by page.
#[derive(Debug, Default)]
struct Pages {
    tiles_per_page: Vec<u32>,
    sources: Vec<PageSource>,
    keys: Vec<FeatureKey>,
    samples: Vec<u8>,
}

// === impl Preparer ===

impl Prepare for Preparer {
    fn prepare(
        &self,
        job: &Job,
        go_on: &dyn Fn() -> Result<(), EngineError>,
    ) -> Result<Prepared, EngineError> {
        // First: a schema that cannot be had is found without looking at a page.
        let constrained = self.constrain(job)?;
        let mut tiling = self.tiling.clone();
        tiling.max_tiles = job.tiles_max.map_or(tiling.max_tiles, |max| max.min(tiling.max_tiles));
        let mut pages = Pages::default();
        for (file, page_file) in job.files.iter().enumerate() {
            go_on()?;
            // A file at a time: decoded pages are the largest thing here.
            let decoded = self.decode(file, page_file, pages.sources.len(), (&job.span, go_on))?;
            let key = self.prefix_cache.then(|| file_key(&page_file.content));
            for NumberedPage { number, page, text } in decoded {
                go_on()?;
                let (width_px, height_px) = (page.width_px(), page.height_px());
                pages.sources.push(PageSource { file, page: number, width_px, height_px, text });
                self.add_page(&mut pages, &page, &tiling, &job.span);
                if let Some(key) = key {
                    let Grid { columns, rows } = grid_of(&page, &tiling);
                    let wanted = (number, page_file.wanted.dpi);
                    pages.keys.push(page_key(key, wanted, (columns, rows)));
                }
            }
        }
        let Pages { tiles_per_page, sources, keys: page_keys, samples } = pages;
        let prompt = self.prompter.build(&job.question, &tiles_per_page)?;
        let PromptTokens { ids, image_tokens } = prompt;
        Ok(Prepared {
            tiles_per_page,
            pages: sources,
            page_keys,
            samples,
            values: Arc::clone(&self.values),
            prompt: ids,
            image_tokens,
            constrained,
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
    pub(super) fn new(
        (prompter, vocabulary): (Arc<Prompter>, Vocabulary),
        tiling: preprocess::Config,
        spec: ModelSpec,
        (pages_max, pdf): (usize, PdfRenderer),
        prefix_cache: bool,
    ) -> Self {
        let limits = DecodeLimits { pages_max, ..DecodeLimits::default() };
        let decoder = Decoder { limits, orientation: Orientation::Apply, pdf };
        let values = Arc::new(SampleValues::new(&tiling));
        Self { prompter, vocabulary, tiling, values, spec, decoder, prefix_cache }
    }

    /// The grammar's side of the answer to `job`.
    fn constrain(&self, job: &Job) -> Result<Option<Constrained>, EngineError> {
        let Some(grammar) = &job.grammar else { return Ok(None) };
        let _span = span_below!(&job.span, "grammar").entered();
        Ok(Some(Constrained::new(self.vocabulary.constrain(grammar)?)?))
    }

    /// The wanted pages of one file, after `pages_before` of the files before it.
    fn decode(
        &self,
        file: usize,
        page_file: &PageFile,
        pages_before: usize,
        (request, go_on): (&Span, &dyn Fn() -> Result<(), EngineError>),
    ) -> Result<Vec<NumberedPage>, EngineError> {
        let bytes = &page_file.content;
        let span = span_below!(
            request,
            "decode_file",
            "tessera.file.bytes" = bytes.len() as i64,
            "tessera.file.pages" = Empty,
        );
        let pages = self.decoder.read(bytes, &page_file.wanted, &|| go_on().is_ok());
        let pages = match pages {
            Ok(pages) => pages,
            // Whoever gave up knows why.
            Err(DecodeError::GivenUp) => return go_on().and(Err(EngineError::Stopped)),
            Err(source) => return Err(EngineError::Decode { file, source }),
        };
        span.record("tessera.file.pages", pages.len() as i64);
        let (total, pages_max) = (pages_before + pages.len(), self.decoder.limits.pages_max);
        if total > pages_max {
            return Err(EngineError::TooManyPages { pages: total, pages_max });
        }
        Ok(pages)
    }

    /// Adds a page. Once there are more tiles than a slot has room for, they are only counted: the
    /// request will be refused, and its pixels may be gigabytes.
    fn add_page(
        &self,
        pages: &mut Pages,
        page: &Page,
        tiling: &preprocess::Config,
        request: &Span,
    ) {
        let tiles = tiles_of(page, tiling);
        pages.tiles_per_page.push(tiles);
        let total: usize = pages.tiles_per_page.iter().map(|&tiles| tiles as usize).sum();
        if total * self.spec.tokens_per_tile > self.spec.slot_tokens {
            pages.samples = Vec::new();
            return;
        }
        let _span = span_below!(
            request,
            "preprocess",
            "tessera.page.width_px" = i64::from(page.width_px()),
            "tessera.page.height_px" = i64::from(page.height_px()),
            "tessera.page.tiles" = i64::from(tiles),
        );
        let made = preprocess::tile(page, tiling);
        check_invariant!(
            InvariantId::ImageTokensPerTile,
            made.tiles == tiles,
            "{} tiles were made of a page that was counted as {tiles}",
            made.tiles
        );
        // Megabytes a page: the first is not copied.
        if pages.samples.is_empty() {
            pages.samples = made.samples;
        } else {
            pages.samples.extend(made.samples);
        }
    }
}

/// Tiles that `page` will become, thumbnail included.
fn tiles_of(page: &Page, tiling: &preprocess::Config) -> u32 {
    let grid = grid_of(page, tiling);
    grid.tiles() + u32::from(tiling.use_thumbnail && grid.tiles() > 1)
}

fn grid_of(page: &Page, tiling: &preprocess::Config) -> Grid {
    let preprocess::Config { min_tiles, max_tiles, tile_size_px, .. } = *tiling;
    let side = tile_size_px.max(1);
    preprocess::choose_grid(page.width_px(), page.height_px(), min_tiles, max_tiles, side)
}

impl Detokenize for Detokenizer {
    fn push(&mut self, token: u32) -> Option<String> {
        Self::push(self, token)
    }

    fn flush(&mut self) -> Option<String> {
        Self::flush(self)
    }
}
