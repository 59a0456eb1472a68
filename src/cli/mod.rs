//! The command line: what people type, and all that is printed.
//!
//! Answers go to stdout, everything else to stderr. Every command returns a [`Failure`] that says
//! what, why and what to do; [`run`] prints it.

mod bench;
mod calibrate;
mod chart;
mod check;
mod client;
mod connection;
mod debug;
mod demo;
mod distribution;
mod doctor;
mod eval;
mod extract;
mod failure;
mod files;
mod key;
mod lines;
mod local;
mod manual;
mod plan;
mod refusal;
mod render_pdf;
mod serve;
mod term;
mod trace;
mod version;
mod view;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::env::ProcessEnv;
use failure::{Exit, Failure};
use term::{Style, Term, print_err};

const EXAMPLES: &str = "\
Try it, with nothing else installed:
  tessera demo                                   read a bundled receipt, field by field

Serve, and read documents from another terminal:
  tessera serve                                  the built-in model on 127.0.0.1:50051
  tessera serve --model ./InternVL3-2B           a model you downloaded
  tessera extract receipt.png                    fields as a table
  tessera extract *.jpg --type invoice --json    one JSON line per document

`tessera COMMAND --help` explains a command.";

/// Reads documents with InternVL3 and streams the fields over gRPC.
///
/// Tessera is a server: it loads a vision-language model, takes pages of receipts, invoices and bank
/// statements, and sends each field back as soon as the model has written it. A small model is built
/// in, so everything here works before you download one.
#[derive(Debug, Parser)]
#[command(name = "tessera", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Extract(extract::ExtractArgs),
    Demo(demo::DemoArgs),
    Doctor(doctor::DoctorArgs),
    Plan(plan::PlanArgs),
    Eval(eval::EvalArgs),
    Calibrate(calibrate::CalibrateArgs),
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    Trace(trace::TraceArgs),
    Check(check::CheckArgs),
    Key(key::KeyArgs),
    #[command(subcommand)]
    Debug(debug::DebugCommand),
    Man(manual::ManArgs),
    Completions(manual::CompletionsArgs),
    /// Print version, commit, features and target
    Version,
    #[command(hide = true)]
    RenderPdf(render_pdf::RenderPdfArgs),
}

/// Runs the command that was typed.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let term = Term::detect(&ProcessEnv);
    let done = match cli.command {
        Command::Serve(args) => serve::run(&args, &term),
        Command::Extract(args) => extract::run(&args, &term),
        Command::Demo(args) => demo::run(&args, &term),
        Command::Doctor(args) => doctor::run(&args, &term),
        Command::Plan(args) => plan::run(&args, &term),
        Command::Calibrate(args) => calibrate::run(&args, &term),
        Command::Eval(args) => eval::run(&args, &term),
        Command::Bench(command) => bench::run(&command, &term),
        Command::Trace(args) => trace::run(&args, &term),
        Command::Check(args) => check::run(&args, &term),
        Command::Key(args) => key::run(&args),
        Command::Man(args) => manual::man(&args, Cli::command()),
        Command::Completions(args) => manual::completions(&args, Cli::command()),
        Command::Debug(command) => debug::run(&command),
        Command::RenderPdf(args) => render_pdf::run(&args),
        Command::Version => term::print(&version::text()).map_err(Failure::from),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&term, &failure);
            failure.exit.into()
        }
    }
}

/// Prints a failure, unless it has been told already.
fn report(term: &Term, failure: &Failure) {
    if !failure.silent {
        print_err(&format!("{} {failure}", term.paint_err(Style::Bad, "error:")));
    }
}

/// The runtime of a command that talks gRPC.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "cannot start threads").because(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
