//! `tessera bench decode`, `prefill` and `vision`: the parts of a forward pass, without a server, each
//! beside the least that this device needs for it.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::bounds::Bounds;
use super::host;
use super::varied::varied;
use crate::app::load::Loader;
use crate::cli::distribution::Distribution;
use crate::cli::failure::{Exit, Failure};
use crate::cli::term::{StatusLine, Term, print};
use crate::config::{self, Key, Low, ModelFlags};
use crate::device::{self, DeviceHandle};
use crate::model::internvl::InternVl;
use crate::model::{
    Choice, Draw, Odds, Output, PixelData, PixelTiles, RunError, Runner as _, Segment, Slot,
    SlotTiles, StepBatch, Want,
};
use crate::preprocess::SampleValues;

/// Runs before those that count: kernels are compiled and memory is taken.
const WARM_UP: usize = 3;
/// Prompt tokens of one step while a context is filled.
const FILL_TOKENS: usize = 512;
/// Contexts are rounded up to it: a multiple of the tokens of any KV block.
const ROUND_TOKENS: usize = 1024;

const AFTER_HELP: &str = "\
Loads the model that the options name, by default the built-in one. `--weights random:1` makes weights up
in the shapes of its config.json.

Beside each figure stands a bound that the command measures itself: for decoding, the weights and the KV
entries read once at the rate at which this device copies memory; for prefill and vision, the products
with the weights at the rate at which it multiplies large matrices. Attention is not in the bound, nor is the
decoder's last layer in that of prefill: only keys and values of it are needed for each token.

Examples:
  tessera bench decode --batch 1,4 --context 256,1024
  tessera bench prefill --model ./InternVL3-8B --weights random:1 --tokens 1856,3400
  tessera bench vision --model ./InternVL3-8B --weights random:1 --tiles 1,7,13";

/// What all parts take.
#[derive(Debug, Args)]
pub(in crate::cli) struct PartArgs {
    /// Runs of each size that count
    #[arg(long, value_name = "N", default_value = "20",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,
    /// Write the figures into this CSV file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    flags: ModelFlags,
}

/// Time one token of some sequences at once, by batch and context
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct DecodeArgs {
    /// Sequences in a step
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,4",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: Vec<u32>,
    /// Tokens that each sequence has
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "256,1024",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    context: Vec<u32>,
    /// Begin no step before the one before it is over
    #[arg(long)]
    no_ahead: bool,
    /// How tokens are chosen: the likeliest ones; or drawn at temperature 0.8 from 50 tokens with 0.95 of the probability, those
    /// of the context less likely, on the device, or on the host from logits that are brought there
    #[arg(long, value_enum, default_value_t = Choosing::Greedy)]
    choose: Choosing,
    #[command(flatten)]
    part: PartArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choosing {
    Greedy,
    Device,
    Host,
}

/// Time taking in a prompt, by its tokens
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct PrefillArgs {
    /// Tokens of the prompt, in one step
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "256,1024",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tokens: Vec<u32>,
    #[command(flatten)]
    part: PartArgs,
}

/// Time the vision tower and the projector, by tiles
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct VisionArgs {
    /// Tiles in one pass
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,7,13",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    tiles: Vec<u32>,
    #[command(flatten)]
    part: PartArgs,
}

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    part: &'static str,
    /// Sequences, or 1.
    batch: usize,
    /// Of context, or of the prompt; tiles of a page.
    size: usize,
    ms_p50: f64,
    ms_p10: f64,
    ms_p90: f64,
    /// Tokens or tiles a second.
    per_second: f64,
    bound_ms: f64,
}

/// A loaded model on its devices.
struct Model {
    runner: InternVl,
    devices: Vec<DeviceHandle>,
    bounds: Bounds,
    repeats: usize,
    /// KV blocks of each sequence.
    blocks: Vec<Vec<u32>>,
}

pub(super) fn decode(args: &DecodeArgs, term: &Term) -> Result<(), Failure> {
    let most = |list: &[u32]| list.iter().max().map_or(1, |&most| most as usize);
    let steps = WARM_UP + args.part.repeats as usize;
    let (slots, context) = (most(&args.batch), most(&args.context) + steps + 1);
    let mut model = Model::load(&args.part, slots, context, term)?;
    let mut rows = Vec::new();
    for &context in &args.context {
        for &batch in &args.batch {
            let sizes = (batch as usize, context as usize);
            // What the host is to choose by is not there before the step is over.
            let ahead = !args.no_ahead && args.choose != Choosing::Host;
            rows.push(model.decode(sizes, args.choose, ahead).map_err(failed)?);
        }
    }
    report(&model, &rows, &args.part)
}

pub(super) fn prefill(args: &PrefillArgs, term: &Term) -> Result<(), Failure> {
    let most = args.tokens.iter().max().map_or(1, |&most| most as usize);
    let mut model = Model::load(&args.part, 1, most + 1, term)?;
    let rows: Result<Vec<Row>, RunError> =
        args.tokens.iter().map(|&tokens| model.prefill(tokens as usize)).collect();
    report(&model, &rows.map_err(failed)?, &args.part)
}

pub(super) fn vision(args: &VisionArgs, term: &Term) -> Result<(), Failure> {
    let mut model = Model::load(&args.part, 1, FILL_TOKENS, term)?;
    let rows: Result<Vec<Row>, RunError> =
        args.tiles.iter().map(|&tiles| model.vision(tiles as usize)).collect();
    report(&model, &rows.map_err(failed)?, &args.part)
}

fn failed(error: RunError) -> Failure {
    Failure::new(Exit::Failed, "the forward pass failed")
        .because(&error)
        .remedy("smaller sizes, or another of --devices")
}

impl Model {
    fn load(
        args: &PartArgs,
        slots: usize,
        slot_tokens: usize,
        term: &Term,
    ) -> Result<Self, Failure> {
        let mut flags = args.flags.0.clone();
        let longest = slot_tokens.next_multiple_of(ROUND_TOKENS);
        flags.values.insert(Key::Slots, slots.to_string());
        flags.values.insert(Key::SlotTokens, longest.to_string());
        // Nobody answers anything here: all of the context is for what is measured.
        flags.values.insert(Key::MaxOutputTokens, "1".to_owned());
        let config = config::check(&Low::gather(&flags, &std::collections::BTreeMap::new()))
            .map_err(|problems| Failure::new(Exit::Usage, problems.to_string()))?;
        let name = config.model.checkpoint.name();
        let mut line = StatusLine::new(term);
        let runner = Loader::new(&config).load_runner(&mut |step| line.draw(step));
        line.clear();
        let runner = runner.map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot load {name}")).because(error.as_ref())
        })?;
        if runner.spec().slot_tokens < slot_tokens {
            let most = runner.spec().slot_tokens;
            return Err(Failure::new(Exit::Usage, format!("{slot_tokens} tokens are too many"))
                .fact("the model's context", most.to_string())
                .remedy("smaller sizes"));
        }
        let devices = device::open(&config.model.devices).map_err(|error| {
            Failure::new(Exit::Failed, "cannot open the devices").because(&error)
        })?;
        line.draw("measuring what this device can do");
        let bounds = Bounds::measure(&devices, runner.spec()).map_err(|error| {
            Failure::new(Exit::Failed, "cannot measure the device").because(&error)
        })?;
        line.clear();
        let each = runner.spec().blocks_for(slot_tokens) as u32;
        let blocks = (0..slots as u32).map(|i| (i * each..(i + 1) * each).collect()).collect();
        Ok(Self { runner, devices, bounds, repeats: args.repeats as usize, blocks })
    }

    /// One step of `batch` sequences that have `context` tokens each, again and again, each begun `ahead` where the runner does
    /// that, as the engine has it. A step counts from the end of the one before. Each adds a token: the middle one of those that
    /// count has `context` of them, where that is as many as come before it.
    fn decode(
        &mut self,
        (batch, context): (usize, usize),
        choosing: Choosing,
        ahead: bool,
    ) -> Result<Row, RunError> {
        let first = context.saturating_sub(WARM_UP + self.repeats / 2).max(1);
        for sequence in 0..batch {
            self.fill(sequence, first)?;
        }
        let seen: Vec<Vec<u32>> =
            (0..batch).map(|sequence| bits_of(&self.varied_tokens(sequence, context))).collect();
        let never = self.runner.spec().image_token_id;
        let mut times = Vec::new();
        let mut tokens = self.varied_tokens(context, batch);
        let mut ended = Instant::now();
        for turn in 0..WARM_UP + self.repeats {
            let position = first + turn;
            let blocks = &self.blocks;
            let number = |sequence: usize| u64::from(varied(turn * batch + sequence)) << 32;
            let draw = |sequence: usize| draw(&seen[sequence], number(sequence));
            let this = |sequence: usize| {
                let want = match choosing {
                    Choosing::Greedy => Want::Greedy,
                    Choosing::Device => Want::Drawn(draw(sequence)),
                    Choosing::Host => Want::Logits,
                };
                let token = &tokens[sequence..=sequence];
                segment(blocks, sequence, (position, token), want)
            };
            let next = |sequence| {
                let want = match choosing {
                    Choosing::Device => Want::Drawn(draw(sequence)),
                    Choosing::Greedy | Choosing::Host => Want::Greedy,
                };
                segment(blocks, sequence, (position + 1, &[]), want)
            };
            let pending =
                self.runner.submit(&StepBatch { segments: (0..batch).map(this).collect() })?;
            if ahead {
                self.runner.begin_ahead(&StepBatch { segments: (0..batch).map(next).collect() });
            }
            let outputs = pending.wait()?;
            let chosen = outputs.iter().enumerate().map(|(sequence, output)| match output {
                Output::Choice(choice) => choice.token,
                Output::Logits(row) => Choice::drawn(row, never, &draw(sequence)).token,
            });
            tokens = chosen.collect();
            // The choice is on the host: the step is over.
            let began = std::mem::replace(&mut ended, Instant::now());
            if turn >= WARM_UP {
                times.push(ended.duration_since(began).as_secs_f64());
            }
        }
        // What was begun for nobody.
        self.wait();
        self.release(batch);
        let bound = self.bounds.decode(self.runner.spec(), batch, context);
        Ok(row("decode", (batch, context), times, batch, bound))
    }

    /// A prompt in one step.
    fn prefill(&mut self, tokens: usize) -> Result<Row, RunError> {
        let prompt = self.varied_tokens(0, tokens);
        let mut times = Vec::new();
        for turn in 0..WARM_UP + self.repeats {
            let began = Instant::now();
            let segments = vec![segment(&self.blocks, 0, (0, &prompt), Want::Greedy)];
            self.runner.step(&StepBatch { segments })?;
            if turn >= WARM_UP {
                times.push(began.elapsed().as_secs_f64());
            }
            self.release(1);
        }
        let bound = self.bounds.prefill(self.runner.spec(), tokens);
        Ok(row("prefill", (1, tokens), times, tokens, bound))
    }

    /// Tiles of one page in one pass.
    fn vision(&mut self, tiles: usize) -> Result<Row, RunError> {
        let side = self.runner.spec().tile_size_px as usize;
        let samples: Vec<u8> = (0..tiles * 3 * side * side).map(|at| varied(at) as u8).collect();
        let values = SampleValues::default();
        let mut times = Vec::new();
        for turn in 0..WARM_UP + self.repeats {
            self.wait();
            let began = Instant::now();
            let pixels = PixelTiles { tiles, data: PixelData::Samples(&samples, &values) };
            self.runner.encode(&[SlotTiles { first_tile: 0, slot: Slot(0), pixels }])?;
            self.wait();
            if turn >= WARM_UP {
                times.push(began.elapsed().as_secs_f64());
            }
            self.release(1);
        }
        let bound = self.bounds.vision(self.runner.spec(), tiles);
        Ok(row("vision", (1, tiles), times, tiles, bound))
    }

    /// Gives a sequence `context` tokens.
    fn fill(&mut self, sequence: usize, context: usize) -> Result<(), RunError> {
        let tokens = self.varied_tokens(sequence, context);
        let mut start = 0;
        while start < context {
            let count = FILL_TOKENS.min(context - start);
            let some = (start, &tokens[start..start + count]);
            let segments = vec![segment(&self.blocks, sequence, some, Want::Nothing)];
            self.runner.step(&StepBatch { segments })?;
            start += count;
        }
        Ok(())
    }

    /// Tokens of a text, alike no more often than by chance.
    fn varied_tokens(&self, sequence: usize, count: usize) -> Vec<u32> {
        let spec = self.runner.spec();
        let vocab_size = spec.vocab_size.max(1) as u32;
        let token = |at: usize| match varied(at + (sequence << 20)) % vocab_size {
            // It would stand for a page.
            token if token == spec.image_token_id => 0,
            token => token,
        };
        (0..count).map(token).collect()
    }

    fn release(&mut self, sequences: usize) {
        for sequence in 0..sequences {
            self.runner.release(Slot(sequence as u32));
        }
    }

    /// Waits until the devices have done what they were told.
    fn wait(&self) {
        for device in &self.devices {
            // A device that fails here fails the next pass as well, which says so.
            let _ = device.device.synchronize();
        }
    }
}

/// A bit for each of these tokens.
fn bits_of(tokens: &[u32]) -> Vec<u32> {
    let words = tokens.iter().max().map_or(0, |most| *most as usize / 32 + 1);
    let mut bits = vec![0; words];
    for token in tokens {
        bits[*token as usize / 32] |= 1 << (token % 32);
    }
    bits
}

/// As requests have it that want some variety.
fn draw(seen: &[u32], number: u64) -> Draw<'_> {
    let odds = Odds {
        temperature: 0.8,
        top_k: Some(50),
        top_p: 0.95,
        min_p: 0.0,
        repetition_penalty: 1.1,
    };
    Draw { odds, seen, allowed: None, number }
}

/// Tokens of the sequence of this number, from a position on.
fn segment<'a>(
    blocks: &'a [Vec<u32>],
    sequence: usize,
    (start, tokens): (usize, &'a [u32]),
    want: Want<'a>,
) -> Segment<'a> {
    let (slot, blocks) = (Slot(sequence as u32), &blocks[sequence]);
    Segment { slot, blocks, start, tokens, image_tokens_before: 0, want, pages: &[] }
}

fn row(
    part: &'static str,
    (batch, size): (usize, usize),
    seconds: Vec<f64>,
    units: usize,
    bound_seconds: f64,
) -> Row {
    let times: Distribution = seconds.into_iter().map(|seconds| seconds * 1e3).collect();
    let at = |percent| times.percentile(percent).unwrap_or(f64::NAN);
    let ms_p50 = at(50.0);
    Row {
        part,
        batch,
        size,
        ms_p50,
        ms_p10: at(10.0),
        ms_p90: at(90.0),
        per_second: units as f64 / ms_p50 * 1e3,
        bound_ms: bound_seconds * 1e3,
    }
}

fn report(model: &Model, rows: &[Row], args: &PartArgs) -> Result<(), Failure> {
    for (name, value) in host::machine() {
        print(&format!("- {name}: {value}"))?;
    }
    let spec = model.runner.spec();
    print(&format!("- model: {} ({})", spec.name, spec.revision))?;
    for device in &model.devices {
        print(&format!("- device {}: {}", device.id, device.name))?;
    }
    print(&format!("- {}", model.bounds))?;
    print("")?;
    print(
        "| part | sequences | tokens or tiles | ms p50 (p10 to p90) | a second | bound ms | of the bound |",
    )?;
    print("|---|---:|---:|---:|---:|---:|---:|")?;
    for row in rows {
        print(&format!(
            "| {} | {} | {} | {:.3} ({:.3} to {:.3}) | {:.1} | {:.3} | {:.2} × |",
            row.part,
            row.batch,
            row.size,
            row.ms_p50,
            row.ms_p10,
            row.ms_p90,
            row.per_second,
            row.bound_ms,
            row.ms_p50 / row.bound_ms
        ))?;
    }
    let Some(path) = &args.csv else { return Ok(()) };
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Exit::Failed, format!("cannot write {}", path.display()))
            .because(error)
            .remedy("another --csv FILE")
    };
    let mut out = csv::Writer::from_path(path).map_err(|error| failed(&error))?;
    for row in rows {
        out.serialize(row).map_err(|error| failed(&error))?;
    }
    out.flush().map_err(|error| failed(&error))
}
