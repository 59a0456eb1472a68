//! What a real server tells, as those get it for whom it is: a real OpenTelemetry Collector, Jaeger, Prometheus,
//! the terminal and operators. Where one of them is not built its tests say so and pass: `make collector
//! backends` builds them with Go.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod collector;
mod jaeger;
mod operator;
#[path = "../process/port.rs"]
mod port;
mod prometheus;
mod semconv;
mod support;
