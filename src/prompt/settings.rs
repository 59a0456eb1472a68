//! What a checkpoint's files and the operator ask of the prompt.
//!
//! The optional `tessera.json` beside the weights says how the checkpoint was trained, where that
//! is not how the original `chat()` prompts:
//! `{"prompt": {"style": "hf_template", "system_message": "…"}}`.

use serde::Deserialize;
use serde_json::Value;

use super::PromptError;
use super::chat::DEFAULT_SYSTEM_MESSAGE;
use crate::checkpoint::Checkpoint;

/// What the operator asks of the prompt; it wins over the checkpoint's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptOptions {
    pub style: Option<PromptStyle>,
    /// Replaces the system message; an empty one is still rendered, as an empty system turn.
    pub system_message: Option<String>,
    /// Image feature rows of one tile, as the model computes it from its configuration.
    pub tokens_per_tile: usize,
}

/// How a question and its pages become a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptStyle {
    /// What the original `chat()` sends: template `internvl2_5`, always with a system turn.
    Chat,
    /// The checkpoint's own chat template; a system turn only where a system message is set.
    HfTemplate,
}

/// The outcome of options over files over defaults.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) style: PromptStyle,
    pub(super) chat_system_message: String,
    pub(super) template_system_message: Option<String>,
    pub(super) image_token_id: Option<u32>,
    pub(super) eos_ids: Vec<u32>,
}

#[derive(Debug, Default, Deserialize)]
struct TesseraFile {
    #[serde(default)]
    prompt: PromptSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptSection {
    style: Option<PromptStyle>,
    system_message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ConfigFile {
    image_token_id: Option<u32>,
    /// A text, null, or something that older configurations left there.
    #[serde(default)]
    system_message: Value,
}

#[derive(Debug, Default, Deserialize)]
struct GenerationFile {
    eos_token_id: Option<OneOrMore>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(u32),
    More(Vec<u32>),
}

// === impl PromptOptions ===

impl Default for PromptOptions {
    /// The checkpoint's own style and message, and the 256 tokens a tile of every InternVL3.
    fn default() -> Self {
        Self { style: None, system_message: None, tokens_per_tile: 256 }
    }
}

// === impl Settings ===

impl Settings {
    pub(super) fn read(
        checkpoint: &Checkpoint,
        options: &PromptOptions,
    ) -> Result<Self, PromptError> {
        let tessera: TesseraFile = checkpoint.json("tessera.json")?.unwrap_or_default();
        let config: ConfigFile = checkpoint.json("config.json")?.unwrap_or_default();
        let generation: GenerationFile =
            checkpoint.json("generation_config.json")?.unwrap_or_default();
        let asked = options.system_message.clone().or(tessera.prompt.system_message);
        // The original code takes its built-in message where the configuration has none or null.
        let of_config = config.system_message.as_str().unwrap_or(DEFAULT_SYSTEM_MESSAGE);
        Ok(Self {
            style: options.style.or(tessera.prompt.style).unwrap_or(PromptStyle::Chat),
            chat_system_message: asked.clone().unwrap_or_else(|| of_config.to_owned()),
            template_system_message: asked,
            image_token_id: config.image_token_id,
            eos_ids: match generation.eos_token_id {
                None => Vec::new(),
                Some(OneOrMore::One(id)) => vec![id],
                Some(OneOrMore::More(ids)) => ids,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(files: &[(&str, &str)], options: &PromptOptions) -> Result<Settings, PromptError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        Settings::read(&Checkpoint::Dir(dir.path().to_owned()), options)
    }

    #[test]
    fn no_file_means_the_original_chat() {
        let settings = settings(&[], &PromptOptions::default()).unwrap();
        assert_eq!(settings.style, PromptStyle::Chat);
        assert_eq!(settings.chat_system_message, DEFAULT_SYSTEM_MESSAGE);
        assert_eq!(settings.template_system_message, None);
        assert!(settings.eos_ids.is_empty());
    }

    #[test]
    fn system_message_options_over_tessera_over_config_over_default() {
        let config = ("config.json", r#"{"system_message": "config"}"#);
        let tessera = ("tessera.json", r#"{"prompt": {"system_message": "tessera"}}"#);
        let options =
            PromptOptions { system_message: Some(String::new()), ..PromptOptions::default() };
        let chat = |files: &[(&str, &str)], options: &PromptOptions| {
            settings(files, options).unwrap().chat_system_message
        };
        assert_eq!(chat(&[config], &PromptOptions::default()), "config");
        assert_eq!(chat(&[config, tessera], &PromptOptions::default()), "tessera");
        assert_eq!(chat(&[config, tessera], &options), "");
        let null = ("config.json", r#"{"system_message": null}"#);
        assert_eq!(chat(&[null], &PromptOptions::default()), DEFAULT_SYSTEM_MESSAGE);
    }

    #[test]
    fn the_configuration_message_is_not_for_templates() {
        let config = ("config.json", r#"{"system_message": "config"}"#);
        let settings = settings(&[config], &PromptOptions::default()).unwrap();
        assert_eq!(settings.template_system_message, None);
    }

    #[test]
    fn style_options_over_tessera() {
        let tessera = ("tessera.json", r#"{"prompt": {"style": "hf_template"}, "other": 1}"#);
        let style = |options: &PromptOptions| settings(&[tessera], options).unwrap().style;
        assert_eq!(style(&PromptOptions::default()), PromptStyle::HfTemplate);
        let chat = PromptOptions { style: Some(PromptStyle::Chat), ..PromptOptions::default() };
        assert_eq!(style(&chat), PromptStyle::Chat);
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_the_file() {
        let tessera = ("tessera.json", r#"{"prompt": {"sytle": "chat"}}"#);
        let error = settings(&[tessera], &PromptOptions::default()).unwrap_err().to_string();
        assert!(error.contains("tessera.json") && error.contains("sytle"), "{error}");
    }

    #[test]
    fn eos_is_one_or_a_list_or_null() {
        for (text, expected) in [("7", vec![7]), ("[7, 9]", vec![7, 9]), ("null", vec![])] {
            let file = format!(r#"{{"eos_token_id": {text}}}"#);
            let read = settings(&[("generation_config.json", &file)], &PromptOptions::default());
            assert_eq!(read.unwrap().eos_ids, expected);
        }
    }
}
