//! Replicas that are lost before all of them serve: what it means for the model, and for the one before it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::threads::LONG;
use super::{Letters, answering};
use crate::engine::board::Board;
use crate::engine::channel::Bell;
use crate::engine::clock::Clock;
use crate::engine::generation::{Desk, Parts};
use crate::engine::life::Life;
use crate::engine::muster::Muster;
use crate::engine::{Config, LoadError, LoadProgress, ModelState, ReloadState, Status};
use crate::model::fake::{Fake, Probe};

/// A stack that no machine has addresses for: its thread cannot be started.
const STACK_BYTES: usize = 1 << 47;

/// What a handle holds, so that each thread of a model can be reached.
struct Engine {
    desk: Desk,
    threads: watch::Sender<()>,
    clock: Arc<Bomb>,
}

/// A clock that panics on one thread, once it is armed.
#[derive(Debug, Default)]
struct Bomb {
    armed: AtomicBool,
    on: Mutex<Option<ThreadId>>,
}

/// A model that loads at once.
struct Model {
    probe: Arc<Probe>,
    parts: Parts,
}

// === impl Bomb ===

impl Clock for Bomb {
    fn now(&self) -> Instant {
        if self.armed.load(Ordering::SeqCst)
            && *self.on.lock().unwrap() == Some(thread::current().id())
        {
            panic!("ordered by a test");
        }
        Instant::now()
    }
}

// === impl Model ===

impl Model {
    fn new() -> Self {
        let options = answering("yes");
        let fake = Fake::new(options.clone());
        let probe = fake.probe();
        Self { probe, parts: Parts::plain(Box::new(fake), Arc::new(Letters::new(options))) }
    }
}

// === impl Engine ===

impl Engine {
    fn new() -> Self {
        let config = Config::default();
        let clock = Arc::new(Bomb::default());
        let desk = Desk {
            board: Arc::new(Board::new(&config)),
            switch: Arc::default(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            config,
        };
        Self { desk, threads: watch::channel(()).0, clock }
    }

    /// Starts one replica of the model that meets in `muster`.
    fn replica(
        &self,
        (muster, replica): (&Arc<Muster>, usize),
        reload: Option<u32>,
        thread: thread::Builder,
        load: impl FnOnce(&LoadProgress) -> Result<Parts, LoadError> + Send + 'static,
    ) -> Bell {
        let bell = self.desk.switch.bell(&self.desk.config).unwrap();
        let life = Life {
            desk: self.desk.clone(),
            bell: bell.clone(),
            alive: self.threads.subscribe(),
            reload,
            muster: Arc::clone(muster),
            replica,
        };
        life.start(thread, load);
        bell
    }

    /// A model that serves.
    async fn serving(&self) {
        let Model { parts, .. } = Model::new();
        let muster = Arc::new(Muster::new(1));
        self.replica((&muster, 0), None, thread::Builder::new(), move |_| Ok(parts));
        self.reach(|status| status.state == ModelState::Ready).await;
    }

    async fn reach(&self, reached: impl FnMut(&Status) -> bool) -> Status {
        let mut status = self.desk.board.watch();
        let status = tokio::time::timeout(LONG, status.wait_for(reached)).await;
        status.expect("in time").expect("the engine is there").clone()
    }

    async fn reload_ended(&self, number: u32) -> (ReloadState, String) {
        let ended = |status: &Status| {
            status.reload.as_ref().is_some_and(|reload| {
                reload.number == number && reload.state == ReloadState::Failed
            })
        };
        let reload = self.reach(ended).await.reload.unwrap();
        (reload.state, reload.message)
    }

    /// All threads of all models end, once they are told to.
    async fn stops(&self) {
        self.desk.switch.stop();
        tokio::time::timeout(LONG, self.threads.closed()).await.expect("all threads end");
    }
}

async fn gone(probe: &Arc<Probe>) {
    let wait = async {
        while Arc::strong_count(probe) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("nobody keeps the model's memory");
}

#[tokio::test]
async fn a_replica_without_a_thread_is_the_end_of_the_first_model() {
    let engine = Engine::new();
    let muster = Arc::new(Muster::new(2));
    let Model { probe, parts } = Model::new();
    engine.replica((&muster, 0), None, thread::Builder::new(), move |_| Ok(parts));
    let endless = thread::Builder::new().stack_size(STACK_BYTES);
    engine.replica((&muster, 1), None, endless, |_| panic!("there is no thread for it"));
    let failed = engine.reach(|status| status.state == ModelState::Failed).await;
    assert!(failed.message.starts_with("cannot start the engine's thread: "), "{failed:?}");
    gone(&probe).await;
    engine.stops().await;
}

#[tokio::test]
async fn a_replica_without_a_thread_is_the_end_of_an_exchange_and_no_more() {
    let engine = Engine::new();
    engine.serving().await;
    let number = engine.desk.board.reload().unwrap();
    let muster = Arc::new(Muster::new(2));
    let Model { probe, parts } = Model::new();
    engine.replica((&muster, 0), Some(number), thread::Builder::new(), move |_| Ok(parts));
    let endless = thread::Builder::new().stack_size(STACK_BYTES);
    engine.replica((&muster, 1), Some(number), endless, |_| panic!("there is no thread for it"));
    let (_, why) = engine.reload_ended(number).await;
    assert!(why.starts_with("cannot start the engine's thread: "), "{why}");
    gone(&probe).await;
    assert_eq!(engine.desk.board.watch().borrow().state, ModelState::Ready);
    // The next exchange is one of its own, whoever of the one before is still about.
    assert_eq!(engine.desk.board.reload(), Ok(number + 1));
    engine.stops().await;
}

#[tokio::test]
async fn a_replica_that_dies_while_others_load_leaves_the_model_before() {
    let engine = Engine::new();
    engine.serving().await;
    let number = engine.desk.board.reload().unwrap();
    let muster = Arc::new(Muster::new(2));
    let Model { probe, parts } = Model::new();
    let clock = Arc::clone(&engine.clock);
    let first = engine.replica((&muster, 0), Some(number), thread::Builder::new(), move |_| {
        *clock.on.lock().unwrap() = Some(thread::current().id());
        Ok(parts)
    });
    let (go_on, gate) = std::sync::mpsc::channel::<()>();
    let Model { probe: second, parts } = Model::new();
    engine.replica((&muster, 1), Some(number), thread::Builder::new(), move |_| {
        gate.recv()?;
        Ok(parts)
    });
    // It is warm, and waits for the other one, when its loop is turned again.
    let warm = "replica 1 of 2: warming up";
    engine.reach(|status| status.reload.as_ref().is_some_and(|at| at.message == warm)).await;
    engine.clock.armed.store(true, Ordering::SeqCst);
    first.inbox.wake();
    let (_, why) = engine.reload_ended(number).await;
    assert_eq!(why, "a bug stopped the engine: ordered by a test");
    go_on.send(()).unwrap();
    gone(&probe).await;
    gone(&second).await;
    let status = engine.desk.board.watch().borrow().clone();
    assert_eq!(status.state, ModelState::Ready, "the model before serves: {status:?}");
    assert_eq!(status.reload.unwrap().state, ReloadState::Failed);
    assert_eq!(engine.desk.board.reload(), Ok(number + 1));
    engine.stops().await;
}

#[tokio::test]
async fn a_replica_that_dies_once_all_serve_takes_the_server_with_it() {
    let engine = Engine::new();
    engine.serving().await;
    let number = engine.desk.board.reload().unwrap();
    let muster = Arc::new(Muster::new(1));
    let Model { parts, .. } = Model::new();
    let clock = Arc::clone(&engine.clock);
    let bell = engine.replica((&muster, 0), Some(number), thread::Builder::new(), move |_| {
        *clock.on.lock().unwrap() = Some(thread::current().id());
        Ok(parts)
    });
    let done = |status: &Status| {
        status.reload.as_ref().is_some_and(|reload| reload.state == ReloadState::Done)
    };
    engine.reach(done).await;
    engine.clock.armed.store(true, Ordering::SeqCst);
    bell.inbox.wake();
    engine.reach(|status| status.state == ModelState::Failed).await;
    engine.stops().await;
}
