//! What the program shall do, in two steps: [`Low`] is what was typed, as flags, as `TESSERA_*`
//! variables or in a TOML file; [`Config`] is what that means.
//!
//! Every option exists once, in [`options`], under one name in all three places. [`check()`] reports
//! all mistakes of all places at once, each with its address, the reason and a remedy. Only [`mod@env`]
//! reads the process environment, and only `app` turns a [`Config`] into running parts.

mod check;
mod checked;
pub mod env;
mod file;
mod flags;
mod low;
pub mod options;
mod problem;
pub mod value;

pub use check::check;
pub use checked::{Config, ModelConfig, RequestConfig, ServerConfig, Verify};
pub use flags::{Flags, LoadFlags, ModelFlags};
pub use low::Low;
pub use options::Key;
pub use problem::{Problem, Problems, Source};
