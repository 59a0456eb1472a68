//! The engine with its threads: life, shutdown, and the wakings that a hand-turned loop does not
//! need.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use tokio_stream::StreamExt as _;

use super::{BOMB, Letters, answering, check_stream, job};
use crate::engine::clock::{Clock, SystemClock};
use crate::engine::generation::Parts;
use crate::engine::{
    Config, Done, EngineError, Event, Events, Handle, LoadError, LoadProgress, ModelState, Reject,
    Status,
};
use crate::model::fake::{Fake, Fault, FaultKind, Faults, Options, Probe};

pub(super) const LONG: Duration = Duration::from_mins(1);

pub(super) struct Running {
    pub(super) handle: Handle,
    pub(super) probe: Arc<Probe>,
    pub(super) faults: Faults,
}

/// An engine of one replica.
pub(super) fn start_one(
    config: Config,
    clock: Arc<dyn Clock>,
    load: impl FnOnce(&LoadProgress) -> Result<Parts, LoadError> + Send + 'static,
) -> Handle {
    Handle::start_with(config, clock, vec![load])
}

/// Starts and waits until the model is ready, or failed.
pub(super) async fn start(options: Options, config: Config) -> Running {
    let fake = Fake::new(options.clone());
    let (probe, faults) = (fake.probe(), fake.faults());
    let handle = start_one(config, Arc::new(SystemClock), move |_| {
        Ok(Parts::plain(Box::new(fake), Arc::new(Letters::new(options))))
    });
    reach(&handle, |status| status.state != ModelState::Loading).await;
    Running { handle, probe, faults }
}

pub(super) async fn reach(handle: &Handle, reached: impl Fn(&Status) -> bool) -> Status {
    let mut status = handle.status();
    let status = tokio::time::timeout(LONG, status.wait_for(reached)).await;
    status.expect("in time").expect("the engine is there").clone()
}

pub(super) async fn whole(events: Events) -> Result<Done, EngineError> {
    check_stream(tokio::time::timeout(LONG, events.collect()).await.expect("in time"))
}

/// A model that would answer for a long time.
pub(super) fn endless() -> Options {
    let mut options = answering("");
    options.spec.slot_tokens = 1_000_000;
    options.step_delay = Duration::from_millis(1);
    // Numbers in their order: the guard sees no loop.
    let numbers = (0..100_000).flat_map(|number: u32| number.to_string().into_bytes());
    options.script = crate::model::fake::Script::Answer(numbers.map(u32::from).collect());
    options
}

pub(super) fn endless_job() -> crate::engine::Job {
    let mut job = job("what", &[1]);
    job.output_tokens_max = 900_000;
    job
}

#[tokio::test]
async fn loads_warms_up_and_answers() {
    let (go_on, gate) = mpsc::channel::<()>();
    let handle = start_one(Config::default(), Arc::new(SystemClock), move |progress| {
        progress.say("reading file 1 of 1");
        gate.recv()?;
        let letters = Arc::new(Letters::new(Options::default()));
        Ok(Parts::plain(Box::new(Fake::new(answering("ab"))), letters))
    });
    let status = reach(&handle, |status| !status.message.is_empty()).await;
    assert_eq!((status.state, status.spec), (ModelState::Loading, None));
    let Err(Reject::Loading { message, .. }) = handle.submit(job("what", &[])) else {
        panic!("taken while loading");
    };
    assert_eq!(message, "reading file 1 of 1");
    go_on.send(()).unwrap();
    let status = reach(&handle, |status| status.state == ModelState::Ready).await;
    assert_eq!((status.message.as_str(), status.spec.is_some()), ("", true));
    assert_eq!(whole(handle.submit(job("what", &[1])).unwrap()).await.unwrap().text, "ab");
    assert!(handle.shutdown(LONG).await);
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_fails() {
    type Load = fn() -> Result<(), LoadError>;
    let loads: [(Load, &str); 2] = [
        (|| Err("no weights".into()), "no weights"),
        (|| panic!("a bug in the loader"), "a bug stopped the engine: a bug in the loader"),
    ];
    for (load, expected) in loads {
        let handle = start_one(Config::default(), Arc::new(SystemClock), move |_| {
            load()?;
            Ok(Parts::plain(
                Box::new(Fake::new(Options::default())),
                Arc::new(Letters::new(Options::default())),
            ))
        });
        let status = reach(&handle, |status| status.state != ModelState::Loading).await;
        assert_eq!((status.state, status.message.as_str()), (ModelState::Failed, expected));
        assert!(matches!(handle.submit(job("what", &[])), Err(Reject::Failed { .. })));
        assert!(handle.shutdown(LONG).await);
    }
}

#[tokio::test]
async fn a_model_that_fails_its_warm_up_is_not_ready() {
    for kind in [FaultKind::Nan, FaultKind::OutOfMemory, FaultKind::Panic] {
        let fake = Fake::new(Options::default());
        fake.faults().add(Fault::next(kind));
        let handle = start_one(Config::default(), Arc::new(SystemClock), move |_| {
            Ok(Parts::plain(Box::new(fake), Arc::new(Letters::new(Options::default()))))
        });
        reach(&handle, |status| status.state == ModelState::Failed).await;
    }
}

#[tokio::test]
async fn what_follows_is_taken_while_the_engine_drains() {
    let mut options = answering("abcdef");
    options.step_delay = Duration::from_millis(1);
    let engine = start(options, Config { queued_max: 0, ..Config::default() }).await;
    let model = engine.handle.model();
    let (first, place) = model.submit_first(job("which", &[1])).unwrap();
    // Nobody asks for this one's: it is given back.
    drop(model.submit_first(job("which", &[1])).unwrap());
    engine.handle.drain();
    assert_eq!(whole(first).await.unwrap().text, "abcdef");
    // All is over but what is still to come, and the engine waits for that.
    reach(&engine.handle, |status| status.load.running + status.load.queued == 0).await;
    let idle = tokio::time::timeout(Duration::from_millis(50), engine.handle.idle()).await;
    assert!(idle.is_err(), "a request is still to come");
    assert!(matches!(engine.handle.submit(job("what", &[])), Err(Reject::Draining { .. })));
    assert_eq!(whole(place.submit(job("what", &[1]))).await.unwrap().text, "abcdef");
    assert!(engine.handle.shutdown(LONG).await);
}

#[tokio::test]
async fn what_follows_an_engine_that_stopped_is_told() {
    let engine = start(answering("ab"), Config::default()).await;
    let (first, place) = engine.handle.model().submit_first(job("which", &[])).unwrap();
    whole(first).await.unwrap();
    engine.handle.stop();
    assert!(matches!(whole(place.submit(job("what", &[]))).await, Err(EngineError::Stopped)));
}

#[tokio::test]
async fn drain_finishes_what_was_taken() {
    let mut options = answering("abcdef");
    options.step_delay = Duration::from_millis(1);
    let engine = start(options, Config::default()).await;
    let taken: Vec<Events> =
        (0..20).map(|_| engine.handle.submit(job("what", &[1])).unwrap()).collect();
    engine.handle.drain();
    assert_eq!(engine.handle.current().state, ModelState::Draining);
    assert!(matches!(engine.handle.submit(job("what", &[])), Err(Reject::Draining { .. })));
    assert!(engine.handle.shutdown(LONG).await);
    for events in taken {
        assert_eq!(whole(events).await.unwrap().text, "abcdef");
    }
    assert_eq!(engine.probe.slots_held.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn shutdown_ends_what_takes_too_long() {
    let engine = start(endless(), Config::default()).await;
    let taken: Vec<Events> = (0..6).map(|_| engine.handle.submit(endless_job()).unwrap()).collect();
    let readers: Vec<_> = taken.into_iter().map(|events| tokio::spawn(whole(events))).collect();
    assert!(!engine.handle.shutdown(Duration::from_millis(50)).await);
    for reader in readers {
        assert!(matches!(reader.await.unwrap(), Err(EngineError::Stopped)));
    }
    let load = engine.handle.current().load;
    assert_eq!((load.running, load.queued), (0, 0));
}

#[tokio::test]
async fn the_last_handle_takes_the_engine_with_it() {
    let Running { handle, .. } = start(endless(), Config::default()).await;
    let mut status = handle.status();
    let events = handle.submit(endless_job()).unwrap();
    drop(handle.clone());
    assert_eq!(handle.current().state, ModelState::Ready);
    drop(handle);
    assert!(matches!(whole(events).await, Err(EngineError::Stopped)));
    // The threads are gone when nobody can publish any more.
    while status.changed().await.is_ok() {}
}

#[tokio::test]
async fn a_bug_in_the_model_fails_all_and_the_engine() {
    let engine = start(endless(), Config::default()).await;
    // Four run, two wait.
    let mut taken: Vec<Events> =
        (0..6).map(|_| engine.handle.submit(endless_job()).unwrap()).collect();
    reach(&engine.handle, |status| status.load.running == 4).await;
    engine.faults.add(Fault { step: 3, ..Fault::next(FaultKind::Panic) });
    let status = reach(&engine.handle, |status| status.state == ModelState::Failed).await;
    assert!(
        status.message.starts_with("a bug stopped the engine: ordered by a test"),
        "{status:?}"
    );
    assert!(matches!(engine.handle.submit(job("what", &[])), Err(Reject::Failed { .. })));
    for events in taken.drain(..) {
        let error = whole(events).await.unwrap_err();
        assert!(matches!(error, EngineError::Panicked { .. }), "{error}");
    }
    assert!(engine.handle.shutdown(LONG).await, "its threads end");
}

#[tokio::test]
async fn a_panic_in_preparing_leaves_the_thread_alive() {
    let config = Config { intake_threads: 1, ..Config::default() };
    let engine = start(answering("ab"), config).await;
    for _ in 0..3 {
        let bad = engine.handle.submit(job(BOMB, &[])).unwrap();
        let good = engine.handle.submit(job("what", &[])).unwrap();
        assert!(matches!(whole(bad).await, Err(EngineError::Panicked { .. })));
        assert_eq!(whole(good).await.unwrap().text, "ab");
    }
}

#[tokio::test]
async fn a_reader_that_leaves_wakes_the_loop() {
    // The request stands still, and so does the loop, when its reader goes.
    let config = Config { events_buffered: 2, ..Config::default() };
    let engine = start(endless(), config).await;
    let mut events = engine.handle.submit(endless_job()).unwrap();
    assert!(matches!(events.recv().await, Some(Ok(Event::Accepted(_)))));
    let steps = || engine.probe.steps.load(Ordering::SeqCst);
    let mut before = usize::MAX;
    while before != steps() {
        before = steps();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(events);
    tokio::time::timeout(LONG, engine.handle.idle()).await.expect("the loop noticed");
    assert_eq!(engine.probe.slots_held.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_reader_with_little_room_gets_everything() {
    let numbers: String = (0..350).map(|number| number.to_string()).collect();
    let mut options = answering(&numbers);
    options.spec.slot_tokens = 2000;
    let engine = start(options, Config { events_buffered: 1, ..Config::default() }).await;
    let mut job = job("what", &[]);
    job.output_tokens_max = 1500;
    let done = whole(engine.handle.submit(job).unwrap()).await.unwrap();
    assert_eq!(done.text, numbers);
}

#[tokio::test]
async fn preparing_waits_for_memory_and_forgets_the_cancelled() {
    // Any pixels are too many: one request at a time is prepared ahead.
    let config = Config { pixel_bytes_max: 1, intake_threads: 1, ..Config::default() };
    let mut options = endless();
    options.spec.slots = 1;
    let engine = start(options, config).await;
    let mut taken: Vec<Events> =
        (0..5).map(|_| engine.handle.submit(endless_job()).unwrap()).collect();
    reach(&engine.handle, |status| status.load.running == 1 && status.load.queued == 4).await;
    // The last was not accepted yet: it is forgotten in the intake's queue.
    drop(taken.pop());
    reach(&engine.handle, |status| status.load.queued == 3).await;
    let mut late = endless_job();
    late.deadline = Some(std::time::Instant::now() + Duration::from_millis(20));
    let late = engine.handle.submit(late).unwrap();
    assert!(matches!(whole(late).await, Err(EngineError::Deadline { phase: "queue" })));
    taken.clear();
    tokio::time::timeout(LONG, engine.handle.idle()).await.expect("all forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_that_come_and_go() {
    let engine = start(answering("abcdefgh"), Config::default()).await;
    let readers: Vec<_> = (0..1000usize)
        .map(|number| {
            let handle = engine.handle.clone();
            tokio::spawn(async move {
                let Ok(mut events) = handle.submit(job("what", &[1])) else { return };
                for _ in 0..number % 13 {
                    if events.recv().await.is_none() {
                        break;
                    }
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(engine.handle.shutdown(LONG).await);
    let load = engine.handle.current().load;
    assert_eq!((load.running, load.queued), (0, 0));
    assert_eq!(engine.probe.slots_held.load(Ordering::SeqCst), 0);
}
