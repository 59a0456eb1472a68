//! The engine without a model, files or a clock: most tests turn the loop by hand, so that what
//! happens in which step is exact; `threads` tests the real thing.

mod ahead;
mod batch;
mod constrained;
mod endings;
mod faults;
mod guard;
mod intake;
mod muster;
mod order;
mod preempt;
mod prefix;
mod readers;
mod reload;
mod replicas;
mod schedule;
mod soak;
mod threads;
mod traces;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::constraint::Vocabulary;
use crate::engine::answer::Detokenize;
use crate::engine::board::Board;
use crate::engine::channel::{Bell, Events, channel};
use crate::engine::clock::{Clock, ManualClock};
use crate::engine::constrained::Constrained;
use crate::engine::ending::Ending;
use crate::engine::inbox::{Arrived, Inbox, Wait};
use crate::engine::intake::{Intake, Request, Worker};
use crate::engine::prefix::{file_key, page_key};
use crate::engine::prepare::{Prepare, Prepared};
use crate::engine::stepper::Stepper;
use crate::engine::{
    Config, Done, EngineError, Event, Job, Load, Priority, Reject, Sampling, Served, Text,
};
use crate::model::Runner;
use crate::model::fake::{Fake, Faults, Options, Probe, Script};

/// The id that ends an answer.
const STOP_ID: u32 = 254;
/// In a question, it makes preparing panic.
const BOMB: &str = "bomb";
/// In a question, it takes the parser away from an answer that is held.
const LOST: &str = "lost";

/// Takes each byte of a question for a token, and the first byte of a file for its tiles.
struct Letters {
    options: Options,
    vocabulary: Vocabulary,
}

#[derive(Debug)]
struct Spell;

/// The loop, its fake model and its clock, all in the test's hands.
struct Stage {
    stepper: Stepper,
    worker: Worker,
    board: Arc<Board>,
    bell: Bell,
    clock: Arc<ManualClock>,
    config: Config,
    probe: Arc<Probe>,
    faults: Faults,
}

// === impl Letters ===

impl Letters {
    fn new(options: Options) -> Self {
        // A character each: others take several bytes, and `Spell` knows none of that.
        let byte = |id: u32| u8::try_from(id).ok().filter(u8::is_ascii);
        let words = (0..options.spec.vocab_size as u32).map(|id| byte(id).into_iter().collect());
        let encode = |text: &str| text.bytes().map(u32::from).collect();
        let vocabulary = Vocabulary::new(words.collect(), &[STOP_ID], encode).unwrap();
        Self { options, vocabulary }
    }
}

impl Prepare for Letters {
    fn prepare(
        &self,
        job: &Job,
        go_on: &dyn Fn() -> Result<(), EngineError>,
    ) -> Result<Prepared, EngineError> {
        assert!(!job.question.contains(BOMB), "{BOMB}");
        go_on()?;
        let spec = &self.options.spec;
        let tile_len = 3 * (spec.tile_size_px as usize).pow(2);
        let tiles_per_page: Vec<u32> =
            job.files.iter().map(|file| u32::from(file.content[0])).collect();
        let tiles = tiles_per_page.iter().sum::<u32>() as usize;
        let image_tokens = tiles * spec.tokens_per_tile;
        let mut prompt = vec![spec.image_token_id; image_tokens];
        prompt.extend(job.question.bytes().map(u32::from));
        let shade = job.question.len();
        // No two tiles alike: a prime, which no tile has as many samples as.
        let samples: Vec<u8> = (0..tiles * tile_len).map(|i| ((shade + i) % 251) as u8).collect();
        let mut first = 0;
        let key = |tiles: &u32| {
            let end = first + *tiles as usize * tile_len;
            let bytes = &samples[first..end];
            first = end;
            page_key(file_key(bytes), (1, 0), (*tiles, 1))
        };
        let page_keys = tiles_per_page.iter().map(key).collect();
        let constrained = job.grammar.as_ref().map(|grammar| {
            let constraint = self.vocabulary.constrain(grammar)?;
            Constrained::new(constraint)
        });
        let mut constrained = constrained.transpose()?;
        if let Some(constrained) = &mut constrained
            && job.question.contains(LOST)
        {
            constrained.lose();
        }
        Ok(Prepared {
            tiles_per_page,
            pages: Vec::new(),
            page_keys,
            samples,
            values: Arc::default(),
            prompt,
            image_tokens,
            constrained,
        })
    }

    fn detokenizer(&self) -> Box<dyn Detokenize> {
        Box::new(Spell)
    }

    fn stop_ids(&self) -> &[u32] {
        &[STOP_ID]
    }
}

impl Detokenize for Spell {
    fn push(&mut self, token: u32) -> Option<String> {
        char::from_u32(token).map(String::from)
    }

    fn flush(&mut self) -> Option<String> {
        None
    }
}

// === jobs ===

/// A job whose files have these many tiles.
fn job(question: &str, tiles: &[u8]) -> Job {
    Job {
        id: question.to_owned(),
        files: tiles.iter().map(|&tiles| Bytes::from(vec![tiles]).into()).collect(),
        question: question.to_owned(),
        priority: Priority::Interactive,
        sampling: Sampling::GREEDY,
        output_tokens_max: 8,
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

/// A fake model that answers `text`, then stops.
fn answering(text: &str) -> Options {
    let tokens = text.bytes().map(u32::from).chain([STOP_ID]).collect();
    Options { script: Script::Answer(tokens), ..Options::default() }
}

// === impl Stage ===

impl Stage {
    fn new(options: Options) -> Self {
        Self::with(options, Config::default())
    }

    fn with(options: Options, config: Config) -> Self {
        let fake = Fake::new(options.clone());
        let (probe, faults) = (fake.probe(), fake.faults());
        let clock = Arc::new(ManualClock::new());
        let board = Arc::new(Board::new(&config));
        let bell = Bell {
            inbox: Arc::new(Inbox::default()),
            intake: Arc::new(Intake::new(config.pixel_bytes_max)),
        };
        board.ready(&Served {
            spec: Arc::new(fake.spec().clone()),
            tiles_per_page_max: None,
            calibration: None,
        });
        let stepper = Stepper::new(
            Box::new(fake),
            vec![STOP_ID],
            config.clone(),
            (Arc::clone(&bell.inbox), Arc::clone(&board)),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        let worker = Worker {
            intake: Arc::clone(&bell.intake),
            inbox: Arc::clone(&bell.inbox),
            spec: Arc::new(options.spec.clone()),
            prepare: Arc::new(Letters::new(options)),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            guard: config.guard,
            metrics: config.telemetry.metrics().clone(),
            prefix_cache: config.prefix_cache,
        };
        Self { stepper, worker, board, bell, clock, config, probe, faults }
    }

    /// Submits and prepares a job.
    fn submit(&self, job: Job) -> Result<Events, Reject> {
        let ticket = self.board.take()?;
        let (outlet, events) = channel(self.config.events_buffered, self.bell.clone());
        self.worker.take_in(Request { job, outlet, ticket, submitted: self.clock.now() });
        Ok(events)
    }

    /// One turn of the loop.
    fn try_turn(&mut self) -> Result<Wait, Ending> {
        let Arrived { sequences, .. } = self.bell.inbox.take(Wait::Not);
        for sequence in sequences {
            self.stepper.enqueue(sequence);
        }
        self.stepper.turn()
    }

    fn turn(&mut self) -> Wait {
        self.try_turn().expect("the loop goes on")
    }

    /// Turns until there is nothing to do without new input.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.turn() != Wait::Not {
                return;
            }
        }
        panic!("the loop does not come to rest");
    }

    fn slots_held(&self) -> usize {
        self.probe.slots_held.load(Ordering::SeqCst)
    }

    fn load(&self) -> Load {
        self.board.watch().borrow().load
    }

    fn assert_empty(&self) {
        assert_eq!(self.slots_held(), 0);
        assert_eq!(self.load(), Load::default());
    }

    fn time_after(&self, time: Duration) -> Instant {
        self.clock.now() + time
    }
}

// === events ===

/// Everything that can be read now.
fn read(events: &mut Events) -> Vec<Result<Event, EngineError>> {
    std::iter::from_fn(|| events.try_recv()).collect()
}

/// Checks the order of a whole stream: `Accepted` first where there is one, one terminal result,
/// which is last, and text that adds up. Returns the terminal result.
fn check_stream(items: Vec<Result<Event, EngineError>>) -> Result<Done, EngineError> {
    let mut text = String::new();
    let mut tokens = 0;
    let count = items.len();
    for (at, item) in items.into_iter().enumerate() {
        let first = at == 0;
        match item {
            Ok(Event::Accepted(_)) => assert!(first, "accepted is event {at}"),
            Ok(_) if first => panic!("the first event is {item:?}"),
            Ok(Event::Progress(_)) => {}
            Ok(Event::Text(piece)) => {
                assert!(!piece.text.is_empty(), "{piece:?}");
                // What was held back for a stop text comes without a token of its own, last of all.
                assert!(piece.tokens > 0 || at + 2 == count, "{piece:?} is event {at} of {count}");
                text.push_str(&piece.text);
                tokens += piece.tokens;
            }
            Ok(Event::Done(done)) => {
                assert_eq!(at + 1, count, "something follows done");
                assert_eq!(text, done.text);
                assert!(tokens <= done.usage.output_tokens);
                return Ok(done);
            }
            Err(error) => {
                assert_eq!(at + 1, count, "something follows {error}");
                return Err(error);
            }
        }
    }
    panic!("no terminal result");
}

fn finished(events: &mut Events) -> Result<Done, EngineError> {
    check_stream(read(events))
}

fn texts(items: &[Result<Event, EngineError>]) -> Vec<Text> {
    let text = |item: &Result<Event, EngineError>| match item {
        Ok(Event::Text(text)) => Some(text.clone()),
        _ => None,
    };
    items.iter().filter_map(text).collect()
}
