//! `tessera bench`: how fast a server, or a model alone, is on this machine, beside what the machine
//! itself can do.

mod host;
mod level;
mod load;
mod pages;
mod report;
mod save;
mod serve;

use clap::Subcommand;

use super::failure::Failure;
use super::term::Term;

/// Measure speed: of a server under load, or of a model's parts
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    Serve(Box<serve::ServeBenchArgs>),
    Pages(save::PagesArgs),
}

pub(super) fn run(command: &BenchCommand, term: &Term) -> Result<(), Failure> {
    match command {
        BenchCommand::Serve(args) => serve::run(args, term),
        BenchCommand::Pages(args) => save::run(args),
    }
}
