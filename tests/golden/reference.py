"""InternVL3 written a second time, in f64, from the original code's rules and the original tensor names.

Nothing here comes from transformers: it is the independent witness that make_goldens.py holds transformers against.
Where the order of operations matters in low precision (q is scaled before the product), the original's order is kept.
"""

import math

import torch
import torch.nn.functional as F


def run(config, state, pixel_values, tokens, image_token, steps):
    """Every golden site of one prompt, and `steps` greedy tokens, with the `internvl_chat` config."""
    state = {name: tensor.double() for name, tensor in state.items()}
    text = config["llm_config"]
    sites = {}
    embeds = F.embedding(tokens, state["language_model.model.embed_tokens.weight"])
    if pixel_values is not None:
        sites["vision"] = vision_tower(config["vision_config"], state, pixel_values.double())
        sites["projector"] = projector(config, state, sites["vision"])
        embeds[tokens == image_token] = sites["projector"]

    cache = [None] * text["num_hidden_layers"]
    hidden, logits = decoder(text, state, embeds, cache)
    sites |= {f"hidden.{i}": h for i, h in enumerate(hidden)}
    sites["logits"] = logits
    greedy = [int(logits.argmax())]
    while len(greedy) < steps:
        embeds = F.embedding(torch.tensor(greedy[-1:]), state["language_model.model.embed_tokens.weight"])
        _, logits = decoder(text, state, embeds, cache)
        greedy.append(int(logits.argmax()))
    return sites, greedy


# === vision ===


def vision_tower(config, state, pixels):
    weights = Scope(state, "vision_model.embeddings.")
    x = F.conv2d(pixels, weights["patch_embedding.weight"], weights["patch_embedding.bias"], stride=config["patch_size"])
    x = x.flatten(2).transpose(1, 2)  # [tiles, patches, C], row-major
    x = torch.cat([weights["class_embedding"].expand(len(x), 1, -1), x], 1) + weights["position_embedding"]
    for i in range(config["num_hidden_layers"]):
        weights = Scope(state, f"vision_model.encoder.layers.{i}.")
        x = x + vision_attention(config, weights, vision_norm(config, weights, "norm1", x)) * weights["ls1"]
        y = F.linear(vision_norm(config, weights, "norm2", x), weights["mlp.fc1.weight"], weights["mlp.fc1.bias"])
        x = x + F.linear(F.gelu(y), weights["mlp.fc2.weight"], weights["mlp.fc2.bias"]) * weights["ls2"]
    return x


def vision_norm(config, weights, name, x):
    eps = config["layer_norm_eps"]
    if config["norm_type"] == "rms_norm":
        return rms_norm(x, weights[f"{name}.weight"], eps)
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def vision_attention(config, weights, x):
    tiles, length, width = x.shape
    heads = config["num_attention_heads"]
    bias = weights["attn.qkv.bias"] if config["qkv_bias"] else None
    q, k, v = F.linear(x, weights["attn.qkv.weight"], bias).view(tiles, length, 3, width).unbind(2)
    if config["qk_normalization"]:  # over all heads together, before they are split
        q = rms_norm(q, weights["attn.q_norm.weight"], config["layer_norm_eps"])
        k = rms_norm(k, weights["attn.k_norm.weight"], config["layer_norm_eps"])
    q, k, v = (t.view(tiles, length, heads, -1).transpose(1, 2) for t in (q, k, v))
    scores = (q * (width // heads) ** -0.5) @ k.transpose(-1, -2)
    x = (scores.softmax(-1) @ v).transpose(1, 2).reshape(tiles, length, width)
    return F.linear(x, weights["attn.proj.weight"], weights["attn.proj.bias"])


def projector(config, state, vision):
    tiles, positions, width = vision.shape
    side = math.isqrt(positions - 1)
    x = vision[:, 1:].reshape(tiles, side // 2, 2, side // 2, 2, width)  # [tile, row, dr, col, dc, C]
    x = x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4 * width)  # channel = (2 dr + dc) C + c
    weights = Scope(state, "mlp1.")
    x = F.layer_norm(x, x.shape[-1:], weights["0.weight"], weights["0.bias"], 1e-5)
    x = F.gelu(F.linear(x, weights["1.weight"], weights["1.bias"]))
    return F.linear(x, weights["3.weight"], weights["3.bias"])


# === language model ===


def decoder(config, state, x, cache):
    """Runs the new positions `x` [new, H]; returns the hidden states of each layer and the last logits."""
    past = 0 if cache[0] is None else cache[0][0].shape[1]
    rope = rope_tables(config, past, past + len(x))
    hidden = [x]
    for i in range(config["num_hidden_layers"]):
        weights = Scope(state, f"language_model.model.layers.{i}.")
        y = rms_norm(x, weights["input_layernorm.weight"], config["rms_norm_eps"])
        attended, cache[i] = attention(config, weights, y, rope, cache[i])
        x = x + attended
        y = rms_norm(x, weights["post_attention_layernorm.weight"], config["rms_norm_eps"])
        y = F.silu(F.linear(y, weights["mlp.gate_proj.weight"])) * F.linear(y, weights["mlp.up_proj.weight"])
        x = x + F.linear(y, weights["mlp.down_proj.weight"])
        hidden.append(x)
    last = rms_norm(x[-1], state["language_model.model.norm.weight"], config["rms_norm_eps"])
    head = state.get("language_model.lm_head.weight", state["language_model.model.embed_tokens.weight"])
    return hidden, F.linear(last, head)


def attention(config, weights, x, rope, cached):
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    q, k, v = (F.linear(x, weights[f"self_attn.{n}_proj.weight"], weights[f"self_attn.{n}_proj.bias"]) for n in "qkv")
    q = rotate(q.view(len(x), heads, -1).transpose(0, 1), rope)
    k = rotate(k.view(len(x), kv_heads, -1).transpose(0, 1), rope)
    v = v.view(len(x), kv_heads, -1).transpose(0, 1)
    if cached is not None:  # cached keys keep the rotation that they were stored with
        k, v = torch.cat([cached[0], k], 1), torch.cat([cached[1], v], 1)
    per_group = heads // kv_heads
    scores = (q * q.shape[-1] ** -0.5) @ k.repeat_interleave(per_group, 0).transpose(-1, -2)
    allowed = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).tril(k.shape[1] - q.shape[1])
    weighted = scores.masked_fill(~allowed, -math.inf).softmax(-1) @ v.repeat_interleave(per_group, 0)
    return F.linear(weighted.transpose(0, 1).flatten(1), weights["self_attn.o_proj.weight"]), (k, v)


def rope_tables(config, start, end):
    """cos and sin of positions start..end. f32, as in every implementation: the tables are part of the definition.

    Dynamic NTK: one base for the whole call, from the length `end`, once that exceeds the trained context.
    """
    dim = config["hidden_size"] // config["num_attention_heads"]
    base, context = config["rope_theta"], config["max_position_embeddings"]
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type", scaling.get("type")) == "dynamic" and end > context:
        factor = scaling["factor"]
        base = base * (factor * end / context - (factor - 1)) ** (dim / (dim - 2))
    inv_freq = 1.0 / base ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    angles = torch.arange(start, end, dtype=torch.float32)[:, None] * inv_freq
    return angles.cos().double(), angles.sin().double()


def rotate(x, rope):
    cos, sin = rope
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


class Scope:
    def __init__(self, state, prefix):
        self.state, self.prefix = state, prefix

    def __getitem__(self, name):
        return self.state[self.prefix + name]
