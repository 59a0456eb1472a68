//! The binary as a cluster and its people treat it: signals in every phase, the model exchanged under load, a
//! disk that is full, memory that runs out, a clock that jumps; what each device holds, in which dtype; and what it
//! logs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::panic, reason = "a test that cannot go on fails")]

mod devices;
mod dtypes;
mod limits;
mod machine;
mod memory;
mod phases;
mod port;
mod reload;
mod secrets;
mod server;
