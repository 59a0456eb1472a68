//! `tessera trace`: a request's trace in the terminal, for those without a backend for traces.

mod read;
mod waterfall;

use std::path::PathBuf;

use clap::Args;

use super::failure::{Exit, Failure};
use super::term::{Style, Term, print};
use crate::config::Key;
use crate::config::env::{Env as _, ProcessEnv};
use crate::config::options::env_name;
use crate::telemetry::spans::FILE_NAME;
use read::Trace;

const AFTER_HELP: &str = "\
Reads what `tessera serve --trace-dir DIR` writes, and what the file exporter of the OpenTelemetry
Collector writes as JSON. Without a FILE it looks in --trace-dir, or in TESSERA_TRACE_DIR.

Exit code:
  0  a trace was shown
  1  there is none, or the file cannot be read
  2  the command line is wrong

Examples:
  tessera serve --trace-dir traces
  tessera trace --trace-dir traces               the request that ended last
  tessera trace traces/spans.jsonl --list        all of them
  tessera trace traces/spans.jsonl --id 4bf92f   one of them
  tessera trace traces/spans.jsonl --steps       with each generation step";

/// Show where a request's time went, step by step
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct TraceArgs {
    /// File with spans as OTLP JSON, a request of the protocol per line
    file: Option<PathBuf>,
    /// Directory that the server writes its spans to
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    trace_dir: Option<PathBuf>,
    /// Show the request that ended last (as without --id)
    #[arg(long, conflicts_with = "id")]
    last: bool,
    /// Show the trace whose id, or whose request's id, begins with this
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// List the traces instead, the newest last
    #[arg(long, conflicts_with_all = ["id", "last"])]
    list: bool,
    /// Show each generation step
    #[arg(long)]
    steps: bool,
}

pub(super) fn run(args: &TraceArgs, term: &Term) -> Result<(), Failure> {
    let path = file(args)?;
    let traces = read::traces(&path).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read {}", path.display()))
            .because(&error)
            .remedy("tessera serve --trace-dir DIR, then tessera trace --trace-dir DIR")
    })?;
    if args.list {
        for trace in &traces {
            print(&trace.line())?;
        }
        return Ok(());
    }
    let id = args.id.as_deref().filter(|_| !args.last);
    let trace = chosen(&traces, id).ok_or_else(|| {
        let what = args.id.as_ref().map_or_else(
            || format!("there is no request in {}", path.display()),
            |id| format!("there is no trace {id} in {}", path.display()),
        );
        Failure::new(Exit::Failed, what).remedy(format!("tessera trace {} --list", path.display()))
    })?;
    print(&term.paint(Style::Bold, &trace.line()))?;
    for line in waterfall::lines(trace, term, args.steps) {
        print(&line)?;
    }
    Ok(())
}

/// The file that was named, or the one in the directory that was.
fn file(args: &TraceArgs) -> Result<PathBuf, Failure> {
    if let Some(file) = &args.file {
        return Ok(if file.is_dir() { file.join(FILE_NAME) } else { file.clone() });
    }
    let variable = env_name(Key::TraceDir.name());
    let from_env = || ProcessEnv.get(&variable).map(PathBuf::from);
    let directory = args.trace_dir.clone().or_else(from_env).ok_or_else(|| {
        Failure::new(Exit::Usage, "no file and no directory to read")
            .remedy(format!("tessera trace FILE, --trace-dir DIR, or {variable}"))
    })?;
    Ok(directory.join(FILE_NAME))
}

/// By the start of its id; the one that ended last where none is given.
fn chosen<'a>(traces: &'a [Trace], id: Option<&str>) -> Option<&'a Trace> {
    match id {
        Some(id) => traces.iter().find(|trace| trace.is_called(id)),
        // The engine's own steps are traces too, but nobody's request.
        None => traces.iter().rev().find(|trace| trace.is_request()),
    }
}
