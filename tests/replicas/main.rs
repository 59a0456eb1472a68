//! Two real servers as a cluster has them: restarted one by one under load, killed in the middle of an
//! answer, behind nginx, behind Envoy, behind clients that balance by themselves, and behind a proxy that
//! balances each call as a mesh's does.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::panic, reason = "a test that cannot go on fails")]

mod behind_envoy;
mod envoy;
mod load;
mod nginx;
#[path = "../process/port.rs"]
mod port;
mod proxy;
mod replica;
mod restarts;
