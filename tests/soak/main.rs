//! Real servers for a while: whole answers, cancels, deadlines, refusals and broken files, all mixed, 64 at once
//! on the built-in model and 1,000 at once on the fake one. Every call must end in one way that it can, no field
//! may be lost or doubled, the server's own count of calls must be the callers', no span of them may be lost, and
//! memory must stay. And 10,000 calls that are given up, which leave nothing behind.
//!
//! `SOAK_SECONDS=3600 cargo test --test soak -- --nocapture` is the long form; `SOAK_SERVER` names the program, such
//! as a release build, where it is to be another than that of the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "a test is told how long to run")]

mod calls;
mod line;
#[path = "../process/port.rs"]
mod port;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tessera::pb::v1::extraction_service_client::ExtractionServiceClient;
use tokio::sync::Semaphore;
use tonic::Request;
use tonic::transport::Channel;

use calls::{PAGE, Tally, call, read, request};
use line::Growth;
use server::{Kept, SETTLING_CALLS, Server};

/// How long the short form runs.
const SECONDS_DEFAULT: u64 = 15;

/// Calls in a row on one connection. A client forgets soon which streams it cancelled, and ends the connection
/// after 1,024 frames that still arrive for them. Where it gets no time for a while that is all of what each call
/// still had to say: of 40 calls 15 are cancelled, with 64 messages at most each.
const CALLS_PER_CONNECTION: usize = 40;

/// Clients that connect at the same moment. A server gives a peer ten seconds from its connection to its first bytes;
/// of a thousand that begin together on a machine without time to spare some would not come to them.
const CONNECTING_MAX: usize = 32;

/// What memory may grow by once everything has been used once: pools of buffers still find their size.
const GROWTH_BYTES_MAX: u64 = 96 << 20;

/// From here on a run is long enough for the slope of its memory to mean something.
const SECONDS_FOR_SLOPE: u64 = 600;

/// Of a part of a long run. Between them nobody calls, and memory is what the server keeps: under load it swings by
/// what happens to wait.
const ROUND_SECONDS: u64 = 45;

/// Growth, in bytes an hour, of what the program holds. It is counted to the byte, so that chance hides little: it has
/// to be shown that growth is less.
const HELD_BYTES_PER_HOUR_MAX: f64 = (1 << 20) as f64;

/// The same of what the system counts for the process. What the allocator keeps of a crowd scatters that by tens of
/// MiB, more than can be averaged away in an hour: a run fails where growth is shown to be more.
const RESIDENT_BYTES_PER_HOUR_MAX: f64 = (16 << 20) as f64;

/// One server and who calls it.
struct Scene {
    name: &'static str,
    /// Callers, each with one call open.
    streams: usize,
    /// Of the server.
    flags: &'static [&'static str],
    /// Time that a call of the kind "late" gets.
    deadline: Duration,
}

const TINY: Scene = Scene {
    name: "tessera-tiny, 64 streams",
    streams: 64,
    flags: &["--slots", "16", "--slot-tokens", "1024", "--queue", "56", "--verify", "none"],
    deadline: Duration::from_millis(30),
};

/// Calls of the third test, all of them given up.
const CANCELS: usize = 10_000;

const CANCELLED: Scene = Scene {
    name: "fake model, 10,000 cancels",
    streams: 50,
    flags: &["--weights", "fake:step=1ms,token=0us,tile=0ms", "--slots", "8", "--queue", "512"],
    deadline: Duration::ZERO,
};

const FAKE: Scene = Scene {
    name: "fake model, 1,000 streams",
    streams: 1000,
    flags: &[
        "--weights",
        "fake:step=100ms,token=0us,tile=0ms",
        "--slots",
        "512",
        "--slot-tokens",
        "1024",
        "--queue",
        "480",
    ],
    deadline: Duration::from_millis(500),
};

async fn run(server: &Server, scene: &'static Scene, time: Duration, tally: &Arc<Tally>) {
    let end = Instant::now() + time;
    let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
    let callers: Vec<_> = (0..scene.streams)
        .map(|caller| {
            let (endpoint, tally) = (server.endpoint(), Arc::clone(tally));
            let connecting = Arc::clone(&connecting);
            tokio::spawn(async move {
                let mut number = caller;
                while Instant::now() < end {
                    let turn = connecting.acquire().await.expect("it is never closed");
                    let channel = endpoint.connect().await.expect("a connection");
                    drop(turn);
                    for _ in 0..CALLS_PER_CONNECTION {
                        if Instant::now() >= end {
                            break;
                        }
                        call(number, scene, &channel, &tally).await;
                        number += 1;
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("every call ends in a way that it can");
    }
}

/// Calls `run` and says now and then how it goes.
async fn told(server: &Server, scene: &'static Scene, time: Duration, tally: &Arc<Tally>) {
    let began = Instant::now();
    let running = run(server, scene, time, tally);
    tokio::pin!(running);
    let mut ticks = tokio::time::interval(time.max(Duration::from_secs(10)) / 2);
    loop {
        tokio::select! {
            () = &mut running => return,
            _ = ticks.tick() => {
                let (time, memory) = (began.elapsed().as_secs(), server.rss() >> 20);
                println!("{}: {time} s of a round, {memory} MiB, {tally:?}", scene.name);
            }
        }
    }
}

async fn soak(scene: &'static Scene) {
    let seconds = std::env::var("SOAK_SECONDS")
        .ok()
        .map_or(SECONDS_DEFAULT, |text| text.parse().expect("SOAK_SECONDS is a number"));
    let server = Server::start(scene.flags).await;
    let files = server.open_files();
    let tally = Arc::new(Tally::default());
    run(&server, scene, Duration::from_secs(seconds.div_ceil(3).min(300)), &tally).await;
    server.until_idle().await;
    let is_long = seconds >= SECONDS_FOR_SLOPE;
    let rounds = if is_long { seconds / ROUND_SECONDS } else { 1 };
    let began = Instant::now();
    let mut samples = vec![(0.0, server.kept().await)];
    for _ in 0..rounds {
        told(&server, scene, Duration::from_secs(seconds) / rounds as u32, &tally).await;
        server.until_idle().await;
        let kept = server.kept().await;
        println!("{}: {kept:?}", scene.name);
        samples.push((began.elapsed().as_secs_f64(), kept));
    }
    tally.whole.fetch_add(samples.len() * SETTLING_CALLS, Ordering::Relaxed);
    println!("{}, {seconds} s: {tally:?}", scene.name);
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (whole, wrong) = (count(&tally.whole), count(&tally.wrong));
    for (what, some) in [
        ("whole", whole),
        ("wrong", wrong),
        ("late", count(&tally.late)),
        ("fields", count(&tally.fields)),
    ] {
        assert!(some > 0, "no call was {what}");
    }
    server.until_closed(files + 2).await;
    check_counts(&server, &tally);
    assert_eq!(server.lost_spans(), 0, "spans were lost");
    // Nothing waits or runs: the next call has the machine for itself.
    let channel = server.endpoint().connect().await.unwrap();
    let last = read(&channel, Request::new(request(PAGE, false, 4)), u64::MAX).await;
    assert!(last.unwrap().is_some());
    check_memory(scene, &samples, is_long);
}

/// Memory between the rounds, with the second at which it was looked at, does not grow.
fn check_memory(scene: &Scene, samples: &[(f64, Kept)], is_long: bool) {
    let growth = |what: &str, of: fn(&Kept) -> u64| {
        let kib: Vec<u64> = samples.iter().map(|(_, kept)| of(kept) >> 10).collect();
        println!("{}: KiB {what} when nobody calls: {kib:?}", scene.name);
        let most = (kib[0] << 10) + GROWTH_BYTES_MAX;
        assert!(kib[kib.len() - 1] << 10 < most, "memory {what} grew: {kib:?}");
        let bytes: Vec<_> = samples.iter().map(|(at, kept)| (*at, of(kept) as f64)).collect();
        is_long.then(|| Growth::of(&bytes)).inspect(|growth| {
            println!("{}: growth of memory {what}: {growth}", scene.name);
        })
    };
    let (held, resident) = (growth("held", |k| k.heap), growth("resident", |k| k.resident));
    if let (Some(held), Some(resident)) = (held, resident) {
        assert!(held.at_most() < HELD_BYTES_PER_HOUR_MAX, "memory held grows: {held}");
        assert!(resident.at_least() < RESIDENT_BYTES_PER_HOUR_MAX, "memory grows: {resident}");
    }
}

/// The server ended every call once, and those that ended for a reason of its own as often as callers saw it.
fn check_counts(server: &Server, tally: &Tally) {
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (whole, late) = (count(&tally.whole), count(&tally.late));
    // Whoever leaves with the last message, or when its time is over, may have left an end that it did not see.
    let unseen = count(&tally.given_up) + late;
    let found = server.extracts("OK");
    assert!((whole..=whole + unseen).contains(&found), "{found} whole, {tally:?}");
    let refused = count(&tally.refused);
    let found = server.extracts("RESOURCE_EXHAUSTED");
    assert!((refused..=refused + late).contains(&found), "{found} refused, {tally:?}");
    assert_eq!(server.extracts("INVALID_ARGUMENT"), count(&tally.wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_reads_for_a_while() {
    soak(&TINY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_streams_for_a_while() {
    soak(&FAKE).await;
}

/// Gives up one call: in the queue or while its page is taken in, at its first message, or in its answer.
async fn give_up(number: usize, channel: &Channel) {
    let mut client = ExtractionServiceClient::new(channel.clone());
    let asked = request(PAGE, false, 64);
    if number.is_multiple_of(3) {
        let call = client.extract(asked);
        let _ = tokio::time::timeout(Duration::from_micros(100 * (number as u64 % 20)), call).await;
        return;
    }
    let mut stream = client.extract(asked).await.expect("there is room").into_inner();
    for _ in 0..number % 5 {
        assert!(stream.message().await.expect("it goes on").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_cancels_leave_nothing_behind() {
    let scene = &CANCELLED;
    let server = Server::start(scene.flags).await;
    let files = server.open_files();
    let round = async |calls: usize| {
        let next = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..scene.streams)
            .map(|_| {
                let (endpoint, next) = (server.endpoint(), Arc::clone(&next));
                tokio::spawn(async move {
                    loop {
                        let channel = endpoint.connect().await.expect("a connection");
                        for _ in 0..CALLS_PER_CONNECTION / 3 {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= calls {
                                return;
                            }
                            give_up(number, &channel).await;
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("every call can be given up");
        }
        server.until_idle().await;
    };
    round(CANCELS / 10).await;
    let (before, began) = (server.kept().await, Instant::now());
    round(CANCELS).await;
    let took = began.elapsed().as_secs_f64();
    let after = server.kept().await;
    println!("{}: {took:.1} s", scene.name);
    server.until_closed(files + 2).await;
    check_memory(scene, &[(0.0, before), (took, after)], false);
    // Each ended once, and as what it was: nothing but calls that were given up, some after their end.
    let ended = server.extracts("CANCELLED") + server.extracts("OK");
    let all = CANCELS + CANCELS / 10 + 2 * SETTLING_CALLS;
    assert!(
        server.extracts("CANCELLED") > all / 2,
        "{} cancels were seen",
        server.extracts("CANCELLED")
    );
    // A call that was taken back before its head was sent never came.
    assert!((all / 3 * 2..=all).contains(&ended), "{ended} of {all} calls ended");
    let channel = server.endpoint().connect().await.unwrap();
    let last = read(&channel, Request::new(request(PAGE, false, 4)), u64::MAX).await;
    assert!(last.unwrap().is_some(), "the next call is answered");
}
