//! The only place that reads the process environment.

use std::collections::BTreeMap;

/// Variables as the rest of the program sees them; tests pass a map.
pub trait Env {
    /// The value of `name`. Bytes that are not UTF-8 come as U+FFFD, so that the value is refused with
    /// its name instead of being taken for unset.
    fn get(&self, name: &str) -> Option<String>;

    /// Names of all variables that start with `prefix`, sorted.
    fn names(&self, prefix: &str) -> Vec<String>;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnv;

impl Env for ProcessEnv {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = std::env::vars_os()
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort();
        names
    }
}

impl Env for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        self.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }
}
