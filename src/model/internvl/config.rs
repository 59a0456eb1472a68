//! `config.json` of both layouts, read into one description. Nothing of any size is assumed.

use serde::Deserialize;
use serde_json::Value;

use crate::checkpoint::{Checkpoint, CheckpointError};

/// What can be wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "config.json: architecture {found:?} is not supported: Tessera runs InternVL3 (InternVLChatModel, InternVLForConditionalGeneration) with a Qwen2 language model"
    )]
    Architecture { found: String },
    #[error("config.json: {field} is {value}, but {rule}")]
    Value { field: String, value: String, rule: String },
    /// A field is missing, or of another type.
    #[error("config.json: {field}{message}")]
    Field { field: String, message: String },
}

/// More of any of them than any model has: so that no product of sizes overflows.
const LAYERS_MAX: usize = 1 << 10;
const HEADS_MAX: usize = 1 << 12;
const WIDTH_MAX: usize = 1 << 20;
const VOCAB_MAX: usize = 1 << 24;
const TILE_PX_MAX: usize = 1 << 13;
const POSITIONS_MAX: usize = 1 << 30;

/// Of an image: pages are red, green and blue.
const CHANNELS: usize = 3;

/// Both towers and what joins them.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub vision: VisionConfig,
    pub text: TextConfig,
    /// Side by which pixel shuffle shrinks the patch grid: 0.5 turns 2x2 patches into one token.
    pub downsample_ratio: f64,
    pub projector_eps: f64,
    /// Id of the placeholder for one image token, where the configuration names it.
    pub image_token_id: Option<u32>,
}

/// InternViT.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    pub hidden_size: usize,
    pub layers: usize,
    pub heads: usize,
    pub intermediate_size: usize,
    pub image_size: usize,
    pub patch_size: usize,
    pub channels: usize,
    pub norm: VisionNorm,
    pub eps: f64,
    pub qkv_bias: bool,
    /// RMS norm over whole query and key rows: the 6B tower of the 38B and 78B models.
    pub qk_norm: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VisionNorm {
    Layer,
    Rms,
}

/// Qwen2.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub intermediate_size: usize,
    pub eps: f64,
    pub rope_theta: f64,
    /// Factor of dynamic NTK scaling beyond `positions_max`.
    pub rope_dynamic_factor: Option<f64>,
    pub positions_max: usize,
    /// The output matrix is the embedding, unless the checkpoint stores its own.
    pub tied_embeddings: bool,
}

#[derive(Deserialize)]
struct RawConfig {
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    model_type: String,
    vision_config: RawVision,
    #[serde(alias = "text_config")]
    llm_config: RawText,
    #[serde(default = "half")]
    downsample_ratio: f64,
    ps_version: Option<String>,
    select_layer: Option<i64>,
    #[serde(alias = "image_token_index")]
    image_token_id: Option<u32>,
    tie_word_embeddings: Option<bool>,
    force_image_size: Option<usize>,
}

#[derive(Deserialize)]
struct RawVision {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    image_size: Side,
    patch_size: Side,
    #[serde(default = "three")]
    num_channels: usize,
    #[serde(default)]
    norm_type: Option<String>,
    #[serde(default = "millionth")]
    layer_norm_eps: f64,
    #[serde(alias = "attention_bias", default)]
    qkv_bias: bool,
    #[serde(alias = "use_qk_norm", default)]
    qk_normalization: bool,
    hidden_act: Option<String>,
}

/// A square's side, written as a number or as `[height, width]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Side {
    One(usize),
    Two([usize; 2]),
}

#[derive(Deserialize)]
struct RawText {
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    model_type: Option<String>,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    #[serde(default = "millionth")]
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<Value>,
    rope_parameters: Option<Value>,
    max_position_embeddings: usize,
    hidden_act: Option<String>,
    tie_word_embeddings: Option<bool>,
    #[serde(default)]
    use_sliding_window: bool,
}

fn half() -> f64 {
    0.5
}

fn three() -> usize {
    3
}

fn millionth() -> f64 {
    1e-6
}

impl Config {
    /// Reads and checks `config.json`.
    pub fn load(checkpoint: &Checkpoint) -> Result<Self, ConfigError> {
        // The architecture is checked first: another model's file may lack every field below.
        let value: Value = checkpoint.require_json("config.json")?;
        check_architecture(&value)?;
        let is_hf = value.get("text_config").is_some();
        let raw: RawConfig = serde_path_to_error::deserialize(value).map_err(|error| {
            // "." is the file as a whole.
            let path = Some(error.path().to_string()).filter(|path| path != ".");
            let message = error.inner().to_string().replace("usize", "a whole number");
            ConfigError::Field {
                field: path.map_or_else(String::new, |path| format!("{path}: ")),
                message,
            }
        })?;
        raw.check().map_err(|error| match error {
            // The name that stands in this file.
            ConfigError::Value { field, value, rule } if is_hf => {
                let field = field.replace("llm_config.", "text_config.");
                ConfigError::Value { field, value, rule }
            }
            other => other,
        })
    }

    /// Patches on one side of a tile.
    pub fn patch_grid(&self) -> usize {
        self.vision.image_size / self.vision.patch_size
    }

    /// Patches that become one token, on one side.
    pub fn shuffle_side(&self) -> usize {
        (1.0 / self.downsample_ratio).round() as usize
    }

    /// Language-model tokens of one tile.
    pub fn tokens_per_tile(&self) -> usize {
        (self.patch_grid() / self.shuffle_side()).pow(2)
    }
}

fn check_architecture(config: &Value) -> Result<(), ConfigError> {
    let name = config["architectures"][0]
        .as_str()
        .or_else(|| config["model_type"].as_str())
        .unwrap_or("none given");
    let known =
        ["InternVLChatModel", "InternVLForConditionalGeneration", "internvl_chat", "internvl"];
    if known.contains(&name) {
        Ok(())
    } else {
        Err(ConfigError::Architecture { found: name.to_owned() })
    }
}

fn require(
    ok: bool,
    field: &'static str,
    value: &(impl ToString + ?Sized),
    rule: impl Into<String>,
) -> Result<(), ConfigError> {
    if ok {
        Ok(())
    } else {
        Err(ConfigError::Value {
            field: field.to_owned(),
            value: value.to_string(),
            rule: rule.into(),
        })
    }
}

/// A size that models can have.
fn require_size(field: &'static str, size: usize, max: usize) -> Result<(), ConfigError> {
    require((1..=max).contains(&size), field, &size, format!("it must be from 1 to {max}"))
}

/// The small number that norms add before they divide.
fn require_eps(field: &'static str, eps: f64) -> Result<(), ConfigError> {
    require((0.0..1.0).contains(&eps), field, &eps, "it must be from 0 to 1")
}

impl RawConfig {
    fn check(self) -> Result<Config, ConfigError> {
        let hf = self.model_type == "internvl"
            || self.architectures.iter().any(|name| name == "InternVLForConditionalGeneration");
        let vision = self.vision_config.check(self.force_image_size)?;
        // The original code forces untied embeddings at every size; the -hf layout says it outside.
        let text =
            self.llm_config.check(if hf { self.tie_word_embeddings } else { Some(false) })?;
        require(
            self.ps_version.as_deref().is_none_or(|version| version == "v2"),
            "ps_version",
            &self.ps_version.as_deref().unwrap_or(""),
            "only v2, the order without swapped rows and columns, is known",
        )?;
        require(
            self.select_layer.is_none_or(|layer| layer == -1),
            "select_layer",
            &self.select_layer.unwrap_or(-1),
            "only -1, the last layer, is known",
        )?;
        let config = Config {
            vision,
            text,
            downsample_ratio: self.downsample_ratio,
            // Of torch's LayerNorm, which the projector takes unchanged; not the tower's 1e-6.
            projector_eps: 1e-5,
            image_token_id: self.image_token_id,
        };
        let side = config.shuffle_side();
        let grid = config.patch_grid();
        // One over a whole number, give or take what decimals lose.
        let is_exact = (self.downsample_ratio * side as f64 - 1.0).abs() < 1e-6;
        require(
            is_exact && side >= 1 && grid.is_multiple_of(side),
            "downsample_ratio",
            &self.downsample_ratio,
            format!(
                "it must be one over a number that {grid}, the side of the patch grid, divides by"
            ),
        )?;
        Ok(config)
    }
}

impl RawVision {
    fn check(self, force_image_size: Option<usize>) -> Result<VisionConfig, ConfigError> {
        for (field, size, max) in [
            ("vision_config.hidden_size", self.hidden_size, WIDTH_MAX),
            ("vision_config.num_hidden_layers", self.num_hidden_layers, LAYERS_MAX),
            ("vision_config.num_attention_heads", self.num_attention_heads, HEADS_MAX),
            ("vision_config.intermediate_size", self.intermediate_size, WIDTH_MAX),
        ] {
            require_size(field, size, max)?;
        }
        require_eps("vision_config.layer_norm_eps", self.layer_norm_eps)?;
        require(
            self.num_channels == CHANNELS,
            "vision_config.num_channels",
            &self.num_channels,
            format!("pages have {CHANNELS}"),
        )?;
        let image_size = match force_image_size {
            Some(side) => require_size("force_image_size", side, TILE_PX_MAX).map(|()| side),
            None => self.image_size.square("vision_config.image_size"),
        }?;
        let patch_size = self.patch_size.square("vision_config.patch_size")?;
        require(
            image_size.is_multiple_of(patch_size),
            "vision_config.patch_size",
            &patch_size,
            format!("{image_size} pixels do not divide by it"),
        )?;
        require(
            self.hidden_size.is_multiple_of(self.num_attention_heads),
            "vision_config.num_attention_heads",
            &self.num_attention_heads,
            format!("hidden_size {} does not divide by it", self.hidden_size),
        )?;
        let act = self.hidden_act.as_deref().unwrap_or("gelu");
        require(act == "gelu", "vision_config.hidden_act", act, "only gelu is known")?;
        let norm = match self.norm_type.as_deref().unwrap_or("layer_norm") {
            "layer_norm" => VisionNorm::Layer,
            "rms_norm" => VisionNorm::Rms,
            other => {
                return Err(ConfigError::Value {
                    field: "vision_config.norm_type".to_owned(),
                    value: other.to_owned(),
                    rule: "only layer_norm and rms_norm are known".to_owned(),
                });
            }
        };
        Ok(VisionConfig {
            hidden_size: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            intermediate_size: self.intermediate_size,
            image_size,
            patch_size,
            channels: self.num_channels,
            norm,
            eps: self.layer_norm_eps,
            qkv_bias: self.qkv_bias,
            qk_norm: self.qk_normalization,
        })
    }
}

impl Side {
    fn square(&self, field: &'static str) -> Result<usize, ConfigError> {
        let side = match *self {
            Self::One(side) => side,
            Self::Two([height, width]) if height == width => height,
            Self::Two(sides) => {
                return Err(ConfigError::Value {
                    field: field.to_owned(),
                    value: format!("{sides:?}"),
                    rule: "tiles are square".to_owned(),
                });
            }
        };
        require_size(field, side, TILE_PX_MAX).map(|()| side)
    }
}

impl RawText {
    fn check(self, tied_outside: Option<bool>) -> Result<TextConfig, ConfigError> {
        let architecture = self
            .architectures
            .as_deref()
            .and_then(<[String]>::first)
            .or(self.model_type.as_ref())
            .map_or("qwen2", String::as_str);
        if !matches!(architecture, "Qwen2ForCausalLM" | "Qwen2Model" | "qwen2") {
            return Err(ConfigError::Architecture { found: architecture.to_owned() });
        }
        for (field, size, max) in [
            ("llm_config.vocab_size", self.vocab_size, VOCAB_MAX),
            ("llm_config.hidden_size", self.hidden_size, WIDTH_MAX),
            ("llm_config.num_hidden_layers", self.num_hidden_layers, LAYERS_MAX),
            ("llm_config.num_attention_heads", self.num_attention_heads, HEADS_MAX),
            ("llm_config.intermediate_size", self.intermediate_size, WIDTH_MAX),
            ("llm_config.max_position_embeddings", self.max_position_embeddings, POSITIONS_MAX),
        ] {
            require_size(field, size, max)?;
        }
        require_eps("llm_config.rms_norm_eps", self.rms_norm_eps)?;
        let kv_heads = self.num_key_value_heads.unwrap_or(self.num_attention_heads);
        require(
            kv_heads > 0 && self.num_attention_heads.is_multiple_of(kv_heads),
            "llm_config.num_key_value_heads",
            &kv_heads,
            format!("{} heads do not divide by it", self.num_attention_heads),
        )?;
        require(
            self.head_dim.is_some() || self.hidden_size.is_multiple_of(self.num_attention_heads),
            "llm_config.num_attention_heads",
            &self.num_attention_heads,
            format!("hidden_size {} does not divide by it", self.hidden_size),
        )?;
        let head_dim = self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads);
        require(
            (2..=HEADS_MAX).contains(&head_dim) && head_dim.is_multiple_of(2),
            "llm_config.head_dim",
            &head_dim,
            format!("rotary embedding needs an even one, from 2 to {HEADS_MAX}"),
        )?;
        let act = self.hidden_act.as_deref().unwrap_or("silu");
        require(act == "silu", "llm_config.hidden_act", act, "only silu is known")?;
        require(
            !self.use_sliding_window,
            "llm_config.use_sliding_window",
            &self.use_sliding_window,
            "sliding windows are not built in",
        )?;
        let rope = self.rope()?;
        Ok(TextConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            kv_heads,
            head_dim,
            intermediate_size: self.intermediate_size,
            eps: self.rms_norm_eps,
            rope_theta: rope.theta,
            rope_dynamic_factor: rope.dynamic_factor,
            positions_max: self.max_position_embeddings,
            tied_embeddings: tied_outside.or(self.tie_word_embeddings).unwrap_or(false),
        })
    }

    /// The rotary settings, in the old spelling (`rope_theta`, `rope_scaling`) or the new
    /// (`rope_parameters`).
    fn rope(&self) -> Result<Rope, ConfigError> {
        let null = Value::Null;
        let scaling = self.rope_parameters.as_ref().or(self.rope_scaling.as_ref()).unwrap_or(&null);
        let theta = scaling["rope_theta"].as_f64().or(self.rope_theta).unwrap_or(10_000.0);
        require(
            theta.is_finite() && theta > 0.0,
            "llm_config.rope_theta",
            &theta,
            "rotary embedding needs a positive one",
        )?;
        let kind = scaling["rope_type"].as_str().or(scaling["type"].as_str()).unwrap_or("default");
        match kind {
            "default" => Ok(Rope { theta, dynamic_factor: None }),
            "dynamic" => {
                let factor = scaling["factor"].as_f64();
                require(
                    factor.is_some_and(|factor| factor >= 1.0),
                    "llm_config.rope_scaling.factor",
                    &&scaling["factor"],
                    "dynamic scaling needs one of at least 1",
                )?;
                Ok(Rope { theta, dynamic_factor: factor })
            }
            other => Err(ConfigError::Value {
                field: "llm_config.rope_scaling.rope_type".to_owned(),
                value: other.to_owned(),
                rule: "only default and dynamic are known".to_owned(),
            }),
        }
    }
}

struct Rope {
    theta: f64,
    dynamic_factor: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_checkpoint_is_described() {
        let config = Config::load(&Checkpoint::Embedded).unwrap();
        assert_eq!(config.tokens_per_tile(), 256);
        assert_eq!(config.vision.image_size, 448);
        assert!(config.text.tied_embeddings);
    }

    /// The embedded configuration with one value changed, by its path.
    fn changed(path: &str, value: Value) -> String {
        let mut config: Value = Checkpoint::Embedded.require_json("config.json").unwrap();
        *config.pointer_mut(path).unwrap_or_else(|| panic!("no {path}")) = value;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        Config::load(&Checkpoint::Dir(dir.path().to_owned())).unwrap_err().to_string()
    }

    /// Whatever a file says: an error that names the field, and no division by zero or overflow later.
    #[test]
    fn sizes_that_no_model_has_are_refused_by_name() {
        let huge = || Value::from(1_u64 << 62);
        for (section, fields) in [
            (
                "text_config",
                &[
                    "vocab_size",
                    "hidden_size",
                    "num_hidden_layers",
                    "num_attention_heads",
                    "intermediate_size",
                    "max_position_embeddings",
                ][..],
            ),
            (
                "vision_config",
                &["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"],
            ),
        ] {
            for field in fields {
                for value in [Value::from(0), huge()] {
                    let error = changed(&format!("/{section}/{field}"), value);
                    let field = format!("{section}.{field} is");
                    assert!(error.contains(&field) && error.contains("from 1 to"), "{error}");
                }
            }
        }
        for (path, value, parts) in [
            ("/vision_config/image_size", huge(), ["image_size", "from 1 to"]),
            ("/vision_config/patch_size", Value::from(0), ["patch_size", "from 1 to"]),
            ("/text_config/hidden_size", Value::from(257), ["num_attention_heads", "257"]),
            ("/text_config/rms_norm_eps", Value::from(-1), ["rms_norm_eps", "from 0 to 1"]),
            ("/downsample_ratio", Value::from(2.0), ["downsample_ratio", "one over"]),
            ("/downsample_ratio", Value::from(0.55), ["downsample_ratio", "one over"]),
            (
                "/text_config/hidden_size",
                Value::from("256"),
                ["text_config.hidden_size: ", "a whole number"],
            ),
            (
                "/vision_config/num_hidden_layers",
                Value::from(-1),
                ["vision_config.num_hidden_layers: ", "-1"],
            ),
            ("/vision_config", Value::Null, ["vision_config: ", "null"]),
        ] {
            let error = changed(path, value);
            assert!(parts.iter().all(|part| error.contains(part)), "{path}: {error}");
        }
    }

    #[test]
    fn another_architecture_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("config.json"),
            r#"{"architectures": ["LlamaForCausalLM"]}"#,
        )
        .unwrap();
        let error = Config::load(&Checkpoint::Dir(dir.path().to_owned())).unwrap_err();
        assert!(error.to_string().contains("LlamaForCausalLM"), "{error}");
    }
}
