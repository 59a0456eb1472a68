//! The life of the engine's threads: load, warm up, step, and how it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::Config;
use crate::engine::board::Board;
use crate::engine::channel::Bell;
use crate::engine::clock::Clock;
use crate::engine::ending::Ending;
use crate::engine::handle::{LoadError, LoadProgress};
use crate::engine::intake::Worker;
use crate::engine::prepare::Prepare;
use crate::engine::stepper::Stepper;
use crate::engine::warmup::warm_up;
use crate::model::{ModelSpec, Runner};

/// What the engine's threads share with its handles.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) config: Config,
    pub(super) board: Arc<Board>,
    pub(super) bell: Bell,
    pub(super) clock: Arc<dyn Clock>,
    /// Held by each thread until it ends.
    pub(super) alive: watch::Receiver<()>,
}

type Model = (Box<dyn Runner>, Arc<dyn Prepare>);

// === impl Life ===

impl Life {
    /// Starts the step thread, which loads the model first.
    pub(super) fn start(
        self,
        load: impl FnOnce(&LoadProgress) -> Result<Model, LoadError> + Send + 'static,
    ) {
        let board = Arc::clone(&self.board);
        let thread = std::thread::Builder::new().name("engine".to_owned());
        if let Err(error) = thread.spawn(move || self.live(load)) {
            board.failed(format!("cannot start the engine's thread: {error}"));
        }
    }

    fn live(self, load: impl FnOnce(&LoadProgress) -> Result<Model, LoadError>) {
        let loaded = catch_unwind(AssertUnwindSafe(|| self.load(load)))
            .unwrap_or_else(|panic| Err(message(&Ending::panicked(panic.as_ref())).into()));
        match loaded {
            Ok((runner, prepare)) => self.serve(runner, prepare),
            Err(error) => {
                tracing::error!(%error, "the model is not loaded");
                self.bell.intake.close(&Ending::Stopped);
                self.board.failed(error.to_string());
            }
        }
        drop(self.alive);
    }

    fn load(
        &self,
        load: impl FnOnce(&LoadProgress) -> Result<Model, LoadError>,
    ) -> Result<Model, LoadError> {
        let (mut runner, prepare) = load(&LoadProgress { board: Arc::clone(&self.board) })?;
        self.board.loaded(runner.spec().clone());
        self.board.loading("warming up".to_owned());
        warm_up(runner.as_mut())?;
        let spec = Arc::new(runner.spec().clone());
        for number in 0..self.config.intake_threads {
            self.start_worker(number, &prepare, &spec)?;
        }
        Ok((runner, prepare))
    }

    fn start_worker(
        &self,
        number: usize,
        prepare: &Arc<dyn Prepare>,
        spec: &Arc<ModelSpec>,
    ) -> Result<(), LoadError> {
        let worker = Worker {
            intake: Arc::clone(&self.bell.intake),
            inbox: Arc::clone(&self.bell.inbox),
            prepare: Arc::clone(prepare),
            clock: Arc::clone(&self.clock),
            spec: Arc::clone(spec),
            guard: self.config.guard,
            metrics: self.config.telemetry.metrics().clone(),
            prefix_cache: self.config.prefix_cache,
        };
        let alive = self.alive.clone();
        std::thread::Builder::new().name(format!("intake-{number}")).spawn(move || {
            worker.run();
            drop(alive);
        })?;
        Ok(())
    }

    /// Steps until the end, then ends what is open.
    fn serve(&self, runner: Box<dyn Runner>, prepare: Arc<dyn Prepare>) {
        let shared = (Arc::clone(&self.bell.inbox), Arc::clone(&self.board));
        let stop_ids = prepare.stop_ids().to_vec();
        drop(prepare);
        let clock = Arc::clone(&self.clock);
        let mut stepper = Stepper::new(runner, stop_ids, self.config.clone(), shared, clock);
        self.board.ready();
        let ending = catch_unwind(AssertUnwindSafe(|| stepper.run()))
            .unwrap_or_else(|panic| Ending::panicked(panic.as_ref()));
        if ending != Ending::Stopped {
            let message = message(&ending);
            tracing::error!(message, "the engine stops");
            // First, so that no request is taken that nobody would answer.
            self.board.failed(message);
        }
        self.bell.intake.close(&ending);
        stepper.end_all(&ending);
    }
}

/// For people: why the engine failed.
fn message(ending: &Ending) -> String {
    match ending {
        Ending::Stopped => "the engine was stopped".to_owned(),
        Ending::Panicked { message } => format!("a bug stopped the engine: {message}"),
        Ending::DeviceFailed { message } => format!("the device fails every request: {message}"),
    }
}
