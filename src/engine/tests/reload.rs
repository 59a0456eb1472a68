//! One model exchanged for another while requests run.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use tokio_stream::StreamExt as _;

use super::threads::{LONG, Running, endless, endless_job, reach, start, start_one, whole};
use super::{Letters, answering, check_stream, job};
use crate::engine::generation::Parts;
use crate::engine::{
    Config, EngineError, Event, Handle, LoadError, LoadProgress, ModelState, Reload, ReloadRefused,
    ReloadState,
};
use crate::model::fake::{Fake, Fault, FaultKind, Options, Probe};

impl Handle {
    fn reload_one(
        &self,
        load: impl FnOnce(&LoadProgress) -> Result<Parts, LoadError> + Send + 'static,
    ) -> Result<u32, ReloadRefused> {
        self.reload_with(vec![load])
    }
}

/// Options of a fake model with a revision of its own.
fn revised(options: Options, revision: &str) -> Options {
    let mut options = options;
    options.spec.revision = revision.to_owned();
    options
}

/// Begins an exchange for a model of `options`.
fn reload(handle: &Handle, options: Options) -> (u32, Arc<Probe>) {
    let fake = Fake::new(options.clone());
    let probe = fake.probe();
    let number = handle
        .reload_one(move |_| Ok(Parts::plain(Box::new(fake), Arc::new(Letters::new(options)))))
        .unwrap();
    (number, probe)
}

async fn until(handle: &Handle, wanted: ReloadState) -> Reload {
    let reached = |reload: &Reload| reload.state == wanted;
    let status = reach(handle, |status| status.reload.as_ref().is_some_and(reached)).await;
    status.reload.unwrap()
}

fn revision(handle: &Handle) -> String {
    handle.current().spec.unwrap().revision.clone()
}

#[tokio::test]
async fn what_runs_ends_on_the_old_model_and_what_comes_is_for_the_new_one() {
    let engine = start(revised(endless(), "one"), Config::default()).await;
    let mut old = engine.handle.submit(endless_job()).unwrap();
    assert!(matches!(old.recv().await, Some(Ok(Event::Accepted(_)))));

    let (number, _) = reload(&engine.handle, revised(answering("new"), "two"));
    assert_eq!(number, 1);
    until(&engine.handle, ReloadState::Draining).await;
    assert_eq!(engine.handle.current().state, ModelState::Ready);
    assert_eq!(revision(&engine.handle), "two");
    for _ in 0..3 {
        let events = engine.handle.submit(job("what", &[1])).unwrap();
        assert_eq!(whole(events).await.unwrap().text, "new");
    }
    // The old one still speaks, and is not there for ever.
    let mut spoken = 0;
    while spoken < 20 {
        match tokio::time::timeout(LONG, old.recv()).await.unwrap().unwrap().unwrap() {
            Event::Text(text) => spoken += text.tokens,
            Event::Progress(_) => {}
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(engine.probe.slots_held.load(Ordering::SeqCst), 1);
    drop(old);
    until(&engine.handle, ReloadState::Done).await;
    assert_eq!(engine.probe.slots_held.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&engine.probe), 1, "the old model is gone");
    assert!(engine.handle.shutdown(LONG).await, "all threads end");
}

#[tokio::test]
async fn what_waits_and_what_is_being_prepared_is_not_lost() {
    let mut options = answering("old");
    options.spec.slots = 1;
    options.step_delay = Duration::from_millis(2);
    let config = Config { intake_threads: 1, pixel_bytes_max: 1, ..Config::default() };
    let engine = start(options, config).await;
    let taken: Vec<_> = (0..30).map(|_| engine.handle.submit(job("what", &[1])).unwrap()).collect();
    reload(&engine.handle, answering("new"));
    until(&engine.handle, ReloadState::Draining).await;
    let new = engine.handle.submit(job("what", &[1])).unwrap();
    for events in taken {
        assert_eq!(whole(events).await.unwrap().text, "old");
    }
    assert_eq!(whole(new).await.unwrap().text, "new");
    until(&engine.handle, ReloadState::Done).await;
}

#[tokio::test]
async fn whoever_looked_at_a_model_is_read_by_it() {
    let engine = start(revised(answering("old"), "one"), Config::default()).await;
    let model = engine.handle.model();
    reload(&engine.handle, revised(answering("new"), "two"));
    until(&engine.handle, ReloadState::Draining).await;
    assert_eq!(model.served().unwrap().spec.revision, "one");
    let events = model.submit(job("what", &[])).unwrap();
    assert_eq!(whole(events).await.unwrap().text, "old");
    // It is there for as long as somebody may still submit to it.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(engine.handle.current().reload.unwrap().state, ReloadState::Draining);
    drop(model);
    until(&engine.handle, ReloadState::Done).await;
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_changes_nothing() {
    let engine = start(revised(answering("old"), "one"), Config::default()).await;
    let number = engine.handle.reload_one(|_| Err("no weights".into())).unwrap();
    let failed = until(&engine.handle, ReloadState::Failed).await;
    assert_eq!((failed.number, failed.message.as_str()), (number, "no weights"));
    let number = engine.handle.reload_one(|_| panic!("a bug in the loader")).unwrap();
    let bug = |reload: &Reload| reload.number == number && reload.state == ReloadState::Failed;
    reach(&engine.handle, |status| status.reload.as_ref().is_some_and(bug)).await;
    for kind in [FaultKind::Nan, FaultKind::OutOfMemory, FaultKind::Panic] {
        let fake = Fake::new(Options::default());
        fake.faults().add(Fault::next(kind));
        let number = engine
            .handle
            .reload_one(move |_| {
                Ok(Parts::plain(Box::new(fake), Arc::new(Letters::new(Options::default()))))
            })
            .unwrap();
        let cold = |reload: &Reload| reload.number == number && reload.state == ReloadState::Failed;
        reach(&engine.handle, |status| status.reload.as_ref().is_some_and(cold)).await;
    }
    assert_eq!(
        (engine.handle.current().state, revision(&engine.handle)),
        (ModelState::Ready, "one".to_owned())
    );
    let events = engine.handle.submit(job("what", &[1])).unwrap();
    assert_eq!(whole(events).await.unwrap().text, "old");
    // And the next one may be well.
    reload(&engine.handle, revised(answering("new"), "two"));
    until(&engine.handle, ReloadState::Done).await;
    let events = engine.handle.submit(job("what", &[1])).unwrap();
    assert_eq!(whole(events).await.unwrap().text, "new");
    assert!(engine.handle.shutdown(LONG).await, "all threads end");
}

#[tokio::test]
async fn a_model_that_dies_once_it_is_replaced_takes_nothing_with_it() {
    for kind in [FaultKind::Panic, FaultKind::Device] {
        // One after the other: the device fails often enough in a row.
        let mut options = revised(endless(), "one");
        options.spec.slots = 1;
        let engine = start(options, Config::default()).await;
        let mut old: Vec<_> =
            (0..6).map(|_| engine.handle.submit(endless_job()).unwrap()).collect();
        for events in &mut old {
            assert!(matches!(events.recv().await, Some(Ok(Event::Accepted(_)))));
        }
        reload(&engine.handle, revised(answering("new"), "two"));
        until(&engine.handle, ReloadState::Draining).await;
        engine.faults.add(Fault { times: 100, ..Fault::next(kind) });
        for events in old {
            let error = end_of(events).await;
            let expected = match kind {
                FaultKind::Panic => matches!(error, EngineError::Panicked { .. }),
                _ => matches!(error, EngineError::Run(_) | EngineError::Rejected(_)),
            };
            assert!(expected, "{kind:?}: {error}");
        }
        until(&engine.handle, ReloadState::Done).await;
        assert_eq!(engine.handle.current().state, ModelState::Ready);
        let events = engine.handle.submit(job("what", &[1])).unwrap();
        assert_eq!(whole(events).await.unwrap().text, "new");
        assert!(engine.handle.shutdown(LONG).await, "all threads end");
    }
}

/// The error that ends a stream that was read in part.
async fn end_of(mut events: crate::engine::Events) -> EngineError {
    loop {
        match tokio::time::timeout(LONG, events.recv()).await.expect("in time") {
            Some(Ok(Event::Done(done))) => panic!("{done:?}"),
            Some(Ok(_)) => {}
            Some(Err(error)) => return error,
            None => panic!("ends without a word"),
        }
    }
}

#[tokio::test]
async fn a_model_that_would_be_elsewhere_is_not_taken() {
    let on = |device: &str| {
        let mut options = answering(device);
        for placement in &mut options.spec.placements {
            placement.device_id = device.to_owned();
        }
        options
    };
    assert!(!on("cuda:0").spec.placements.is_empty());
    let engine = start(on("cuda:0"), Config::default()).await;
    reload(&engine.handle, on("cpu"));
    let failed = until(&engine.handle, ReloadState::Failed).await;
    assert!(failed.message.contains("no room") && failed.message.contains("cpu"), "{failed:?}");
}

#[tokio::test]
async fn one_exchange_at_a_time_and_none_where_it_makes_no_sense() {
    let (go_on, gate) = mpsc::channel::<()>();
    let handle =
        start_one(Config::default(), Arc::new(crate::engine::clock::SystemClock), move |_| {
            gate.recv()?;
            Ok(Parts::plain(
                Box::new(Fake::new(endless())),
                Arc::new(Letters::new(Options::default())),
            ))
        });
    let refused = || handle.reload_one(|_| Err("not reached".into())).unwrap_err();
    assert_eq!(refused(), ReloadRefused::Loading);
    go_on.send(()).unwrap();
    reach(&handle, |status| status.state == ModelState::Ready).await;

    let mut running = handle.submit(endless_job()).unwrap();
    assert!(matches!(running.recv().await, Some(Ok(Event::Accepted(_)))));
    let (go_on, gate) = mpsc::channel::<()>();
    let number = handle
        .reload_one(move |progress| {
            progress.say("reading file 1 of 1");
            gate.recv()?;
            Ok(Parts::plain(
                Box::new(Fake::new(answering("new"))),
                Arc::new(Letters::new(Options::default())),
            ))
        })
        .unwrap();
    let said = |reload: &Reload| reload.message == "reading file 1 of 1";
    let status = reach(&handle, |status| status.reload.as_ref().is_some_and(said)).await;
    assert_eq!(status.state, ModelState::Ready, "the old one serves");
    assert_eq!(refused(), ReloadRefused::Busy { number });
    go_on.send(()).unwrap();
    until(&handle, ReloadState::Draining).await;
    // Two models are in memory still.
    assert_eq!(refused(), ReloadRefused::Busy { number });
    drop(running);
    until(&handle, ReloadState::Done).await;
    handle.drain();
    assert_eq!(refused(), ReloadRefused::Stopping);
    handle.fail("for this test");
    assert!(matches!(refused(), ReloadRefused::Failed { .. }));
}

#[tokio::test]
async fn a_stop_ends_both_models() {
    let Running { handle, .. } = start(endless(), Config::default()).await;
    let old = handle.submit(endless_job()).unwrap();
    reach(&handle, |status| status.load.running == 1).await;
    reload(&handle, endless());
    until(&handle, ReloadState::Draining).await;
    let new = handle.submit(endless_job()).unwrap();
    reach(&handle, |status| status.load.running == 2).await;
    let readers = [old, new].map(|events| tokio::spawn(whole(events)));
    assert!(!handle.shutdown(Duration::from_millis(50)).await);
    for reader in readers {
        assert!(matches!(reader.await.unwrap(), Err(EngineError::Stopped)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_under_load_lose_no_request() {
    let engine = start(revised(answering("abcdefgh"), "0"), Config::default()).await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let (handle, stop) = (engine.handle.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answers = 0;
                while !stop.load(Ordering::Relaxed) {
                    let events = handle.submit(job("what", &[1])).expect("it is taken");
                    let items = tokio::time::timeout(LONG, events.collect()).await.unwrap();
                    let done = check_stream(items).expect("it is answered");
                    assert_eq!(done.text, "abcdefgh");
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    for number in 1..=10 {
        let (counted, _) =
            reload(&engine.handle, revised(answering("abcdefgh"), &number.to_string()));
        assert_eq!(counted, number);
        until(&engine.handle, ReloadState::Done).await;
        assert_eq!(revision(&engine.handle), number.to_string());
    }
    stop.store(true, Ordering::Relaxed);
    let mut answers = 0;
    for caller in callers {
        answers += caller.await.unwrap();
    }
    assert!(answers > 100, "{answers}");
    assert!(engine.handle.shutdown(LONG).await, "all threads end");
}
