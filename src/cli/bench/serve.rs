//! `tessera bench serve`: a server under load, as its clients see it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::level::Level;
use super::load::{self, Length, Load, Work};
use super::pages::{self, Source};
use super::{host, report};
use crate::cli::client::Client;
use crate::cli::connection::{Connection, ConnectionArgs};
use crate::cli::extract::{self, Answers, Kind};
use crate::cli::failure::{Exit, Failure};
use crate::cli::local::{self, Local};
use crate::cli::runtime;
use crate::cli::term::{StatusLine, Term, print};
use crate::config::env::ProcessEnv;
use crate::config::{Flags, Key, value};
use crate::pb::v1::extract_request::Task;
use crate::pb::v1::{EventKind, ExtractRequest, GenerationOptions};

/// Pages that are made where the number of requests is not known before.
const DISTINCT_PAGES: usize = 256;
/// Connections that the clients share.
const CONNECTIONS_MAX: usize = 8;
/// Documents that may wait at a server of this process in an open loop.
const QUEUE: usize = 4096;

const AFTER_HELP: &str = "\
Without --server it serves in this process, with the options below; with it they must be left out.

Load:
  --concurrency 1,8,64   closed loop: so many clients, each with one document at a time
  --rate 2,5,10          open loop: documents a second at random times; latency counts from the time
                         at which a document was due
  Each number is a level of its own. With --duration a level counts what ends within it, in a steady
  state; with --requests it is a batch, from the first request to the end of the last.

Pages are made, no two alike, so that no cache of pages helps; files are sent over and over.

Output: a Markdown table on stdout; with --out also levels.csv, requests.csv, summary.json, report.md
and load.svg.

Examples:
  tessera bench serve --concurrency 1,4,8 --duration 20s
  tessera bench serve --server 10.0.0.5:50051 --tiles 13 --concurrency 64 --output-tokens 200
  tessera bench serve --model ./InternVL3-8B --weights random:1 --guard off --slots 64 \\
      --tiles 13 --prompt \"Read this.\" --output-tokens 200 --concurrency 64 --requests 256 --out bench
  tessera bench serve --rate 2,4,8 --images ./scans --type invoice
  tessera bench serve --schema letter.schema.json --no-constrain";

/// Put a server under load and measure what its clients see
///
/// Times to the first token, to the first field and to the whole answer, tokens and pages a second, at
/// one or more levels of load.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct ServeBenchArgs {
    /// The server to measure; without it one is started here
    #[arg(long, value_name = "ADDR")]
    server: Option<String>,
    /// Closed loop: clients at once, a level each
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: Vec<u32>,
    /// Open loop: documents a second, a level each
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "concurrency",
          value_parser = rate)]
    rate: Vec<f64>,
    /// How long a level is measured
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::duration)]
    duration: Duration,
    /// Measure so many requests instead
    #[arg(long, value_name = "N", conflicts_with = "duration",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    requests: Option<u32>,
    /// How long each level runs before it is measured
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = value::duration)]
    warm_up: Duration,
    /// Files or directories of pages to send, instead of made ones
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with_all = ["tiles", "distinct"])]
    images: Vec<PathBuf>,
    /// Tiles of the made pages, overview included, in turn
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=64))]
    tiles: Vec<u32>,
    /// Pixels of a made page for each side of a tile: its resolution
    #[arg(long, value_name = "PX", default_value = "640",
          value_parser = clap::value_parser!(u32).range(32..=2048))]
    tile_px: u32,
    /// Made pages that differ [default: as many as there are requests, at most 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    distinct: Option<u32>,
    /// Extract the fields of this type
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value = "receipt")]
    kind: Kind,
    /// Extract the fields of this JSON Schema
    #[arg(long, value_name = "FILE", conflicts_with = "kind")]
    schema: Option<PathBuf>,
    /// Ask this about the pages instead of extracting fields
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["kind", "schema"])]
    prompt: Option<String>,
    /// Let the model write what it likes instead of holding it to the schema
    #[arg(long, conflicts_with = "prompt")]
    no_constrain: bool,
    /// Cut each answer after this many tokens
    #[arg(long, value_name = "N")]
    output_tokens: Option<u32>,
    /// Give up on a document after this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = value::duration)]
    timeout: Duration,
    /// Write tables and a chart into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    flags: Flags,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 10_000.0 => Ok(rate),
        _ => Err("give documents a second, more than 0 and at most 10000".to_owned()),
    }
}

pub(super) fn run(args: &ServeBenchArgs, term: &Term) -> Result<(), Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(bench(args, term));
    runtime.shutdown_background();
    done
}

async fn bench(args: &ServeBenchArgs, term: &Term) -> Result<(), Failure> {
    let local = match &args.server {
        Some(_) => {
            local::refuse(&args.flags)?;
            None
        }
        None => Some(Local::start(flags(args), term).await?),
    };
    let address = local.as_ref().map_or_else(
        || args.server.clone().unwrap_or_default(),
        |local| local.ready.address.to_string(),
    );
    let connection = match &local {
        Some(_) => Connection::plain(&address),
        None => Connection::new(args.server.as_deref(), &args.connection, &ProcessEnv)?,
    };
    let mut clients = Vec::new();
    for _ in 0..args.connections() {
        clients.push(Client::connect(&connection).await?);
    }
    let model = clients[0].model().await?;
    let max_tiles = model.limits.as_ref().map_or(12, |limits| limits.max_tiles_per_page);
    let mut status = StatusLine::new(term);
    status.draw("making pages");
    let pages = pages::pages(&args.source(), max_tiles)?;
    status.clear();
    let bytes: usize = pages.iter().map(|page| page.content.len()).sum();
    let mut facts =
        host::facts(local.as_ref().map_or(address.as_str(), |_| "in this process"), &model);
    facts.push((
        "pages".to_owned(),
        format!(
            "{} unlike, {:.0} kB each, {}",
            pages.len(),
            bytes as f64 / pages.len() as f64 / 1e3,
            if args.images.is_empty() {
                let tiles: Vec<String> = args.tiles.iter().map(u32::to_string).collect();
                format!("made for {} tiles", tiles.join(", "))
            } else {
                "from files".to_owned()
            }
        ),
    ));
    let work = Work { pages: Arc::new(pages), request: args.request()?, timeout: args.timeout };
    let (mut levels, mut samples) = (Vec::new(), Vec::new());
    for load in args.loads() {
        status.draw(&format!("measuring {load:?}"));
        let run = load::run(&clients, &work, load, args.warm_up, args.length()).await?;
        status.clear();
        levels.push(Level::of(load, &run));
        samples.push(run.samples);
    }
    print(&report::markdown(&facts, &levels))?;
    if let Some(out) = &args.out {
        report::write(out, &facts, &levels, &samples)?;
    }
    let answers: usize = levels.iter().map(|level| level.answers).sum();
    if answers == 0 {
        let first = samples.iter().flatten().find_map(|sample| sample.outcome.as_ref().err());
        let why = first.map_or("", |refused| &refused.message);
        return Err(Failure::new(Exit::Failed, "every request was refused").fact("first", why));
    }
    Ok(())
}

/// The options of a server in this process, with room for what will be sent.
fn flags(args: &ServeBenchArgs) -> Flags {
    let mut flags = args.flags.clone();
    let clients = args.concurrency.iter().max().map_or(1, |&clients| clients as usize);
    let queue = if args.rate.is_empty() { clients.max(64) } else { QUEUE };
    flags.values.entry(Key::Queue).or_insert_with(|| queue.to_string());
    flags
}

impl ServeBenchArgs {
    fn loads(&self) -> Vec<Load> {
        if self.rate.is_empty() {
            self.concurrency.iter().map(|&clients| Load::Closed(clients as usize)).collect()
        } else {
            self.rate.iter().map(|&rate| Load::Open(rate)).collect()
        }
    }

    fn length(&self) -> Length {
        match self.requests {
            Some(requests) => Length::Requests(requests as usize),
            None => Length::For(self.duration),
        }
    }

    fn connections(&self) -> usize {
        let clients = self.concurrency.iter().max().map_or(1, |&clients| clients as usize);
        if self.rate.is_empty() { clients.min(CONNECTIONS_MAX) } else { CONNECTIONS_MAX }
    }

    fn source(&self) -> Source {
        if !self.images.is_empty() {
            return Source::Files(self.images.clone());
        }
        let requests = self.requests.map_or(DISTINCT_PAGES, |requests| requests as usize);
        let distinct = self.distinct.map_or(requests.min(DISTINCT_PAGES), |n| n as usize);
        Source::Made { tiles: self.tiles.clone(), distinct, tile_px: self.tile_px }
    }

    /// All of a request but its page.
    fn request(&self) -> Result<ExtractRequest, Failure> {
        let fields = vec![EventKind::Tokens, EventKind::Fields];
        let (task, kinds) = match (&self.prompt, &self.schema) {
            (Some(prompt), _) => (Task::Prompt(prompt.clone()), vec![EventKind::Tokens]),
            (None, Some(path)) => (extract::schema_task(path, Answers::Json)?, fields),
            (None, None) => (self.kind.task(Answers::Json), fields),
        };
        Ok(ExtractRequest {
            task: Some(task),
            generation: Some(GenerationOptions {
                max_output_tokens: self.output_tokens,
                constrain: self.no_constrain.then_some(false),
                ..GenerationOptions::default()
            }),
            event_kinds: kinds.into_iter().map(i32::from).collect(),
            ..ExtractRequest::default()
        })
    }
}
