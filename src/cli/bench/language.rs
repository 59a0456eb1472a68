//! `tessera bench language`: many prompts without pages at once through the engine, with nothing around it: what
//! servers of language models call offline throughput.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use tokio::task::JoinSet;

use super::bounds::Bounds;
use super::host;
use super::varied::varied;
use crate::app::load::Loader;
use crate::cli::failure::{Exit, Failure};
use crate::cli::local::until_loaded;
use crate::cli::runtime;
use crate::cli::term::{StatusLine, Term, print};
use crate::config::env::ProcessEnv;
use crate::config::{self, Config, Flags, Key, Low};
use crate::device;
use crate::engine::{
    self, Event, Events, GuardConfig, Handle, Job, ModelState, Priority, Sampling,
};
use crate::model::{ModelSpec, internvl};
use crate::prompt::Prompter;

/// Tokens of each answer in the batch before the one that counts, which is as large: its steps have the same sizes, for each of which
/// a library may have a kernel to load.
const WARM_UP_OUTPUTS: usize = 8;

const AFTER_HELP: &str = "\
Prompts and answers have as many tokens as is said, no page, and no network: the engine takes them all at once,
and the time is that from the first request to the end of the last. As many with short answers go before, which
do not count. Nothing of a prompt is kept for another.

The bound is what the device needs for all products at its rate for large matrices, or for reading the weights
once for each output token and the KV entries once for each step, whichever is more.

Examples:
  tessera bench language --prompt-tokens 200 --output-tokens 50 --requests 8
  tessera bench language --model ./InternVL3-8B --weights random:1 --prompt-tokens 1856,3400 \\
      --output-tokens 200 --requests 64,256";

/// Time many prompts without pages, all at once, without a network
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct LanguageArgs {
    /// Requests at once
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "8",
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    requests: Vec<u32>,
    /// Tokens of each prompt
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "200",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    prompt_tokens: Vec<u32>,
    /// Tokens of each answer
    #[arg(long, value_name = "N", default_value = "50",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    output_tokens: u32,
    #[command(flatten)]
    flags: Flags,
}

/// An engine that is ready, and what its prompts are made with.
struct Model {
    engine: Handle,
    prompter: Prompter,
    spec: Arc<ModelSpec>,
    bounds: Bounds,
}

/// What one batch took.
struct Batch {
    seconds: f64,
    output_tokens: usize,
}

pub(super) fn run(args: &LanguageArgs, term: &Term) -> Result<(), Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(bench(args, term));
    runtime.shutdown_background();
    done
}

async fn bench(args: &LanguageArgs, term: &Term) -> Result<(), Failure> {
    let config = args.config()?;
    let model = Model::start(&config, args, term).await?;
    for (name, value) in host::machine() {
        print(&format!("- {name}: {value}"))?;
    }
    print(&format!("- model: {} ({})", model.spec.name, model.spec.revision))?;
    for device in &model.spec.devices {
        print(&format!("- device {}: {}", device.id, device.name))?;
    }
    print(&format!("- {}", model.bounds))?;
    print("")?;
    print(
        "| requests | prompt | answer | s | requests/s | output tokens/s | bound s | of the bound |",
    )?;
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for &tokens in &args.prompt_tokens {
        let question = model.question(tokens as usize)?;
        for &requests in &args.requests {
            let outputs = args.output_tokens as usize;
            model.batch(&question, requests as usize, outputs.min(WARM_UP_OUTPUTS)).await?;
            let batch = model.batch(&question, requests as usize, outputs).await?;
            let bound =
                model.bounds.language(&model.spec, requests as usize, tokens as usize, outputs);
            print(&format!(
                "| {requests} | {tokens} | {:.1} | {:.2} | {:.2} | {:.0} | {bound:.2} | {:.2} × |",
                batch.output_tokens as f64 / f64::from(requests),
                batch.seconds,
                f64::from(requests) / batch.seconds,
                batch.output_tokens as f64 / batch.seconds,
                batch.seconds / bound
            ))?;
        }
    }
    model.engine.stop();
    Ok(())
}

impl LanguageArgs {
    /// With a slot for each request and room for its tokens, where nothing else is said.
    fn config(&self) -> Result<Config, Failure> {
        let mut flags = self.flags.clone();
        let most = |list: &[u32]| list.iter().max().copied().unwrap_or(1);
        let tokens = most(&self.prompt_tokens) + self.output_tokens;
        for (key, value) in [
            (Key::Slots, most(&self.requests)),
            (Key::SlotTokens, tokens + 1),
            (Key::MaxOutputTokens, self.output_tokens),
        ] {
            flags.values.entry(key).or_insert_with(|| value.to_string());
        }
        config::check(&Low::gather(&flags, &ProcessEnv))
            .map_err(|problems| Failure::new(Exit::Usage, problems.to_string()))
    }
}

impl Model {
    async fn start(config: &Config, args: &LanguageArgs, term: &Term) -> Result<Self, Failure> {
        let name = config.model.checkpoint.name();
        let cannot_load = |error: &(dyn std::error::Error + 'static)| {
            Failure::new(Exit::Failed, format!("cannot load {name}")).because(error)
        };
        let loader = Loader::new(config);
        let architecture = internvl::Config::load(&config.model.checkpoint)
            .map_err(|error| cannot_load(&error))?;
        let prompter =
            loader.prompter(&architecture).map_err(|error| cannot_load(error.as_ref()))?;
        let requests = args.requests.iter().max().map_or(1, |&most| most as usize);
        let settings = engine::Config {
            queued_max: requests,
            prefill_chunk_tokens: config.requests.prefill_chunk,
            intake_threads: config.requests.intake_threads,
            prefix_cache: false,
            // Random weights write text that is none.
            guard: GuardConfig { on: false, ..GuardConfig::default() },
            ..engine::Config::default()
        };
        let engine = Handle::start(settings, move |progress| loader.load(progress));
        let mut line = StatusLine::new(term);
        until_loaded(engine.status(), &mut line).await;
        let now = engine.current();
        let Some(spec) = now.spec.filter(|_| now.state == ModelState::Ready) else {
            return Err(Failure::new(Exit::Failed, format!("cannot load {name}"))
                .fact("the engine says", now.message));
        };
        let devices = device::open(&config.model.devices).map_err(|error| {
            Failure::new(Exit::Failed, "cannot open the devices").because(&error)
        })?;
        line.draw("measuring what this device can do");
        let bounds = Bounds::measure(&devices, &spec).map_err(|error| {
            Failure::new(Exit::Failed, "cannot measure the device").because(&error)
        })?;
        line.clear();
        Ok(Self { engine, prompter, spec, bounds })
    }

    /// A question that becomes a prompt of so many tokens.
    fn question(&self, tokens: usize) -> Result<String, Failure> {
        let count = |text: &str| {
            let prompt = self.prompter.build(text, &[]);
            prompt
                .map(|prompt| prompt.ids.len())
                .map_err(|error| Failure::new(Exit::Failed, "cannot make a prompt").because(&error))
        };
        // Words of one letter are a token each, or two, of all tokenizers.
        let mut words: Vec<(String, usize)> = Vec::new();
        for letter in ('a'..='z').chain('A'..='Z') {
            let word = format!(" {letter}");
            let each = count(&word.repeat(2))? - count(&word)?;
            words.push((word, each.max(1)));
        }
        let (mut text, mut left) = (" a".to_owned(), tokens.saturating_sub(count(" a")?));
        for at in 0.. {
            let chosen = &words[varied(at) as usize % words.len()];
            // At the end whatever still fits.
            let mut fitting = std::iter::once(chosen).chain(&words);
            let Some((word, each)) = fitting.find(|(_, each)| *each <= left) else { break };
            text.push_str(word);
            left -= each;
        }
        let made = count(&text)?;
        if made == tokens {
            return Ok(text);
        }
        Err(Failure::new(Exit::Usage, format!("no prompt of {tokens} tokens can be made"))
            .fact("the nearest has", made.to_string())
            .remedy("another --prompt-tokens"))
    }

    async fn batch(
        &self,
        question: &str,
        requests: usize,
        output_tokens: usize,
    ) -> Result<Batch, Failure> {
        let began = Instant::now();
        let mut readers = JoinSet::new();
        for _ in 0..requests {
            let events = self.engine.submit(job(question, output_tokens)).map_err(|error| {
                Failure::new(Exit::Failed, "the engine takes no request").because(&error)
            })?;
            readers.spawn(read(events));
        }
        let mut batch = Batch { seconds: 0.0, output_tokens: 0 };
        while let Some(read) = readers.join_next().await {
            let tokens = read.map_err(|error| error.to_string()).and_then(|tokens| tokens);
            batch.output_tokens += tokens.map_err(|message| {
                Failure::new(Exit::Failed, "a request failed").fact("the engine says", message)
            })?;
        }
        batch.seconds = began.elapsed().as_secs_f64();
        Ok(batch)
    }
}

/// Reads an answer to its end. Returns its tokens.
async fn read(mut events: Events) -> Result<usize, String> {
    while let Some(event) = events.recv().await {
        match event {
            Ok(Event::Done(done)) => return Ok(done.usage.output_tokens),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the answer has no end".to_owned())
}

fn job(question: &str, output_tokens_max: usize) -> Job {
    Job {
        id: String::new(),
        files: Vec::new(),
        question: question.to_owned(),
        priority: Priority::Interactive,
        sampling: Sampling::GREEDY,
        output_tokens_max,
        stop: Vec::new(),
        grammar: None,
        scores: false,
        tiles_max: None,
        deadline: None,
        received: Instant::now(),
        span: tracing::Span::none(),
        trace: None,
    }
}
