//! `tessera debug`: a look inside, for those who compare or repair.

mod dump;
mod links;

use clap::Subcommand;

use super::failure::Failure;

/// Look inside the model and the machine
#[derive(Debug, Subcommand)]
pub(super) enum DebugCommand {
    Dump(dump::DumpArgs),
    Links(links::LinksArgs),
}

pub(super) fn run(command: &DebugCommand) -> Result<(), Failure> {
    match command {
        DebugCommand::Dump(args) => dump::run(args),
        DebugCommand::Links(args) => links::run(args),
    }
}
