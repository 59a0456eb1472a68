//! Several equal models behind one handle.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::threads::{LONG, endless, endless_job, reach, whole};
use super::{Letters, answering, job};
use crate::engine::clock::SystemClock;
use crate::engine::generation::Parts;
use crate::engine::{Config, Event, Events, Handle, LoadError, ModelState, Reject, ReloadState};
use crate::model::Runner as _;
use crate::model::fake::{Fake, Fault, FaultKind, Faults, Options, Probe};

/// What loads one replica.
type Load = Box<dyn FnOnce(&crate::engine::LoadProgress) -> Result<Parts, LoadError> + Send>;

/// Fake models, and what loads them.
fn replicas(count: usize, options: &Options) -> (Vec<Load>, Vec<(Arc<Probe>, Faults)>) {
    let one = |_| {
        let fake = Fake::new(options.clone());
        let seen = (fake.probe(), fake.faults());
        let letters = Arc::new(Letters::new(options.clone()));
        let load: Load = Box::new(move |_| Ok(Parts::plain(Box::new(fake), letters)));
        (load, seen)
    };
    (0..count).map(one).unzip()
}

async fn start(
    count: usize,
    options: &Options,
    config: Config,
) -> (Handle, Vec<(Arc<Probe>, Faults)>) {
    let (loads, seen) = replicas(count, options);
    let handle = Handle::start_with(config, Arc::new(SystemClock), loads);
    reach(&handle, |status| status.state == ModelState::Ready).await;
    (handle, seen)
}

fn held(probe: &Probe) -> usize {
    probe.slots_held.load(Ordering::SeqCst)
}

/// Waits until the request has begun, and keeps it.
async fn begun(handle: &Handle) -> Events {
    let mut events = handle.submit(endless_job()).unwrap();
    loop {
        match tokio::time::timeout(LONG, events.recv()).await.unwrap() {
            Some(Ok(Event::Text(_))) => return events,
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn together_they_have_the_room_of_all() {
    let mut options = endless();
    options.spec.slots = 2;
    let (handle, seen) = start(3, &options, Config::default()).await;
    let spec = handle.current().spec.unwrap();
    assert_eq!((spec.replicas, spec.slots), (3, 6));
    assert_eq!(spec.kv_blocks, 3 * Fake::new(options.clone()).spec().kv_blocks);
    let of: Vec<usize> = spec.placements.iter().map(|placement| placement.replica).collect();
    assert_eq!(of, [0, 1, 2]);
    assert_eq!(spec.devices.len(), 1, "they share the CPU: {:?}", spec.devices);
    // Six run at once, two on each.
    let mut running = Vec::new();
    for _ in 0..6 {
        running.push(begun(&handle).await);
    }
    assert_eq!(seen.iter().map(|(probe, _)| held(probe)).collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(handle.current().load.running, 6);
    drop(running);
    reach(&handle, |status| status.load.running == 0).await;
    assert!(handle.shutdown(LONG).await, "all threads end");
}

#[tokio::test]
async fn a_request_goes_where_the_fewest_are() {
    let mut options = endless();
    options.spec.slots = 4;
    let (handle, seen) = start(2, &options, Config::default()).await;
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(begun(&handle).await);
    }
    // All that one of them has ends: the next two are for it, whoever's turn it is.
    let first: Vec<usize> = (0..4).filter(|at| at % 2 == 0).collect();
    for at in first.into_iter().rev() {
        drop(running.remove(at));
    }
    reach(&handle, |status| status.load.running == 2).await;
    let counts = |seen: &[(Arc<Probe>, Faults)]| -> Vec<usize> {
        seen.iter().map(|(probe, _)| held(probe)).collect()
    };
    let mut sorted = counts(&seen);
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 2]);
    for _ in 0..2 {
        running.push(begun(&handle).await);
    }
    assert_eq!(counts(&seen), [2, 2]);
}

#[tokio::test]
async fn what_follows_goes_to_the_replica_that_has_the_pages() {
    let (handle, seen) = start(3, &answering("yes"), Config::default()).await;
    let tiles = |(probe, _): &(Arc<Probe>, Faults)| probe.tiles.load(Ordering::SeqCst);
    let mut before: Vec<usize> = seen.iter().map(tiles).collect();
    for round in 0..6 {
        // Pages differ by the length of the question: no replica has seen these.
        let question = "?".repeat(round + 1);
        let (events, place) = handle.model().submit_first(job(&question, &[3])).unwrap();
        assert_eq!(whole(events).await.unwrap().text, "yes");
        assert_eq!(whole(place.submit(job(&question, &[3]))).await.unwrap().text, "yes");
        let after: Vec<usize> = seen.iter().map(tiles).collect();
        let busy = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert_eq!(busy, 1, "round {round}: {before:?} {after:?}");
        before = after;
    }
    reach(&handle, |status| status.load.is_idle()).await;
}

#[tokio::test]
async fn none_serves_before_all_are_warm() {
    let (mut loads, _) = replicas(2, &answering("yes"));
    let slow = loads.pop().unwrap();
    let (release, released) = mpsc::channel::<()>();
    loads.push(Box::new(move |progress| {
        released.recv()?;
        progress.say("reading");
        released.recv()?;
        slow(progress)
    }));
    let handle = Handle::start_with(Config::default(), Arc::new(SystemClock), loads);
    // The last thing that the first one says: what the second one says is not overwritten.
    reach(&handle, |status| status.message == "replica 1 of 2: warming up").await;
    release.send(()).unwrap();
    reach(&handle, |status| status.message == "replica 2 of 2: reading").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = handle.submit(job("what", &[])).unwrap_err();
    assert!(matches!(refused, Reject::Loading { .. }), "{refused:?}");
    release.send(()).unwrap();
    reach(&handle, |status| status.state == ModelState::Ready).await;
    assert_eq!(whole(handle.submit(job("what", &[])).unwrap()).await.unwrap().text, "yes");
}

#[tokio::test]
async fn where_one_cannot_be_loaded_none_serves() {
    let (mut loads, seen) = replicas(3, &answering("yes"));
    loads[1] = Box::new(|_| Err("no weights".into()));
    let handle = Handle::start_with(Config::default(), Arc::new(SystemClock), loads);
    let failed = reach(&handle, |status| status.state == ModelState::Failed).await;
    assert_eq!(failed.message, "no weights");
    // Nobody keeps the memory of the others.
    let gone = || seen.iter().all(|(probe, _)| Arc::strong_count(probe) == 1);
    for _ in 0..600 {
        if gone() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(gone());
    assert!(handle.shutdown(LONG).await, "all threads end");
}

#[tokio::test]
async fn all_are_exchanged_at_once() {
    let (handle, old) = start(2, &endless(), Config::default()).await;
    let running = [begun(&handle).await, begun(&handle).await];
    let (loads, _) = replicas(2, &answering("new"));
    handle.reload_with(loads).unwrap();
    let is = |wanted| {
        move |status: &crate::engine::Status| {
            status.reload.as_ref().is_some_and(|reload| reload.state == wanted)
        }
    };
    reach(&handle, is(ReloadState::Draining)).await;
    for _ in 0..4 {
        assert_eq!(whole(handle.submit(job("what", &[])).unwrap()).await.unwrap().text, "new");
    }
    let [one, two] = running;
    drop(one);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(is(ReloadState::Draining)(&handle.current()), "the other one still speaks");
    drop(two);
    reach(&handle, is(ReloadState::Done)).await;
    assert!(old.iter().all(|(probe, _)| Arc::strong_count(probe) == 1), "the old ones are gone");
}

#[tokio::test]
async fn a_model_of_another_number_of_replicas_can_take_over() {
    let (handle, _) = start(1, &answering("old"), Config::default()).await;
    let (loads, _) = replicas(3, &answering("new"));
    handle.reload_with(loads).unwrap();
    reach(&handle, |status| {
        status.reload.as_ref().is_some_and(|reload| reload.state == ReloadState::Done)
    })
    .await;
    assert_eq!(handle.current().spec.unwrap().replicas, 3);
}

#[tokio::test]
async fn one_that_dies_takes_the_server_with_it() {
    let (handle, seen) = start(2, &endless(), Config::default()).await;
    let running = [begun(&handle).await, begun(&handle).await];
    seen[1].1.add(Fault::next(FaultKind::Panic));
    reach(&handle, |status| status.state == ModelState::Failed).await;
    assert!(matches!(handle.submit(job("what", &[])).unwrap_err(), Reject::Failed { .. }));
    // What the other one has goes on until the process ends.
    let [mut one, mut two] = running;
    let mut ended = 0;
    for events in [&mut one, &mut two] {
        for _ in 0..200 {
            match tokio::time::timeout(LONG, events.recv()).await.unwrap() {
                Some(Ok(_)) => {}
                Some(Err(_)) => {
                    ended += 1;
                    break;
                }
                None => break,
            }
        }
    }
    assert_eq!(ended, 1);
}
