//! The life of the engine's threads: load, warm up, step, and how it ends.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use tokio::sync::watch;

use crate::engine::channel::Bell;
use crate::engine::ending::Ending;
use crate::engine::generation::{Desk, Generation, Parts, Served};
use crate::engine::handle::{LoadError, LoadProgress};
use crate::engine::intake::Worker;
use crate::engine::muster::{Loss, Muster};
use crate::engine::prepare::Prepare;
use crate::engine::stepper::Stepper;
use crate::engine::warmup::warm_up;
use crate::model::{ModelSpec, Runner};

/// What the threads of one replica share with the engine's handles and with the other replicas.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) desk: Desk,
    pub(super) bell: Bell,
    /// Held by each thread until it ends.
    pub(super) alive: watch::Receiver<()>,
    /// The exchange by which this model comes; none for the first.
    pub(super) reload: Option<u32>,
    pub(super) muster: Arc<Muster>,
    /// Which of the model's replicas it is.
    pub(super) replica: usize,
}

/// Held by all intake threads of a model: when the last one has nothing more to do, the step thread
/// learns that nothing comes any more.
#[derive(Debug)]
struct Feeding(Bell);

type Model = (Box<dyn Runner>, Arc<dyn Prepare>, Served);

/// Why a model that was loaded beside another does not take its place.
#[derive(Debug, thiserror::Error)]
enum Misplaced {
    #[error(
        "there is no room for it beside the running model: it would be on {new}, which the running one is not; \
         restart the server to change to it, or make room"
    )]
    OtherDevices { new: String },
}

// === impl Feeding ===

impl Drop for Feeding {
    fn drop(&mut self) {
        // Threads that died of a bug leave work behind.
        if self.0.intake.is_retired() {
            self.0.inbox.finish();
        }
    }
}

// === impl Life ===

impl Life {
    /// Starts the step thread, by `thread`, which loads the model first.
    pub(super) fn start(
        self,
        thread: thread::Builder,
        load: impl FnOnce(&LoadProgress) -> Result<Parts, LoadError> + Send + 'static,
    ) {
        let unborn = self.clone();
        if let Err(error) = thread.spawn(move || self.live(load)) {
            unborn.never_serves(format!("cannot start the engine's thread: {error}"));
        }
    }

    fn live(self, load: impl FnOnce(&LoadProgress) -> Result<Parts, LoadError>) {
        let loaded = catch_unwind(AssertUnwindSafe(|| self.load(load)))
            .unwrap_or_else(|panic| Err(message(&Ending::panicked(panic.as_ref())).into()));
        match loaded {
            Ok(model) => self.serve(model),
            Err(error) => {
                tracing::error!(replica = self.replica, %error, "the model is not loaded");
                self.never_serves(error.to_string());
            }
        }
        drop(self.alive);
    }

    /// It could not be loaded.
    fn never_serves(&self, why: String) {
        self.bell.intake.close(&Ending::Stopped);
        self.is_lost(why);
        self.muster.leaves();
    }

    /// It is not there any more, or will not be. The first model is all there is, and one that serves has taken
    /// the place of the one before; another one is not missed.
    fn is_lost(&self, why: String) {
        let board = &self.desk.board;
        match (self.muster.loses(), self.reload) {
            (Loss::Known, _) => {}
            // Only what it had left is lost.
            (Loss::OfTheServer, _) if self.desk.switch.has_replaced(&self.bell) => {}
            (Loss::OfTheModel, Some(number)) => board.not_reloaded(number, why),
            (Loss::OfTheModel, None) | (Loss::OfTheServer, _) => board.failed(why),
        }
    }

    fn load(
        &self,
        load: impl FnOnce(&LoadProgress) -> Result<Parts, LoadError>,
    ) -> Result<Model, LoadError> {
        let board = &self.desk.board;
        let replica = (self.replica, self.muster.replicas());
        let progress = LoadProgress { board: Arc::clone(board), reload: self.reload, replica };
        let Parts { mut runner, prepare, tiles_per_page_max, calibration } = load(&progress)?;
        let spec = Arc::new(runner.spec().clone());
        let served = Served { spec: Arc::clone(&spec), tiles_per_page_max, calibration };
        if self.reload.is_some() {
            self.check_devices(&spec)?;
        } else if self.replica == 0 {
            board.loaded(&served);
        }
        progress.say("warming up");
        warm_up(runner.as_mut())?;
        let feeding = Arc::new(Feeding(self.bell.clone()));
        for number in 0..self.desk.config.intake_threads.div_ceil(self.muster.replicas()) {
            self.start_worker(number, &prepare, &spec, &feeding)?;
        }
        Ok((runner, prepare, served))
    }

    /// A plan that finds a GPU full may go on where nobody wants it: on the host, many times slower.
    fn check_devices(&self, spec: &ModelSpec) -> Result<(), Misplaced> {
        let devices = |spec: &ModelSpec| -> BTreeSet<String> {
            spec.placements.iter().map(|placement| placement.device_id.clone()).collect()
        };
        let Some(running) = self.desk.switch.current() else { return Ok(()) };
        let running = devices(running.spec());
        let new: Vec<String> = devices(spec).difference(&running).cloned().collect();
        if new.is_empty() || running.is_empty() {
            return Ok(());
        }
        Err(Misplaced::OtherDevices { new: new.join(", ") })
    }

    fn start_worker(
        &self,
        number: usize,
        prepare: &Arc<dyn Prepare>,
        spec: &Arc<ModelSpec>,
        feeding: &Arc<Feeding>,
    ) -> Result<(), LoadError> {
        let config = &self.desk.config;
        let worker = Worker {
            intake: Arc::clone(&self.bell.intake),
            inbox: Arc::clone(&self.bell.inbox),
            prepare: Arc::clone(prepare),
            clock: Arc::clone(&self.desk.clock),
            spec: Arc::clone(spec),
            guard: config.guard,
            metrics: config.telemetry.metrics().clone(),
            prefix_cache: config.prefix_cache,
        };
        let alive = (self.alive.clone(), Arc::clone(feeding));
        thread::Builder::new().name(format!("intake-{number}")).spawn(move || {
            worker.run();
            drop(alive);
        })?;
        Ok(())
    }

    /// Steps until the end, then ends what is open.
    fn serve(&self, (runner, prepare, served): Model) {
        let Desk { board, config, clock, .. } = &self.desk;
        let shared = (Arc::clone(&self.bell.inbox), Arc::clone(board));
        let stop_ids = prepare.stop_ids().to_vec();
        drop(prepare);
        let mut stepper = Stepper::new(runner, stop_ids, config.clone(), shared, Arc::clone(clock));
        let revision = served.spec.revision.clone();
        let ending = if self.serves(served) {
            catch_unwind(AssertUnwindSafe(|| stepper.run()))
                .unwrap_or_else(|panic| Ending::panicked(panic.as_ref()))
        } else {
            Ending::Stopped
        };
        if ending != Ending::Stopped {
            let message = message(&ending);
            tracing::error!(message, "the engine stops");
            // First, so that no request is taken that nobody would answer.
            self.is_lost(message);
        }
        self.bell.intake.close(&ending);
        stepper.end_all(&ending);
        // With it the model's memory is given back.
        drop(stepper);
        if self.muster.leaves() && self.bell.inbox.is_retired() {
            if !self.desk.switch.has_stopped() {
                tracing::info!(revision, "the model before is gone");
            }
            self.desk.board.drained();
        }
    }

    /// Takes its place among the replicas, the last of which turns requests to all of them. Says whether
    /// there is something to serve.
    fn serves(&self, served: Served) -> bool {
        let mut stops = false;
        let turn = |served: Served, generation: Generation| {
            let turned = self.desk.switch.turn(generation, || self.announce(&served));
            stops = !turned;
            turned
        };
        let serves = self.muster.arrives(self.replica, served, self.bell.clone(), turn);
        if stops {
            self.is_lost("the server stops".to_owned());
        }
        serves
    }

    fn announce(&self, served: &Served) {
        let board = &self.desk.board;
        let Some(number) = self.reload else { return board.ready(served) };
        let ModelSpec { name, revision, .. } = &*served.spec;
        tracing::info!(number, name, revision, "another model takes the requests");
        board.switched(number, served);
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
