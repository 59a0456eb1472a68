//! `tessera bench`: how fast a server, or a model alone, is on this machine, beside what the machine
//! itself can do.

mod bounds;
mod host;
mod language;
mod level;
mod load;
mod pages;
mod parts;
mod report;
mod save;
mod serve;
mod varied;

use clap::Subcommand;

use super::failure::Failure;
use super::term::Term;

/// Measure speed: of a server under load, or of a model's parts
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    Serve(Box<serve::ServeBenchArgs>),
    Decode(parts::DecodeArgs),
    Prefill(parts::PrefillArgs),
    Vision(parts::VisionArgs),
    Language(Box<language::LanguageArgs>),
    Pages(save::PagesArgs),
}

pub(super) fn run(command: &BenchCommand, term: &Term) -> Result<(), Failure> {
    match command {
        BenchCommand::Serve(args) => serve::run(args, term),
        BenchCommand::Decode(args) => parts::decode(args, term),
        BenchCommand::Prefill(args) => parts::prefill(args, term),
        BenchCommand::Vision(args) => parts::vision(args, term),
        BenchCommand::Language(args) => language::run(args, term),
        BenchCommand::Pages(args) => save::run(args),
    }
}
