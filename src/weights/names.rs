//! Tensor names of the three published layouts, translated to the original one.
//!
//! | layout | vision | projector | language model |
//! |---|---|---|---|
//! | original (custom code) | `vision_model.` | `mlp1.` | `language_model.model.`, `language_model.lm_head.` |
//! | `-hf`, as published | `vision_tower.` | `multi_modal_projector.` | as above |
//! | `-hf`, module names | `model.vision_tower.` | `model.multi_modal_projector.` | `model.language_model.`, `lm_head.` |
//!
//! The `-hf` layouts cut the vision tower's `attn.qkv` into `q_proj`, `k_proj`, `v_proj`; those keep
//! their own names here (`attn.q_proj`), since no one-to-one translation exists.

/// The original layout's name of `key`, or none for keys that are no part of an InternVL model.
pub(super) fn original_name(key: &str) -> Option<String> {
    let inner = key.strip_prefix("model.").unwrap_or(key);
    if key.starts_with("vision_model.") || key.starts_with("mlp1.") {
        return Some(key.to_owned());
    }
    if let Some(rest) = inner.strip_prefix("vision_tower.") {
        return Some(format!("vision_model.{}", vision_name(rest)));
    }
    if let Some(rest) = inner.strip_prefix("multi_modal_projector.") {
        return projector_name(rest).map(|name| format!("mlp1.{name}"));
    }
    if let Some(rest) = key.strip_prefix("lm_head.") {
        return Some(format!("language_model.lm_head.{rest}"));
    }
    if let Some(rest) = key.strip_prefix("model.language_model.") {
        return Some(format!("language_model.model.{rest}"));
    }
    key.starts_with("language_model.").then(|| key.to_owned())
}

fn vision_name(rest: &str) -> String {
    let replacements = [
        ("encoder.layer.", "encoder.layers."),
        ("embeddings.cls_token", "embeddings.class_embedding"),
        ("embeddings.position_embeddings", "embeddings.position_embedding"),
        ("embeddings.patch_embeddings.projection", "embeddings.patch_embedding"),
        ("attention.projection_layer", "attn.proj"),
        ("attention.", "attn."),
        ("layernorm_before", "norm1"),
        ("layernorm_after", "norm2"),
        ("lambda_1", "ls1"),
        ("lambda_2", "ls2"),
    ];
    replacements.iter().fold(rest.to_owned(), |name, (from, to)| name.replace(from, to))
}

fn projector_name(rest: &str) -> Option<String> {
    let (module, parameter) = rest.split_once('.')?;
    let index = match module {
        "layer_norm" => 0,
        "linear_1" => 1,
        "linear_2" => 3,
        _ => return None,
    };
    Some(format!("{index}.{parameter}"))
}

#[cfg(test)]
mod tests {
    use super::original_name;

    #[track_caller]
    fn check(key: &str, expected: &str) {
        assert_eq!(original_name(key).as_deref(), Some(expected));
    }

    #[test]
    fn the_three_layouts_agree() {
        for prefix in ["", "model."] {
            let key = |rest: &str| format!("{prefix}{rest}");
            check(
                &key("vision_tower.embeddings.cls_token"),
                "vision_model.embeddings.class_embedding",
            );
            check(
                &key("vision_tower.embeddings.patch_embeddings.projection.weight"),
                "vision_model.embeddings.patch_embedding.weight",
            );
            check(
                &key("vision_tower.encoder.layer.3.attention.projection_layer.bias"),
                "vision_model.encoder.layers.3.attn.proj.bias",
            );
            check(
                &key("vision_tower.encoder.layer.3.attention.q_norm.weight"),
                "vision_model.encoder.layers.3.attn.q_norm.weight",
            );
            check(
                &key("vision_tower.encoder.layer.11.lambda_2"),
                "vision_model.encoder.layers.11.ls2",
            );
            check(
                &key("vision_tower.encoder.layer.0.layernorm_before.weight"),
                "vision_model.encoder.layers.0.norm1.weight",
            );
            check(&key("multi_modal_projector.linear_2.weight"), "mlp1.3.weight");
        }
        check(
            "model.language_model.layers.0.mlp.up_proj.weight",
            "language_model.model.layers.0.mlp.up_proj.weight",
        );
        check("language_model.model.norm.weight", "language_model.model.norm.weight");
        check("lm_head.weight", "language_model.lm_head.weight");
        check("language_model.lm_head.weight", "language_model.lm_head.weight");
        check("mlp1.0.bias", "mlp1.0.bias");
        assert_eq!(original_name("audio_tower.conv.weight"), None);
    }
}
