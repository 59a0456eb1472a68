"""Tensor names of InternVL3 checkpoints.

Three spellings exist on disk. transformers' module names are the common language here:

    module      model.vision_tower...   model.multi_modal_projector...  model.language_model...        lm_head
    published   vision_tower...         multi_modal_projector...        language_model.model...        language_model.lm_head
    original    vision_model...         mlp1...                         language_model.model...        language_model.lm_head

The renaming to `original` is the inverse of transformers' own conversion script, which goes the other way.
"""

import re

import torch

VISION_TO_ORIGINAL = [
    ("model.vision_tower.", "vision_model."),
    ("encoder.layer.", "encoder.layers."),
    ("embeddings.cls_token", "embeddings.class_embedding"),
    ("embeddings.position_embeddings", "embeddings.position_embedding"),
    ("embeddings.patch_embeddings.projection", "embeddings.patch_embedding"),
    ("attention.projection_layer", "attn.proj"),
    ("attention.", "attn."),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    ("lambda_", "ls"),
]
PROJECTOR_TO_ORIGINAL = [
    ("model.multi_modal_projector.layer_norm", "mlp1.0"),
    ("model.multi_modal_projector.linear_1", "mlp1.1"),
    ("model.multi_modal_projector.linear_2", "mlp1.3"),
]
TEXT_TO_ORIGINAL = [
    ("model.language_model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
]
# As in transformers' convert_internvl_weights_to_hf.py, in its order.
VISION_FROM_ORIGINAL = [
    (r"vision_model", r"vision_tower"),
    (r"layers", r"layer"),
    (r"class_embedding", r"cls_token"),
    (r"position_embedding", r"position_embeddings"),
    (r"patch_embedding", r"patch_embeddings.projection"),
    (r"ls(\d+)", r"lambda_\1"),
    (r"attn.proj", r"attention.projection_layer"),
    (r"attn.dropout", r"attention.projection_dropout"),
    (r"attn", r"attention"),
    (r"norm1", r"layernorm_before"),
    (r"norm2", r"layernorm_after"),
]
PROJECTOR_FROM_ORIGINAL = [
    (r"mlp1.0", r"multi_modal_projector.layer_norm"),
    (r"mlp1.1", r"multi_modal_projector.linear_1"),
    (r"mlp1.3", r"multi_modal_projector.linear_2"),
]


def original_name(module_name):
    """The original checkpoint's name of one tensor; q, k and v keep separate names here."""
    if module_name.startswith("model.vision_tower."):
        rules = VISION_TO_ORIGINAL
    elif module_name.startswith("model.multi_modal_projector."):
        rules = PROJECTOR_TO_ORIGINAL
    else:
        rules = TEXT_TO_ORIGINAL
    for old, new in rules:
        module_name = module_name.replace(old, new)
    return module_name


def to_original(state):
    """Module names to the original layout; q, k and v of the vision tower become one qkv, rows q|k|v."""
    out = {}
    for name, tensor in state.items():
        new = original_name(name)
        if ".attn.q_proj." in new:
            parts = [state[name.replace("q_proj", p)] for p in ("q_proj", "k_proj", "v_proj")]
            out[new.replace("q_proj", "qkv")] = torch.cat(parts)
        elif ".attn.k_proj." not in new and ".attn.v_proj." not in new:
            out[new] = tensor
    return out


def to_published(state):
    """Module names to the spelling of the published `-hf` repositories."""
    out = {}
    for name, tensor in state.items():
        name = re.sub(r"^lm_head", "language_model.lm_head", name)
        name = re.sub(r"^model\.language_model", "language_model.model", name)
        out[re.sub(r"^model\.", "", name)] = tensor
    return out


def from_original(state):
    """The original layout to module names, by the rules of the official conversion script."""
    out = {}
    for name, tensor in state.items():
        rules = VISION_FROM_ORIGINAL if name.startswith("vision_model") else PROJECTOR_FROM_ORIGINAL
        new = name
        if not name.startswith("language_model"):
            for pattern, replacement in rules:
                new = re.sub(pattern, replacement, new)
        if "attention.qkv" in new:
            for part, rows in zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3)):
                out[_module_name(new.replace("attention.qkv", f"attention.{part}"))] = rows
        else:
            out[_module_name(new)] = tensor
    return out


def _module_name(published):
    if published.startswith("language_model.lm_head"):
        return published.removeprefix("language_model.")
    if published.startswith("language_model.model"):
        return published.replace("language_model.model", "model.language_model", 1)
    return f"model.{published}"
