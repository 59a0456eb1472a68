//! What the user typed, wherever that was: text with an address, nothing understood yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::env::Env;
use super::file;
use super::flags::Flags;
use super::options::{self, ALL, CONFIG_FLAG, Key};
use super::problem::{Problem, Source};

/// One value, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub text: String,
    pub source: Source,
}

/// Of each option the value that counts (flag before variable before file), and what could not even
/// be read.
#[derive(Debug, Clone, Default)]
pub struct Low {
    pub(super) given: BTreeMap<Key, Given>,
    pub(super) problems: Vec<Problem>,
    /// Worth a word, but no reason not to start.
    pub(super) warnings: Vec<String>,
}

impl Low {
    pub fn gather(flags: &Flags, env: &dyn Env) -> Self {
        let mut low = Self::default();
        if let Some((path, source)) = config_path(flags, env) {
            low.read_file(&path, source);
        }
        for spec in &ALL {
            let name = options::env_name(spec.name);
            if let Some(text) = env.get(&name) {
                low.given.insert(spec.key, Given { text, source: Source::Env(name) });
            }
        }
        for (key, text) in &flags.values {
            let given = Given { text: text.clone(), source: Source::Flag(key.name()) };
            low.given.insert(*key, given);
        }
        low.warnings = unknown_variables(env);
        low
    }

    /// Without what is only about serving: whoever loads a model alone needs none of it, be it right or wrong.
    #[must_use]
    pub fn for_loading(mut self) -> Self {
        self.given.retain(|key, _| key.spec().is_for_loading());
        self
    }

    /// Where the value that counts for `key` was given.
    pub fn source(&self, key: Key) -> Source {
        self.given.get(&key).map_or(Source::Default(key), |given| given.source.clone())
    }

    fn read_file(&mut self, path: &Path, source: Source) {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let (values, problems) = file::parse(path, &text);
                self.given.extend(values);
                self.problems.extend(problems);
            }
            Err(error) => self.problems.push(Problem {
                source,
                found: Some(path.display().to_string()),
                reason: format!("cannot be read: {error}"),
                remedy: "give the path of a TOML file, or leave the option out".to_owned(),
            }),
        }
    }

    /// What was typed for `key`, or else its default; none where neither is.
    pub(super) fn get(&self, key: Key) -> Option<Given> {
        let default = key.spec().default;
        self.given.get(&key).cloned().or_else(|| {
            (!default.is_empty())
                .then(|| Given { text: default.to_owned(), source: Source::Default(key) })
        })
    }
}

fn config_path(flags: &Flags, env: &dyn Env) -> Option<(PathBuf, Source)> {
    let name = options::env_name(CONFIG_FLAG);
    match &flags.config {
        Some(path) => Some((path.clone(), Source::Flag(CONFIG_FLAG))),
        None => env.get(&name).map(|path| (PathBuf::from(path), Source::Env(name))),
    }
}

/// Variables that look like a misspelt option. Only a warning: a cluster gives every container
/// variables like `TESSERA_PORT` for a service of that name.
fn unknown_variables(env: &dyn Env) -> Vec<String> {
    let prefix = options::env_name("");
    let known = |name: &str| {
        name == options::env_name(CONFIG_FLAG)
            || ALL.iter().any(|spec| name == options::env_name(spec.name))
    };
    env.names(&prefix)
        .into_iter()
        .filter(|name| !known(name))
        .filter_map(|name| {
            let nearest = options::nearest(name.strip_prefix(&prefix)?)?;
            Some(format!("{name} is no option: did you mean {}?", options::env_name(nearest)))
        })
        .collect()
}
