//! A mistake in the configuration: where it is, what is wrong, what to do.

use std::fmt;
use std::path::PathBuf;

use super::options::{self, Key};

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Flag(&'static str),
    Env(String),
    /// Line and column count from 1; without an option where the file is wrong as a file.
    File {
        path: PathBuf,
        line: usize,
        column: usize,
        key: Option<Key>,
    },
    Default(Key),
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub source: Source,
    /// What stood there: the value, or the name of an unknown option.
    pub found: Option<String>,
    /// Completes "… is wrong because it": "is not a number".
    pub reason: String,
    /// What to do, as a command: "give a number from 1 to 1024".
    pub remedy: String,
}

/// All mistakes; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Env(name) => f.write_str(name),
            Self::File { path, line, column, key } => {
                write!(f, "{}:{line}:{column}", path.display())?;
                key.map_or(Ok(()), |key| write!(f, " {}", key.name()))
            }
            Self::Default(key) => write!(f, "default of --{}", key.name()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        if let Some(found) = &self.found {
            write!(f, " {found:?}")?;
        }
        write!(f, ": {}\n    {}", self.reason, self.remedy)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("1 mistake in the configuration")?,
            n => write!(f, "{n} mistakes in the configuration")?,
        }
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The remedy for a name that is no option.
pub(super) fn did_you_mean(name: &str) -> String {
    options::nearest(name).map_or_else(
        || "remove it; `tessera serve --help` lists all options".to_owned(),
        |nearest| format!("did you mean {nearest}?"),
    )
}
