//! The gRPC contract, against a whole server in this process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

mod access;
mod batch;
mod cancel;
mod connections;
mod contract;
mod deadline;
mod drain;
mod faults;
mod fetch;
mod fields;
mod guard;
mod health;
mod hostile;
mod interop;
mod kind;
mod load;
mod metrics;
mod model_info;
mod orca;
mod origin;
mod overload;
mod pages;
mod reflection;
mod refusal;
mod sampling;
mod tls;
mod web;
