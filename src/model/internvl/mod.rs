//! InternVL3: InternViT, pixel shuffle and projector, and a Qwen2 decoder.

mod aim;
mod config;
mod cost;
mod decoder_layer;
pub mod dump;
mod embedding;
mod fault;
mod features;
#[cfg(feature = "cuda")]
mod fused;
#[cfg(not(feature = "cuda"))]
#[path = "fused/without.rs"]
mod fused;
mod home;
mod host_table;
mod language;
mod laps;
mod layout;
mod load;
mod looks;
mod matrix;
mod observe;
mod probe;
mod projector;
mod runner;
mod verify;
mod vision;

pub use config::{Config, ConfigError};
pub use cost::cost;
pub use host_table::HostTables;
pub use layout::{LayoutError, LayoutOptions, demand};
pub use load::{LoadError, LoadOptions, check, load};
pub use probe::ProbeInput;
pub use runner::InternVl;
