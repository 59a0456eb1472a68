//! Names for groups of modules, as people type them: `vision`, `language.layers.0-3`, `lm_head`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

pub(super) const LAYERS: &str = "language_model.model.layers";

/// Modules that an option applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModulePattern {
    text: String,
    matches: Matches,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Matches {
    /// A module of this name, or every module inside it.
    Prefix(&'static str),
    /// Decoder layers by number.
    Layers(RangeInclusive<u32>),
}

/// A name that no module has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown module {0:?}: use vision, projector, language, language.layers.N or .N-M, embed_tokens, norm or lm_head"
)]
pub struct UnknownPattern(String);

/// What people type, and the original layout's name that it stands for.
const NAMES: [(&str, &str); 13] = [
    ("vision", "vision_model"),
    ("vision_model", "vision_model"),
    ("vision_tower", "vision_model"),
    ("projector", "mlp1"),
    ("mlp1", "mlp1"),
    ("multi_modal_projector", "mlp1"),
    ("language", "language_model"),
    ("language_model", "language_model"),
    ("language.layers", LAYERS),
    ("layers", LAYERS),
    ("embed_tokens", "language_model.model.embed_tokens"),
    ("norm", "language_model.model.norm"),
    ("lm_head", "language_model.lm_head"),
];

impl ModulePattern {
    /// Whether the pattern means `module`, given by its original-layout name.
    pub fn matches(&self, module: &str) -> bool {
        match &self.matches {
            Matches::Prefix(prefix) => module
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            Matches::Layers(range) => {
                layer_number(module).is_some_and(|number| range.contains(&number))
            }
        }
    }
}

impl ModulePattern {
    /// The last decoder layer that the pattern names by its number.
    pub(super) fn last_layer(&self) -> Option<u32> {
        match &self.matches {
            Matches::Prefix(_) => None,
            Matches::Layers(range) => Some(*range.end()),
        }
    }
}

impl fmt::Display for ModulePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ModulePattern {
    type Err = UnknownPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let matches = named(text).or_else(|| layers(text));
        let matches = matches.ok_or_else(|| UnknownPattern(text.to_owned()))?;
        Ok(Self { text: text.to_owned(), matches })
    }
}

/// The number of a decoder layer; none for other modules.
pub(crate) fn layer_number(module: &str) -> Option<u32> {
    module.strip_prefix(LAYERS)?.strip_prefix('.')?.parse().ok()
}

fn named(text: &str) -> Option<Matches> {
    // Inner names are accepted with and without their parents.
    let inner = ["language_model.model.", "model.language_model.", "language_model.", "language."]
        .iter()
        .find_map(|parent| text.strip_prefix(parent))
        .unwrap_or(text);
    NAMES
        .iter()
        .find(|(name, _)| *name == text || *name == inner)
        .map(|(_, module)| Matches::Prefix(module))
}

fn layers(text: &str) -> Option<Matches> {
    let (stem, numbers) = text.rsplit_once('.')?;
    (named(stem)? == Matches::Prefix(LAYERS)).then_some(())?;
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(Matches::Layers(first..=last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULES: [&str; 7] = [
        "vision_model",
        "mlp1",
        "language_model.model.embed_tokens",
        "language_model.model.layers.2",
        "language_model.model.layers.12",
        "language_model.model.norm",
        "language_model.lm_head",
    ];

    #[track_caller]
    fn check(pattern: &str, expected: &[usize]) {
        let parsed: ModulePattern = pattern.parse().unwrap();
        let matched: Vec<usize> =
            (0..MODULES.len()).filter(|i| parsed.matches(MODULES[*i])).collect();
        assert_eq!(matched, expected, "{pattern}");
        assert_eq!(parsed.to_string(), pattern);
    }

    #[test]
    fn short_and_full_names_are_understood() {
        check("vision", &[0]);
        check("vision_tower", &[0]);
        check("projector", &[1]);
        check("language", &[2, 3, 4, 5, 6]);
        check("language.layers", &[3, 4]);
        check("language.layers.2", &[3]);
        check("layers.0-11", &[3]);
        check("language_model.model.layers.12", &[4]);
        check("lm_head", &[6]);
        check("language.lm_head", &[6]);
        check("language_model.model.norm", &[5]);
    }

    /// What an error or the start-up probe names can be given back as it stands.
    #[test]
    fn the_name_of_a_module_means_that_module_alone() {
        for (index, module) in MODULES.iter().enumerate() {
            check(module, &[index]);
        }
    }

    #[test]
    fn other_names_are_refused() {
        for text in ["", "audio", "language.layers.x", "layers.3-1", "vision.layers.0"] {
            assert_eq!(text.parse::<ModulePattern>(), Err(UnknownPattern(text.to_owned())));
        }
    }
}
