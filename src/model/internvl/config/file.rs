//! `config.json` as it is written, in both layouts, and the checks that make a description of it.

use serde::Deserialize;
use serde_json::Value;

use super::{Config, ConfigError, TextConfig, VisionConfig, VisionNorm};

/// More of any of them than any model has: so that no product of sizes overflows.
const LAYERS_MAX: usize = 1 << 10;
const HEADS_MAX: usize = 1 << 12;
const WIDTH_MAX: usize = 1 << 20;
const VOCAB_MAX: usize = 1 << 24;
const TILE_PX_MAX: usize = 1 << 13;
const POSITIONS_MAX: usize = 1 << 30;

/// Of an image: pages are red, green and blue.
const CHANNELS: usize = 3;

#[derive(Deserialize)]
pub(super) struct RawConfig {
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
    pub(super) fn check(self) -> Result<Config, ConfigError> {
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
