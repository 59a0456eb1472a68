//! `tessera debug dump`: what the model computes on the way, for comparing it with another
//! implementation.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::app::load::{Loader, tiling};
use crate::cli::failure::{Exit, Failure};
use crate::cli::term::print;
use crate::config::{self, Config, Key, Low, ModelFlags};
use crate::model::{PixelData, PixelTiles, internvl};
use crate::preprocess::{self, DecodeLimits, Orientation, SampleValues};

/// Write named activations of one prompt to a safetensors file
///
/// Runs one forward pass over the pages and the prompt, and writes pixels, image features, the hidden
/// state after each layer, and the logits: to compare layer by layer with another implementation, or
/// to find where numbers go wrong.
#[derive(Debug, Args)]
pub(in crate::cli) struct DumpArgs {
    #[command(flatten)]
    flags: ModelFlags,
    /// Pages, in order
    #[arg(long, value_name = "FILE", num_args = 1..)]
    image: Vec<PathBuf>,
    /// What to ask about the pages
    #[arg(long, value_name = "TEXT", required_unless_present = "token_ids")]
    prompt: Option<String>,
    /// The whole prompt as token ids: a file with numbers, or a JSON list of them
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    token_ids: Option<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Most tiles a page is cut into, or auto
    #[arg(long, default_value = "auto")]
    max_tiles: String,
}

/// All that goes into the forward pass.
#[derive(Debug, Default)]
struct Input {
    samples: Vec<u8>,
    tiles_per_page: Vec<u32>,
    tokens: Vec<u32>,
}

pub(super) fn run(args: &DumpArgs) -> Result<(), Failure> {
    let config = config(args)?;
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Exit::Failed, format!("cannot load {}", config.model.checkpoint))
            .because(error)
    };
    let loader = Loader::new(&config);
    let architecture =
        internvl::Config::load(&config.model.checkpoint).map_err(|error| failed(&error))?;
    let prompter = loader.prompter(&architecture).map_err(|error| failed(error.as_ref()))?;
    let tiling = tiling(&config.model.checkpoint, &architecture, config.requests.max_tiles)
        .map_err(|error| failed(&error))?;
    let mut input = Input::default();
    for path in &args.image {
        add_page(&mut input, path, &tiling)?;
    }
    input.tokens = match (&args.token_ids, &args.prompt) {
        (Some(path), _) => token_ids(path)?,
        (None, prompt) => {
            let question = prompt.as_deref().unwrap_or_default();
            let built = prompter.build(question, &input.tiles_per_page);
            built.map_err(|error| Failure::new(Exit::Failed, "bad prompt").because(&error))?.ids
        }
    };
    let mut runner = loader
        .runner(prompter.image_token_id(), None, &mut |_| {})
        .map_err(|error| failed(error.as_ref()))?;
    let tiles = input.tiles_per_page.iter().sum::<u32>() as usize;
    let values = SampleValues::new(&tiling);
    let pixels = PixelTiles { tiles, data: PixelData::Samples(&input.samples, &values) };
    let activations = runner
        .activations(pixels, &input.tokens)
        .map_err(|error| Failure::new(Exit::Failed, "the forward pass failed").because(&error))?;
    internvl::dump::write(&activations, &args.out).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write {}", args.out.display())).because(&error)
    })?;
    print(&format!(
        "{}: {} tensors, {} tokens, {tiles} tiles",
        args.out.display(),
        activations.len(),
        input.tokens.len()
    ))?;
    Ok(())
}

/// The options of `serve` that matter here; one slot as long as the model allows.
fn config(args: &DumpArgs) -> Result<Config, Failure> {
    let mut flags = args.flags.0.clone();
    // For comparing: the most exact numbers, unless asked otherwise, and nothing that is not needed.
    for (key, value) in [(Key::Devices, "cpu"), (Key::Dtype, "f32"), (Key::Verify, "none")] {
        flags.values.entry(key).or_insert_with(|| value.to_owned());
    }
    flags.values.insert(Key::MaxTiles, args.max_tiles.clone());
    flags.values.insert(Key::Slots, "1".to_owned());
    config::check(&Low::gather(&flags, &std::collections::BTreeMap::new()))
        .map_err(|problems| Failure::new(Exit::Usage, problems.to_string()))
}

fn add_page(input: &mut Input, path: &Path, tiling: &preprocess::Config) -> Result<(), Failure> {
    let cannot = || Failure::new(Exit::Usage, format!("cannot read {}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| cannot().because(&error))?;
    let pages = preprocess::decode(&bytes, &DecodeLimits::default(), Orientation::default())
        .map_err(|error| cannot().because(&error))?;
    for page in &pages {
        let tiles = preprocess::tile(page, tiling);
        input.tiles_per_page.push(tiles.tiles);
        input.samples.extend(tiles.samples);
    }
    Ok(())
}

/// Numbers with anything between them that is no digit.
fn token_ids(path: &Path) -> Result<Vec<u32>, Failure> {
    let cannot = || Failure::new(Exit::Usage, format!("cannot read {}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| cannot().because(&error))?;
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    let ids: Result<Vec<u32>, _> = numbers.map(str::parse).collect();
    match ids {
        Ok(ids) if !ids.is_empty() => Ok(ids),
        Ok(_) => Err(cannot().remedy("a file with at least one token id")),
        Err(error) => Err(cannot().because(&error)),
    }
}
