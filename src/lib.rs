//! Tessera reads documents with InternVL3 and streams what it reads over gRPC.
//!
//! Modules in reading order. Arrows only point down this list's floors, which `tests/tidy`
//! holds; `docs/ARCHITECTURE.md` says why.
//!
//! | floor | modules |
//! |---|---|
//! | 6 | [`app`], [`cli`], [`config`] |
//! | 5 | [`service`], [`admin`], [`pb`] |
//! | 4 | [`engine`] |
//! | 3 | [`model`] |
//! | 2 | [`accuracy`], [`constraint`], [`placement`], [`weights`] |
//! | 1 | [`access`], [`device`], [`fetch`], [`fields`], [`preprocess`], [`prompt`], [`transport`] |
//! | 0 | [`checkpoint`], [`limits`], [`schema`], [`telemetry`] |

pub mod cli;
pub mod config;

pub mod app;

pub mod admin;
pub mod pb;
pub mod service;

pub mod engine;

pub mod model;

pub mod accuracy;
pub mod constraint;
pub mod placement;
pub mod weights;

pub mod access;
pub mod device;
pub mod fetch;
pub mod fields;
pub mod preprocess;
pub mod prompt;
pub mod transport;

pub mod checkpoint;
pub mod limits;
pub mod schema;
pub mod telemetry;
