//! The page that every loaded model reads before it serves: does it compute at all, and how large do
//! its numbers get.

use crate::model::internvl::ProbeInput;
use crate::preprocess::{self, DecodeError, DecodeLimits, Orientation, SampleValues};
use crate::prompt::{AnswerStyle, PromptError, Prompter, QuestionError, Questions};
use crate::schema::{DocumentKind, Schema};

/// A receipt: small, and full of the digits that these models are for.
const PAGE: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/models/tessera-tiny/samples/receipt-01.png"
));

/// Why the bundled page could not be turned into a prompt.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeInputError {
    #[error("the probe's page: {0}")]
    Decode(#[from] DecodeError),
    #[error("the probe's prompt: {0}")]
    Prompt(#[from] PromptError),
    #[error("the probe's question: {0}")]
    Question(#[from] QuestionError),
}

/// The bundled page as one tile, which is enough to reach every weight.
pub(super) fn input(
    prompter: &Prompter,
    tiling: &preprocess::Config,
) -> Result<ProbeInput, ProbeInputError> {
    let one_tile = preprocess::Config { min_tiles: 1, max_tiles: 1, ..tiling.clone() };
    let pages = preprocess::decode(PAGE, &DecodeLimits::default(), Orientation::default())?;
    let values = SampleValues::new(tiling);
    let mut input = ProbeInput::default();
    let mut tiles_per_page = Vec::new();
    for page in &pages {
        let tiles = preprocess::tile(page, &one_tile);
        tiles_per_page.push(tiles.tiles);
        input.tiles += tiles.tiles as usize;
        input.pixels.extend(tiles.values(&values));
    }
    let schema = Schema::of(DocumentKind::Receipt);
    let question = Questions::load(None)?.extract(&schema, AnswerStyle::Json, "")?;
    input.tokens = prompter.build(&question.text, &tiles_per_page)?.ids;
    Ok(input)
}
