//! InternVL3: InternViT, pixel shuffle and projector, and a Qwen2 decoder.

mod config;
mod cost;
pub mod dump;
mod language;
mod load;
mod observe;
mod projector;
mod runner;
mod vision;

pub use config::{Config, ConfigError};
pub use cost::{VISION_BATCH_TILES_GPU, cost};
pub use load::{LoadError, LoadOptions, load};
pub use runner::InternVl;
