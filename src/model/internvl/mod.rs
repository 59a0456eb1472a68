//! InternVL3: InternViT, pixel shuffle and projector, and a Qwen2 decoder.

mod config;
pub mod dump;
mod language;
mod load;
mod observe;
mod projector;
mod runner;
mod vision;

pub use config::{Config, ConfigError};
pub use load::{LoadError, LoadOptions, load};
pub use runner::InternVl;
