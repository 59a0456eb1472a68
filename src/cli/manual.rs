//! `tessera man` and `tessera completions`: what packages install beside the binary, made from the same
//! definitions as `--help`.

use std::io;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::failure::{Exit, Failure};

/// Print the manual page
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this directory instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tessera completions bash > ~/.local/share/bash-completion/completions/tessera"
)]
pub(super) struct CompletionsArgs {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn man(args: &ManArgs, command: Command) -> Result<(), Failure> {
    let Some(out) = &args.out else {
        return Ok(clap_mangen::Man::new(command).render(&mut io::stdout())?);
    };
    std::fs::create_dir_all(out).and_then(|()| clap_mangen::generate_to(command, out)).map_err(
        |error| {
            Failure::new(Exit::Failed, format!("cannot write pages to {}", out.display()))
                .because(&error)
                .remedy("another directory")
        },
    )
}

pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    // To memory first: a pipe that closes early is no bug of ours.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tessera", &mut text);
    Ok(io::Write::write_all(&mut io::stdout(), &text)?)
}
