//! The engine as the floors above hold it: start, submit, watch, drain, stop.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::constraint::Vocabulary;
use crate::engine::board::Board;
use crate::engine::channel::Events;
use crate::engine::clock::{Clock, SystemClock};
use crate::engine::generation::{Desk, Model, Parts};
use crate::engine::life::Life;
use crate::engine::muster::Muster;
use crate::engine::prepare::{Prepare, Preparer};
use crate::engine::{Config, Counts, Job, ModelState, Reject, ReloadRefused, Status};
use crate::fields::Calibration;
use crate::model::Runner;
use crate::preprocess;
use crate::prompt::Prompter;

/// Why a model could not be loaded.
pub type LoadError = Box<dyn Error + Send + Sync>;

/// What it takes to serve a model.
pub struct Loaded {
    pub runner: Box<dyn Runner>,
    pub prompter: Arc<Prompter>,
    pub tiling: preprocess::Config,
    /// What its confidence is worth, where that was measured.
    pub calibration: Option<Arc<Calibration>>,
}

/// Where the loader says how far it is.
#[derive(Debug)]
pub struct LoadProgress {
    pub(super) board: Arc<Board>,
    /// The exchange that it belongs to; none for the first model.
    pub(super) reload: Option<u32>,
    /// Which replica of how many.
    pub(super) replica: (usize, usize),
}

/// A running engine. Clones are the same engine, which stops when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    desk: Desk,
    /// Its receivers live in the engine's threads.
    threads: watch::Sender<()>,
}

// === impl Loaded ===

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").field("spec", self.runner.spec()).finish_non_exhaustive()
    }
}

// === impl LoadProgress ===

impl LoadProgress {
    /// Publishes what is being loaded, for people: `reading file 3 of 4`.
    pub fn say(&self, message: impl Into<String>) {
        let message = match self.replica {
            (_, 0 | 1) => message.into(),
            (replica, replicas) => {
                format!("replica {} of {replicas}: {}", replica + 1, message.into())
            }
        };
        match self.reload {
            None => self.board.loading(message),
            Some(number) => self.board.reloading(number, message),
        }
    }
}

// === impl Handle ===

impl Handle {
    /// Starts the engine's thread, which loads the model, warms it up and then takes requests.
    /// Returns at once; [`status`](Self::status) says how it goes.
    pub fn start(
        config: Config,
        load: impl FnOnce(&LoadProgress) -> Result<Loaded, LoadError> + Send + 'static,
    ) -> Self {
        Self::start_replicas(config, vec![load])
    }

    /// As [`start`](Self::start) with several equal models, one from each of `loads`, on threads and devices of
    /// their own. Requests are taken once all of them are warm, each by the one that has the fewest; where one
    /// cannot be loaded none serves.
    pub fn start_replicas<L>(config: Config, loads: Vec<L>) -> Self
    where
        L: FnOnce(&LoadProgress) -> Result<Loaded, LoadError> + Send + 'static,
    {
        let loads = with_parts(&config, loads);
        Self::start_with(config, Arc::new(SystemClock), loads)
    }

    pub(super) fn start_with<L>(config: Config, clock: Arc<dyn Clock>, loads: Vec<L>) -> Self
    where
        L: FnOnce(&LoadProgress) -> Result<Parts, LoadError> + Send + 'static,
    {
        let config = config.within_limits();
        let board = Arc::new(Board::new(&config));
        let desk = Desk { board, switch: Arc::default(), clock, config };
        let (threads, _) = watch::channel(());
        let handle = Self { shared: Arc::new(Shared { desk, threads }) };
        handle.begin(None, loads);
        handle
    }

    /// Loads another model beside the present one, which serves meanwhile, with one replica from each of
    /// `loads`. Once the new one is warm it takes all new requests, and the old one is gone when it has finished
    /// those that it has; where it cannot be loaded all stays as it is. Returns the number of the exchange at
    /// once; [`Status::reload`] says how it goes.
    pub fn reload<L>(&self, loads: Vec<L>) -> Result<u32, ReloadRefused>
    where
        L: FnOnce(&LoadProgress) -> Result<Loaded, LoadError> + Send + 'static,
    {
        self.reload_with(with_parts(&self.shared.desk.config, loads))
    }

    pub(super) fn reload_with<L>(&self, loads: Vec<L>) -> Result<u32, ReloadRefused>
    where
        L: FnOnce(&LoadProgress) -> Result<Parts, LoadError> + Send + 'static,
    {
        let number = self.shared.desk.board.reload()?;
        self.begin(Some(number), loads);
        Ok(number)
    }

    /// Starts the threads of one model.
    fn begin<L>(&self, reload: Option<u32>, loads: Vec<L>)
    where
        L: FnOnce(&LoadProgress) -> Result<Parts, LoadError> + Send + 'static,
    {
        let Shared { desk, threads } = &*self.shared;
        let muster = Arc::new(Muster::new(loads.len()));
        for (replica, load) in loads.into_iter().enumerate() {
            // None: all of it stops, and nobody waits for a model.
            let Some(bell) = desk.switch.bell(&desk.config) else { return };
            let alive = threads.subscribe();
            let muster = Arc::clone(&muster);
            let life = Life { desk: desk.clone(), bell, alive, reload, muster, replica };
            life.start(std::thread::Builder::new().name("engine".to_owned()), load);
        }
    }

    /// The model that takes requests now.
    pub fn model(&self) -> Model {
        let desk = &self.shared.desk;
        Model { generation: desk.switch.current(), desk: desk.clone() }
    }

    /// Takes a request, or says at once why not.
    pub fn submit(&self, job: Job) -> Result<Events, Reject> {
        self.model().submit(job)
    }

    /// What the engine says of itself, now and after each change.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.desk.board.watch()
    }

    /// What the engine says of itself now.
    pub fn current(&self) -> Status {
        self.status().borrow().clone()
    }

    /// What it counted so far.
    pub fn counts(&self) -> Counts {
        self.shared.desk.board.counters.counts()
    }

    /// Says that it will drain, so that callers turn to others, and still takes requests.
    pub fn leave(&self) {
        self.shared.desk.board.leaving();
    }

    /// Takes no more requests; those that were taken go on to their end.
    pub fn drain(&self) {
        self.shared.desk.board.draining();
    }

    /// How long the present turn of a step thread has run; zero between turns.
    pub fn busy_for(&self) -> Duration {
        self.shared.desk.board.busy_for()
    }

    /// Gives the model up: no more requests are taken, and none that runs can be trusted to end.
    pub fn fail(&self, why: &str) {
        tracing::error!(why, "the engine is given up");
        self.shared.desk.board.failed(why.to_owned());
    }

    /// Waits until no request is left, or the model failed.
    pub async fn idle(&self) {
        let idle = |status: &Status| status.load.is_idle() || status.state == ModelState::Failed;
        // The board lives as long as this handle: there is always an answer.
        let _ = self.status().wait_for(idle).await;
    }

    /// Drains, ends what is still open after `bound`, and waits, as long again, for the engine's
    /// threads. Says whether nothing was cut off by a bound.
    pub async fn shutdown(&self, bound: Duration) -> bool {
        self.drain();
        let finished = tokio::time::timeout(bound, self.idle()).await.is_ok();
        self.stop();
        let threads = &self.shared.threads;
        let ended = tokio::time::timeout(bound, threads.closed()).await.is_ok();
        finished && ended
    }

    /// Ends all requests with [`Stopped`](super::EngineError::Stopped), and the engine's threads as
    /// soon as a running step or the loader returns.
    pub fn stop(&self) {
        self.shared.stop();
    }
}

fn with_parts<L>(
    config: &Config,
    loads: Vec<L>,
) -> Vec<impl FnOnce(&LoadProgress) -> Result<Parts, LoadError> + Send + 'static + use<L>>
where
    L: FnOnce(&LoadProgress) -> Result<Loaded, LoadError> + Send + 'static,
{
    let one = |load: L| {
        let parts = parts(config);
        move |progress: &LoadProgress| parts(load(progress)?)
    };
    loads.into_iter().map(one).collect()
}

/// What makes a loaded model ready to be served under `config`.
fn parts(config: &Config) -> impl FnOnce(Loaded) -> Result<Parts, LoadError> + Send + use<> {
    let (pages_max, pdf, prefix_cache) =
        (config.pages_max, config.pdf.clone(), config.prefix_cache);
    move |Loaded { runner, prompter, tiling, calibration }| {
        let spec = runner.spec().clone();
        let vocabulary = Vocabulary::of(&prompter, spec.vocab_size)?;
        let tiles_per_page_max = Some(tiling.max_tiles);
        let prepare: Arc<dyn Prepare> = Arc::new(Preparer::new(
            (prompter, vocabulary),
            tiling,
            spec,
            (pages_max, pdf),
            prefix_cache,
        ));
        Ok(Parts { runner, prepare, tiles_per_page_max, calibration })
    }
}

// === impl Shared ===

impl Shared {
    fn stop(&self) {
        self.desk.board.draining();
        self.desk.switch.stop();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}
