//! The strategies by name, and explicit maps from module names to devices.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize as _;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::cost::{ModelCost, ModuleKind};
use super::fleet::device_id;
use super::pattern::{LAYERS, layer_number};

/// How modules are spread over devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceMap {
    /// One device if the model fits there, else the fewest that it fits on, in contiguous stages.
    #[default]
    Auto,
    /// accelerate's `balanced`, which it also calls `auto`.
    Balanced,
    /// accelerate's `balanced_low_0`: as little as possible on the first GPU.
    BalancedLow0,
    /// accelerate's `sequential`: each device is filled before the next.
    Sequential,
    /// The split of the model's authors: the first GPU counts as half.
    InternVl,
    /// Everything on the device of this id.
    Single(String),
    /// Device ids by module name, of either published layout.
    Explicit(BTreeMap<String, String>),
}

/// What is wrong with a device map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    #[error(
        "{0:?} is no device map: give auto, balanced, balanced_low_0, sequential, internvl, cuda:N, cpu, or a JSON file"
    )]
    Unknown(String),
    #[error("the device map is no JSON object of module names and devices: {0}")]
    Json(String),
    #[error("the device map has {0:?} twice: name each module once")]
    Twice(String),
    #[error("the device map puts {module:?} on {value}: give a number, \"cuda:N\" or \"cpu\"")]
    Device { module: String, value: String },
    #[error("the device map has {key:?}, which is no module of this model: {hint}")]
    UnknownModule { key: String, hint: String },
    #[error("the device map has {key:?}, but {module} is placed as a whole: give {module}")]
    TooFine { key: String, module: String },
    #[error("{module} is in the device map as {first:?} and as {second:?}: leave one of them out")]
    Overlap { module: String, first: String, second: String },
    #[error("the device map does not say where {} {} put: add {}", with_runs(.0), if .0.len() == 1 { "is" } else { "are" }, if .0.len() == 1 { "it" } else { "them" })]
    Missing(Vec<String>),
}

const NAMES: &str = "use vision_model, mlp1, language_model.model.embed_tokens, \
language_model.model.layers.N, language_model.model.norm, language_model.lm_head, a prefix of them, \
or their names in the -hf layout";

/// Names more like each other than this are typing errors.
const LIKENESS_MIN: f64 = 0.75;

/// Prefixes of the `-hf` layouts and what they are in the original one. The first that fits counts.
const LAYOUTS: [(&str, &str); 6] = [
    ("model.vision_tower", "vision_model"),
    ("vision_tower", "vision_model"),
    ("model.multi_modal_projector", "mlp1"),
    ("multi_modal_projector", "mlp1"),
    ("model.language_model", "language_model.model"),
    ("lm_head", "language_model.lm_head"),
];

/// Has no weights, so it goes wherever it is needed; published maps name it.
const ROTARY: &str = "language_model.model.rotary_emb";

impl FromStr for DeviceMap {
    type Err = MapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        Ok(match text {
            "auto" => Self::Auto,
            "balanced" => Self::Balanced,
            "balanced_low_0" => Self::BalancedLow0,
            "sequential" => Self::Sequential,
            "internvl" => Self::InternVl,
            _ => {
                let id = device_id(text);
                if !is_device(&id) {
                    return Err(MapError::Unknown(text.to_owned()));
                }
                Self::Single(id)
            }
        })
    }
}

impl fmt::Display for DeviceMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Balanced => "balanced",
            Self::BalancedLow0 => "balanced_low_0",
            Self::Sequential => "sequential",
            Self::InternVl => "internvl",
            Self::Single(id) => id,
            Self::Explicit(_) => "explicit",
        })
    }
}

impl DeviceMap {
    /// An explicit map: `{"vision_model": 0, "language_model": "cuda:1", …}`. `{"": 0}` is everything.
    pub fn from_json(text: &str) -> Result<Self, MapError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let entries = Entries::deserialize(&mut deserializer)
            .and_then(|entries| deserializer.end().map(|()| entries.0))
            .map_err(|error| MapError::Json(error.to_string()))?;
        let mut map = BTreeMap::new();
        for (module, value) in entries {
            let id = match &value {
                Value::Number(number) => number.as_u64().map(|number| format!("cuda:{number}")),
                Value::String(id) => Some(id.clone()).filter(|id| is_device(id)),
                _ => None,
            };
            let id = id.ok_or_else(|| MapError::Device {
                module: module.clone(),
                value: value.to_string(),
            })?;
            if map.insert(module.clone(), id).is_some() {
                return Err(MapError::Twice(module));
            }
        }
        Ok(Self::Explicit(map))
    }
}

/// Members of a JSON object in order, a key that comes twice included.
struct Entries(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// `cpu`, `cpu:1`, `cuda:1`.
fn is_device(id: &str) -> bool {
    let numbered = |prefix: &str| {
        let number = id.strip_prefix(prefix);
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    id == "cpu" || numbered("cpu:") || numbered("cuda:")
}

/// The device id of each module of `cost`, in its order.
pub(super) fn resolve<'a>(
    map: &'a BTreeMap<String, String>,
    cost: &ModelCost,
) -> Result<Vec<&'a str>, MapError> {
    let mut owners: Vec<Option<(&str, &str)>> = vec![None; cost.modules.len()];
    for (key, id) in map {
        for index in meant(key, cost)? {
            if let Some((first, _)) = owners[index] {
                return Err(MapError::Overlap {
                    module: cost.modules[index].name.clone(),
                    first: first.to_owned(),
                    second: key.clone(),
                });
            }
            owners[index] = Some((key, id));
        }
    }
    let missing: Vec<String> = cost
        .modules
        .iter()
        .zip(&owners)
        .filter(|(_, owner)| owner.is_none())
        .map(|(module, _)| module.name.clone())
        .collect();
    if missing.is_empty() {
        Ok(owners.into_iter().flatten().map(|(_, id)| id).collect())
    } else {
        Err(MapError::Missing(missing))
    }
}

/// Indices of the modules that `key` names.
fn meant(key: &str, cost: &ModelCost) -> Result<Vec<usize>, MapError> {
    let name = original_name(key);
    if name == ROTARY {
        return Ok(Vec::new());
    }
    // In the `-hf` layout everything but the head.
    if key == "model" {
        let inner = |index: &usize| cost.modules[*index].kind != ModuleKind::Head;
        return Ok((0..cost.modules.len()).filter(inner).collect());
    }
    let found: Vec<usize> =
        (0..cost.modules.len()).filter(|index| is_in(&cost.modules[*index].name, &name)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    match cost.modules.iter().find(|module| is_in(&name, &module.name)) {
        Some(module) => Err(MapError::TooFine { key: key.to_owned(), module: module.name.clone() }),
        None => Err(MapError::UnknownModule { key: key.to_owned(), hint: hint(&name, cost) }),
    }
}

/// What may have been meant by `name`, in the original layout's names.
fn hint(name: &str, cost: &ModelCost) -> String {
    if layer_number(name).is_some() {
        return format!("it has {} layers, from 0 on", cost.layers());
    }
    let prefixes = ["language_model", "language_model.model", LAYERS];
    let modules = cost.modules.iter().map(|module| module.name.as_str());
    let like = |known: &str| strsim::normalized_levenshtein(known, name);
    let nearest = prefixes.into_iter().chain(modules).max_by(|a, b| like(a).total_cmp(&like(b)));
    match nearest.filter(|known| like(known) >= LIKENESS_MIN) {
        Some(known) => format!("did you mean {known}?"),
        None => NAMES.to_owned(),
    }
}

/// Names with commas between, layers that follow each other as the first and the last of them.
fn with_runs(names: &[String]) -> String {
    let follows = |a: &String, b: &String| {
        let (a, b) = (layer_number(a), layer_number(b));
        a.zip(b).is_some_and(|(a, b)| a + 1 == b)
    };
    let runs = names.chunk_by(follows).map(|run| match run {
        [first, _, .., last] => format!("{first} to {last}"),
        few => few.join(", "),
    });
    runs.collect::<Vec<_>>().join(", ")
}

/// Whether `module` is `prefix` or inside it; everything is inside the empty name.
fn is_in(module: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || module.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The original layout's name of `key`.
fn original_name(key: &str) -> String {
    let prefix = LAYOUTS.iter().find(|(theirs, _)| is_in(key, theirs));
    prefix
        .map_or_else(|| key.to_owned(), |(theirs, ours)| format!("{ours}{}", &key[theirs.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::tests::tiny_cost;

    /// Devices of vision, projector, embedding, layer 0, layer 1, norm, head.
    fn resolved(json: &str) -> Result<Vec<String>, MapError> {
        let DeviceMap::Explicit(map) = DeviceMap::from_json(json)? else { panic!("not explicit") };
        Ok(resolve(&map, &tiny_cost(2))?.into_iter().map(str::to_owned).collect())
    }

    #[track_caller]
    fn check(json: &str, expected: [u32; 7]) {
        let expected: Vec<String> = expected.iter().map(|n| format!("cuda:{n}")).collect();
        assert_eq!(resolved(json), Ok(expected), "{json}");
    }

    #[track_caller]
    fn refuse(json: &str, texts: &[&str]) {
        let error = resolved(json).unwrap_err().to_string();
        assert!(texts.iter().all(|text| error.contains(text)), "{error}");
    }

    #[test]
    fn names_of_every_layout_are_understood() {
        check(r#"{"": 1}"#, [1; 7]);
        check(
            r#"{"vision_model": 0, "mlp1": 1, "language_model.model": "cuda:2", "language_model.lm_head": 3}"#,
            [0, 1, 2, 2, 2, 2, 3],
        );
        check(
            r#"{"vision_tower": 0, "multi_modal_projector": 1, "language_model": 2}"#,
            [0, 1, 2, 2, 2, 2, 2],
        );
        check(
            r#"{"model.vision_tower": 0, "model.multi_modal_projector": 0,
                "model.language_model.embed_tokens": 0, "model.language_model.layers.0": 1,
                "model.language_model.layers.1": 2, "model.language_model.norm": 2,
                "model.language_model.rotary_emb": 2, "lm_head": 3}"#,
            [0, 0, 0, 1, 2, 2, 3],
        );
        check(r#"{"model": 0, "lm_head": 1}"#, [0, 0, 0, 0, 0, 0, 1]);
        check(
            r#"{"vision_model": 0, "mlp1": 0, "language_model.model.embed_tokens": 0,
                "language_model.model.layers": 1, "language_model.model.norm": 0,
                "language_model.lm_head": 0}"#,
            [0, 0, 0, 1, 1, 0, 0],
        );
    }

    #[test]
    fn every_module_is_covered_exactly_once() {
        refuse(
            r#"{"vision_model": 0, "mlp1": 0}"#,
            &["language_model.model.embed_tokens", "layers.1", "lm_head", "add them"],
        );
        refuse(r#"{"": 0, "mlp1": 0}"#, &["mlp1", "\"\""]);
        refuse(
            r#"{"language_model": 0, "lm_head": 1, "vision_model": 0, "mlp1": 0}"#,
            &["language_model.lm_head is in the device map as", "\"lm_head\""],
        );
        refuse(r#"{"": 0, "language_model.model.layers.2": 0}"#, &["layers.2", "no module"]);
        refuse(r#"{"": 0, "language_model.model.layers.2": 0}"#, &["has 2 layers, from 0 on"]);
        refuse(r#"{"": 0, "audio": 0}"#, &["\"audio\"", "use vision_model"]);
        refuse(r#"{"language_modle": 0}"#, &["did you mean language_model?"]);
        refuse(
            r#"{"model.language_model.layrs": 0}"#,
            &["did you mean language_model.model.layers?"],
        );
        refuse(r#"{"mlp1.1": 0}"#, &["mlp1 is placed as a whole"]);
        refuse(r#"{"mlp1": 0, "mlp1": 1}"#, &["\"mlp1\" twice"]);
    }

    #[test]
    fn what_is_missing_is_told_in_short() {
        let cost = tiny_cost(28);
        let DeviceMap::Explicit(map) = DeviceMap::from_json(r#"{"vision_model": 0}"#).unwrap()
        else {
            panic!("not explicit")
        };
        let expected = "the device map does not say where mlp1, language_model.model.embed_tokens, \
                        language_model.model.layers.0 to language_model.model.layers.27, \
                        language_model.model.norm, language_model.lm_head are put: add them";
        assert_eq!(resolve(&map, &cost).unwrap_err().to_string(), expected);
    }

    #[test]
    fn devices_are_numbers_or_ids() {
        for value in ["-1", "1.5", "true", "\"disk\"", "\"cuda\"", "null", "\"cuda:\""] {
            refuse(&format!(r#"{{"": {value}}}"#), &["\"cuda:N\""]);
        }
        refuse("[1]", &["no JSON object"]);
        refuse("{} {}", &["no JSON object"]);
    }

    #[test]
    fn strategies_have_names() {
        let names =
            ["auto", "balanced", "balanced_low_0", "sequential", "internvl", "cpu", "cuda:3"];
        for name in names {
            assert_eq!(name.parse::<DeviceMap>().unwrap().to_string(), name);
        }
        assert_eq!("3".parse(), Ok(DeviceMap::Single("cuda:3".to_owned())));
        let unknown = "balance".parse::<DeviceMap>().unwrap_err().to_string();
        assert!(unknown.contains("balanced_low_0") && unknown.contains("JSON"), "{unknown}");
    }
}
