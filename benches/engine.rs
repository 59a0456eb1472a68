//! What the engine itself costs: scheduling, choosing, detokenising and sending, over a model that takes no
//! time. `cargo bench --bench engine`; not run in CI.
//!
//! `step/N` is the wall time of one decoding step of N streams, their readers included; `sampled` draws each
//! token from a row of 151,674 logits, which is made anew each time and so part of the figure: `rows` is that
//! part alone.

#![allow(clippy::unwrap_used, reason = "a benchmark stops where it fails")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tessera::checkpoint::Checkpoint;
use tessera::engine::{Config, GuardConfig, Handle, Job, Loaded, ModelState, Priority, Sampling};
use tessera::model::fake::{Fake, Options, Script};
use tessera::model::{ModelSpec, Runner as _, Segment, Slot, StepBatch, Want};
use tessera::preprocess;
use tessera::prompt::{PromptOptions, Prompter};
use tokio::runtime::Runtime;

/// Of `InternVL3-8B`.
const VOCAB: usize = 151_674;
const OUTPUT_TOKENS: usize = 200;

fn spec(streams: usize, vocab_size: usize) -> ModelSpec {
    ModelSpec {
        vocab_size,
        tokens_per_tile: 256,
        image_token_id: 1022,
        slots: streams,
        slot_tokens: 1024,
        block_tokens: 64,
        ..Options::default().spec
    }
}

fn fake(streams: usize, vocab_size: usize) -> Fake {
    let script = Script::Answer((40..60).collect());
    Fake::new(Options { spec: spec(streams, vocab_size), script, ..Options::default() })
}

/// An engine that is ready.
fn engine(runtime: &Runtime, streams: usize, vocab_size: usize) -> Handle {
    let config = Config {
        queued_max: streams,
        guard: GuardConfig { on: false, ..GuardConfig::default() },
        prefix_cache: false,
        ..Config::default()
    };
    let handle = Handle::start(config, move |_| {
        let options = PromptOptions { tokens_per_tile: 256, ..PromptOptions::default() };
        let prompter = Arc::new(Prompter::load(&Checkpoint::Embedded, &options)?);
        let runner = Box::new(fake(streams, vocab_size));
        Ok(Loaded { runner, prompter, tiling: preprocess::Config::default(), calibration: None })
    });
    runtime.block_on(async {
        let mut status = handle.status();
        status.wait_for(|status| status.state == ModelState::Ready).await.unwrap();
    });
    handle
}

fn job(sampling: Sampling) -> Job {
    Job {
        id: String::new(),
        files: Vec::new(),
        question: "What is this?".to_owned(),
        grammar: None,
        priority: Priority::Interactive,
        sampling,
        output_tokens_max: OUTPUT_TOKENS,
        stop: Vec::new(),
        scores: false,
        tiles_max: None,
        deadline: None,
        received: Instant::now(),
        span: tracing::Span::none(),
        trace: None,
    }
}

/// Time of one step, over whole answers of `streams` requests.
fn step_time(runtime: &Runtime, engine: &Handle, streams: usize, sampling: Sampling) -> Duration {
    let before = engine.counts().steps;
    let start = Instant::now();
    runtime.block_on(async {
        let readers: Vec<_> = (0..streams)
            .map(|_| {
                let mut events = engine.submit(job(sampling)).unwrap();
                tokio::spawn(async move { while events.recv().await.is_some() {} })
            })
            .collect();
        for reader in readers {
            reader.await.unwrap();
        }
    });
    start.elapsed() / (engine.counts().steps - before) as u32
}

fn steps(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("step");
    group.sample_size(10);
    for streams in [1, 8, 64, 256, 1000] {
        let engine = engine(&runtime, streams, 1024);
        group.bench_function(BenchmarkId::from_parameter(streams), |bencher| {
            bencher.iter_custom(|times| {
                (0..times).map(|_| step_time(&runtime, &engine, streams, Sampling::GREEDY)).sum()
            });
        });
    }
}

fn sampled(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("sampled");
    group.sample_size(10);
    let warm = Sampling { temperature: 0.8, seed: 1, ..Sampling::GREEDY };
    let engine = engine(&runtime, 8, VOCAB);
    for (name, sampling) in [
        ("temperature", warm),
        ("top_k", Sampling { top_k: Some(50), ..warm }),
        ("top_p", Sampling { top_p: 0.9, ..warm }),
        ("penalty", Sampling { repetition_penalty: 1.1, ..warm }),
    ] {
        group.bench_function(BenchmarkId::new(name, 8), |bencher| {
            bencher.iter_custom(|times| {
                (0..times).map(|_| step_time(&runtime, &engine, 8, sampling)).sum()
            });
        });
    }
    group.bench_function(BenchmarkId::new("rows", 8), |bencher| {
        let mut fake = fake(8, VOCAB);
        let blocks: Vec<u32> = (0..8).collect();
        bencher.iter(|| rows(&mut fake, &blocks));
    });
}

/// The rows of logits of eight sequences.
fn rows(fake: &mut Fake, blocks: &[u32]) {
    let segments = (0..8)
        .map(|slot| Segment {
            slot: Slot(slot),
            blocks: &blocks[slot as usize..=slot as usize],
            start: 0,
            tokens: &[1],
            image_tokens_before: 0,
            want: Want::Logits,
            pages: &[],
        })
        .collect();
    black_box(fake.step(&StepBatch { segments }).unwrap());
}

fn detokenizer(criterion: &mut Criterion) {
    let prompter = Prompter::load(&Checkpoint::Embedded, &PromptOptions::default()).unwrap();
    let text = r#"{"SUPPLIER_NAME": "Zoë & Söhne", "TOTAL_AMOUNT": "€ 1,234.50"}"#;
    let ids = prompter.encode(text).unwrap();
    criterion.bench_function(&format!("detokenizer/{} tokens", ids.len()), |bencher| {
        bencher.iter(|| {
            let mut detokenizer = prompter.detokenizer();
            for id in &ids {
                black_box(detokenizer.push(*id));
            }
        });
    });
}

criterion_group!(benches, steps, sampled, detokenizer);
criterion_main!(benches);
