//! One loaded model with the threads that serve it, and the exchange of it for another.
//!
//! Requests find the model through one pointer, which an exchange turns to the new one. Whoever holds a
//! [`Model`] keeps the one that it was checked against until it has submitted to it; when nobody does any
//! more, the threads of the old one finish what they were given, and its memory is free.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::engine::board::{Board, Ticket};
use crate::engine::channel::{Bell, Events, channel};
use crate::engine::clock::Clock;
use crate::engine::ending::Ending;
use crate::engine::inbox::Inbox;
use crate::engine::intake::{Intake, Request};
use crate::engine::prepare::Prepare;
use crate::engine::{Config, Job, Reject};
use crate::fields::Calibration;
use crate::model::{ModelSpec, Runner};

/// A model that was loaded, ready to be warmed up and served.
pub(super) struct Parts {
    pub(super) runner: Box<dyn Runner>,
    pub(super) prepare: Arc<dyn Prepare>,
    pub(super) tiles_per_page_max: Option<u32>,
    pub(super) calibration: Option<Arc<Calibration>>,
}

/// What a request has to know of the model that reads it.
#[derive(Debug, Clone)]
pub struct Served {
    pub spec: Arc<ModelSpec>,
    /// Tiles that a page may be cut into, without the overview; none: the model does not say.
    pub tiles_per_page_max: Option<u32>,
    /// What the model's confidence is worth; none: not known.
    pub calibration: Option<Arc<Calibration>>,
}

/// One model and the way to the threads of its replicas. When it is dropped they end what they have, and then
/// themselves.
#[derive(Debug)]
pub(super) struct Generation {
    served: Served,
    replicas: Vec<Replica>,
    /// Where the search for the next request's replica begins, so that equals take turns.
    turn: AtomicUsize,
}

/// One of the equal models that requests are spread over.
#[derive(Debug)]
struct Replica {
    bell: Bell,
    /// Requests that it was given and has not ended.
    open: Arc<AtomicUsize>,
}

/// The pointer to the model that takes requests.
#[derive(Debug, Default)]
pub(super) struct Switch {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Generation>>,
    /// Of every model whose threads may live.
    bells: Vec<Bell>,
    stopped: bool,
}

/// What it takes to submit a request.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) board: Arc<Board>,
    pub(super) switch: Arc<Switch>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: Config,
}

/// The model that took requests when this was made, and still reads what is submitted to it.
#[derive(Clone)]
pub struct Model {
    pub(super) desk: Desk,
    pub(super) generation: Option<Arc<Generation>>,
}

/// A replica of it, which keeps it loaded.
#[derive(Clone)]
struct Seat {
    clock: Arc<dyn Clock>,
    events_buffered: usize,
    generation: Arc<Generation>,
    replica: usize,
}

/// The place of a request that follows another of its call, with the replica that has its pages: what was begun
/// may end, while the server drains too, and however many wait by then. Given back when dropped.
pub struct Place {
    seat: Seat,
    ticket: Ticket,
}

// === impl Parts ===

#[cfg(test)]
impl Parts {
    /// A model of which nothing more is known.
    pub(super) fn plain(runner: Box<dyn Runner>, prepare: Arc<dyn Prepare>) -> Self {
        Self { runner, prepare, tiles_per_page_max: None, calibration: None }
    }
}

// === impl Generation ===

impl Generation {
    pub(super) fn new(served: Served, bells: Vec<Bell>) -> Self {
        let replica = |bell| Replica { bell, open: Arc::default() };
        let replicas = bells.into_iter().map(replica).collect();
        Self { served, replicas, turn: AtomicUsize::new(0) }
    }

    /// The replica with the fewest requests, by its number.
    fn freest(&self) -> Option<usize> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.replicas.len().max(1);
        let count = self.replicas.len();
        let all = (first..count).chain(0..first.min(count));
        all.min_by_key(|replica| self.replicas[*replica].open.load(Ordering::Relaxed))
    }

    pub(super) fn spec(&self) -> &ModelSpec {
        &self.served.spec
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        for replica in &self.replicas {
            replica.bell.retire();
        }
    }
}

// === impl Switch ===

impl Switch {
    /// Makes the way to threads that are about to load a model; none where all of it stops.
    pub(super) fn bell(&self, config: &Config) -> Option<Bell> {
        let mut state = self.write();
        let bell = Bell {
            inbox: Arc::new(Inbox::default()),
            intake: Arc::new(Intake::new(config.pixel_bytes_max)),
        };
        // Those that only this list holds belong to threads that are gone.
        state.bells.retain(|bell| Arc::strong_count(&bell.inbox) > 1);
        (!state.stopped).then(|| {
            state.bells.push(bell.clone());
            bell
        })
    }

    /// Turns the pointer and tells of it by `announce`: whoever has heard of the new model submits to it. Says
    /// whether there is still somebody to serve.
    pub(super) fn turn(&self, to: Generation, announce: impl FnOnce()) -> bool {
        let mut state = self.write();
        if state.stopped {
            return false;
        }
        let before = state.current.replace(Arc::new(to));
        announce();
        drop(state);
        // Outside of the lock: its end wakes threads.
        drop(before);
        true
    }

    pub(super) fn current(&self) -> Option<Arc<Generation>> {
        self.read().current.clone()
    }

    /// Whether requests go to another model than the one whose threads have `bell`.
    pub(super) fn has_replaced(&self, bell: &Bell) -> bool {
        let is_its = |replica: &Replica| Arc::ptr_eq(&replica.bell.inbox, &bell.inbox);
        let state = self.read();
        state.current.as_ref().is_some_and(|current| !current.replicas.iter().any(is_its))
    }

    /// Whether the threads of all models were told to end.
    pub(super) fn has_stopped(&self) -> bool {
        self.read().stopped
    }

    /// Ends the threads of all models.
    pub(super) fn stop(&self) {
        let mut state = self.write();
        state.stopped = true;
        let bells = std::mem::take(&mut state.bells);
        let current = state.current.take();
        drop(state);
        for bell in bells {
            bell.intake.close(&Ending::Stopped);
            bell.inbox.stop();
        }
        drop(current);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Nothing in here can be half done: a panic elsewhere leaves it usable.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Model ===

impl Model {
    /// What is known of it; none while the first model loads.
    pub fn served(&self) -> Option<&Served> {
        self.generation.as_deref().map(|generation| &generation.served)
    }

    /// Why a request would not be taken now.
    pub fn refusal(&self) -> Option<Reject> {
        self.desk.board.refuses()
    }

    /// Takes a request, or says at once why not.
    pub fn submit(&self, job: Job) -> Result<Events, Reject> {
        let ticket = self.desk.board.take()?;
        Ok(self.seat()?.give(job, ticket))
    }

    /// Takes a request that another one of its call follows, and that one's place.
    pub fn submit_first(&self, job: Job) -> Result<(Events, Place), Reject> {
        let ticket = self.desk.board.take()?;
        let seat = self.seat()?;
        let place = Place { seat: seat.clone(), ticket: self.desk.board.follow() };
        Ok((seat.give(job, ticket), place))
    }

    /// With the replica that has the fewest requests.
    fn seat(&self) -> Result<Seat, Reject> {
        let found = self
            .generation
            .as_ref()
            .and_then(|generation| Some((Arc::clone(generation), generation.freest()?)));
        let (generation, replica) = found.ok_or_else(|| self.desk.board.no_model())?;
        let Desk { clock, config, .. } = &self.desk;
        let (clock, events_buffered) = (Arc::clone(clock), config.events_buffered);
        Ok(Seat { clock, events_buffered, generation, replica })
    }
}

// === impl Seat ===

impl Seat {
    fn give(&self, job: Job, mut ticket: Ticket) -> Events {
        let Replica { bell, open } = &self.generation.replicas[self.replica];
        ticket.is_for(Arc::clone(open));
        let (outlet, events) = channel(self.events_buffered, bell.clone());
        bell.intake.push(Request { job, outlet, ticket, submitted: self.clock.now() });
        events
    }
}

// === impl Place ===

impl Place {
    /// Takes the request that follows, once the first one is over. Should the engine have ended meanwhile, its
    /// events say so.
    pub fn submit(self, job: Job) -> Events {
        let Self { seat, mut ticket } = self;
        ticket.enqueue();
        seat.give(job, ticket)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("replica", &self.seat.replica).finish_non_exhaustive()
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("served", &self.served()).finish_non_exhaustive()
    }
}
