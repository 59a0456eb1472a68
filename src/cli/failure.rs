//! Why a command failed, as people read it: what, why, where, and what to do now.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// The command could not do its work.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// No server, or none that takes requests.
    Unreachable = 3,
    /// There is an answer, but not a whole one.
    Incomplete = 4,
    /// A second signal ended the wait for running requests.
    Interrupted = 130,
}

/// One failure. Printed once, by [`super::run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub exit: Exit,
    /// One line: "cannot listen on 127.0.0.1:50051".
    pub what: String,
    /// From the nearest cause to the root.
    pub causes: Vec<String>,
    /// Named facts: code, reason, field.
    pub facts: Vec<(String, String)>,
    /// What to do now, as a command.
    pub remedy: Option<String>,
    /// Already told, or nothing to tell: only the exit code counts.
    pub silent: bool,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Failure {
    pub(super) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            causes: Vec::new(),
            facts: Vec::new(),
            remedy: None,
            silent: false,
        }
    }

    /// Nothing left to say.
    pub(super) fn silent(exit: Exit) -> Self {
        Self { silent: true, ..Self::new(exit, "") }
    }

    /// Adds `error` and what caused it, without repeating what an outer text already says.
    pub(super) fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            let told = std::iter::once(&self.what).chain(&self.causes).any(|t| t.contains(&text));
            if !told {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    pub(super) fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for cause in &self.causes {
            write!(f, "\n  because: {cause}")?;
        }
        for (name, value) in &self.facts {
            write!(f, "\n  {name}: {value}")?;
        }
        match &self.remedy {
            Some(remedy) => write!(f, "\n  try: {remedy}"),
            None => Ok(()),
        }
    }
}

impl From<std::io::Error> for Failure {
    /// For stdout: a reader that left early has what it wanted.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::silent(Exit::Failed)
        } else {
            Self::new(Exit::Failed, "cannot write the output").because(&error)
        }
    }
}
