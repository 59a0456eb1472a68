//! `tessera bench pages`: the made pages as files, so that other servers can be sent the same ones.

use std::path::PathBuf;

use clap::Args;

use super::pages::{self, Source};
use crate::cli::failure::{Exit, Failure};
use crate::cli::term::print;

/// Write the pages that `bench serve` makes, for other servers to read
#[derive(Debug, Args)]
pub(in crate::cli) struct PagesArgs {
    /// Directory for the files
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Tiles of the pages, overview included, in turn
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "13",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    tiles: Vec<u32>,
    /// Most tiles that the model cuts a page into, overview not counted
    #[arg(long, value_name = "N", default_value = "12",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    most: u32,
    /// Pixels of a page for each side of a tile: its resolution
    #[arg(long, value_name = "PX", default_value = "640",
          value_parser = clap::value_parser!(u32).range(32..=2048))]
    tile_px: u32,
    /// How many, no two alike
    #[arg(long, value_name = "N", default_value = "64",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
}

pub(super) fn run(args: &PagesArgs) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot write to {}", args.out.display()))
            .because(&error)
            .remedy("another --out DIR")
    };
    let source = Source::Made {
        tiles: args.tiles.clone(),
        distinct: args.count as usize,
        tile_px: args.tile_px,
    };
    let pages = pages::pages(&source, args.most)?;
    std::fs::create_dir_all(&args.out).map_err(failed)?;
    for page in &pages {
        std::fs::write(args.out.join(format!("{}.jpg", page.name)), &page.content)
            .map_err(failed)?;
    }
    print(&format!("{} pages in {}", pages.len(), args.out.display()))?;
    Ok(())
}
