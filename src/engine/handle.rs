//! The engine as the floors above hold it: start, submit, watch, drain, stop.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::constraint::Vocabulary;
use crate::engine::board::Board;
use crate::engine::channel::{Bell, Events, channel};
use crate::engine::clock::{Clock, SystemClock};
use crate::engine::ending::Ending;
use crate::engine::inbox::Inbox;
use crate::engine::intake::{Intake, Request};
use crate::engine::life::Life;
use crate::engine::prepare::{Prepare, Preparer};
use crate::engine::{Config, Job, Load, ModelState, Reject, Status};
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
}

/// Where the loader says how far it is.
#[derive(Debug)]
pub struct LoadProgress {
    pub(super) board: Arc<Board>,
}

/// A running engine. Clones are the same engine, which stops when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    board: Arc<Board>,
    bell: Bell,
    clock: Arc<dyn Clock>,
    config: Config,
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
        self.board.loading(message.into());
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
        let (pages_max, pdf) = (config.pages_max, config.pdf.clone());
        Self::start_with(config, Arc::new(SystemClock), move |progress| {
            let Loaded { runner, prompter, tiling } = load(progress)?;
            let spec = runner.spec().clone();
            let vocabulary = Vocabulary::of(&prompter, spec.vocab_size)?;
            let prepare: Arc<dyn Prepare> =
                Arc::new(Preparer::new((prompter, vocabulary), tiling, spec, (pages_max, pdf)));
            Ok((runner, prepare))
        })
    }

    pub(super) fn start_with(
        config: Config,
        clock: Arc<dyn Clock>,
        load: impl FnOnce(&LoadProgress) -> Result<(Box<dyn Runner>, Arc<dyn Prepare>), LoadError>
        + Send
        + 'static,
    ) -> Self {
        let config = config.within_limits();
        let board = Arc::new(Board::new(config.queued_max));
        let bell = Bell {
            inbox: Arc::new(Inbox::default()),
            intake: Arc::new(Intake::new(config.pixel_bytes_max)),
        };
        let (threads, alive) = watch::channel(());
        let life = Life {
            config: config.clone(),
            board: Arc::clone(&board),
            bell: bell.clone(),
            clock: Arc::clone(&clock),
            alive,
        };
        life.start(load);
        Self { shared: Arc::new(Shared { board, bell, clock, config, threads }) }
    }

    /// Takes a request, or says at once why not.
    pub fn submit(&self, job: Job) -> Result<Events, Reject> {
        let Shared { board, bell, clock, config, .. } = &*self.shared;
        let ticket = board.take()?;
        let (outlet, events) = channel(config.events_buffered, bell.clone());
        bell.intake.push(Request { job, outlet, ticket, submitted: clock.now() });
        Ok(events)
    }

    /// What the engine says of itself, now and after each change.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.board.watch()
    }

    /// What the engine says of itself now.
    pub fn current(&self) -> Status {
        self.status().borrow().clone()
    }

    /// Says that it will drain, so that callers turn to others, and still takes requests.
    pub fn leave(&self) {
        self.shared.board.leaving();
    }

    /// Takes no more requests; those that were taken go on to their end.
    pub fn drain(&self) {
        self.shared.board.draining();
    }

    /// Waits until no request is left, or the model failed.
    pub async fn idle(&self) {
        let idle = |status: &Status| {
            let Load { running, queued, .. } = status.load;
            running + queued == 0 || status.state == ModelState::Failed
        };
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

// === impl Shared ===

impl Shared {
    fn stop(&self) {
        self.board.draining();
        self.bell.intake.close(&Ending::Stopped);
        self.bell.inbox.stop();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}
