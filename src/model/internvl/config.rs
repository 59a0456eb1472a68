//! `config.json` of both layouts, read into one description. Nothing of any size is assumed.

mod file;

use serde_json::Value;

use crate::checkpoint::{Checkpoint, CheckpointError};
use file::RawConfig;

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
