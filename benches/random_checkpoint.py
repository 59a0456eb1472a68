#!/usr/bin/env python3
"""Writes a sharded checkpoint of random bf16 weights in the shape that a config.json describes, to time loading.

    python3 benches/random_checkpoint.py InternVL3-8B /tmp/8b [--shard-gb 5]

Takes the other files (tokenizer, preprocessor) along. The weights make no sense, and every number stays finite. Needs
nothing but Python; the original layout's names, untied output matrix.
"""

import argparse
import json
import pathlib
import random
import shutil
import struct

BLOCK = 1 << 26


def tensors(config):
    """Names and shapes in the order of a forward pass."""
    text, vision = config["llm_config"], config["vision_config"]
    hidden, inner = vision["hidden_size"], vision["intermediate_size"]
    patch = vision["patch_size"]
    patches = (vision["image_size"] // patch) ** 2
    front = "vision_model.embeddings."
    yield front + "class_embedding", [1, 1, hidden]
    yield front + "position_embedding", [1, 1 + patches, hidden]
    yield front + "patch_embedding.weight", [hidden, 3, patch, patch]
    yield front + "patch_embedding.bias", [hidden]
    for i in range(vision["num_hidden_layers"]):
        front = f"vision_model.encoder.layers.{i}."
        yield front + "attn.qkv.weight", [3 * hidden, hidden]
        if vision.get("qkv_bias", True):
            yield front + "attn.qkv.bias", [3 * hidden]
        for name, rows, columns in (("attn.proj", hidden, hidden), ("mlp.fc1", inner, hidden), ("mlp.fc2", hidden, inner)):
            yield f"{front}{name}.weight", [rows, columns]
            yield f"{front}{name}.bias", [rows]
        for name in ("norm1", "norm2"):
            yield f"{front}{name}.weight", [hidden]
            if vision.get("norm_type") == "layer_norm":
                yield f"{front}{name}.bias", [hidden]
        if vision.get("qk_normalization"):
            yield front + "attn.q_norm.weight", [hidden]
            yield front + "attn.k_norm.weight", [hidden]
        yield front + "ls1", [hidden]
        yield front + "ls2", [hidden]
    wide = hidden * round(1 / config["downsample_ratio"]) ** 2
    hidden, inner = text["hidden_size"], text["intermediate_size"]
    yield "mlp1.0.weight", [wide]
    yield "mlp1.0.bias", [wide]
    yield "mlp1.1.weight", [hidden, wide]
    yield "mlp1.1.bias", [hidden]
    yield "mlp1.3.weight", [hidden, hidden]
    yield "mlp1.3.bias", [hidden]
    yield "language_model.model.embed_tokens.weight", [text["vocab_size"], hidden]
    kv = hidden // text["num_attention_heads"] * text["num_key_value_heads"]
    for i in range(text["num_hidden_layers"]):
        front = f"language_model.model.layers.{i}."
        yield front + "input_layernorm.weight", [hidden]
        yield front + "post_attention_layernorm.weight", [hidden]
        for name, rows in (("q_proj", hidden), ("k_proj", kv), ("v_proj", kv)):
            yield f"{front}self_attn.{name}.weight", [rows, hidden]
            yield f"{front}self_attn.{name}.bias", [rows]
        yield front + "self_attn.o_proj.weight", [hidden, hidden]
        yield front + "mlp.gate_proj.weight", [inner, hidden]
        yield front + "mlp.up_proj.weight", [inner, hidden]
        yield front + "mlp.down_proj.weight", [hidden, inner]
    yield "language_model.model.norm.weight", [hidden]
    yield "language_model.lm_head.weight", [text["vocab_size"], hidden]


def size(shape):
    count = 2
    for side in shape:
        count *= side
    return count


def noise():
    """bf16 of magnitudes about 0.01, of both signs."""
    bits = random.Random(1).randbytes(BLOCK)
    low, high = bits[::2], bits[1::2]
    # Sign, seven bits of a mantissa, and the exponent of 2^-7.
    block = bytearray(BLOCK)
    block[::2] = low.translate(bytes(i & 0x7F for i in range(256)))
    block[1::2] = high.translate(bytes((i & 0x80) | 0x3C for i in range(256)))
    return memoryview(bytes(block))


def write(path, shard, block):
    header, end = {}, 0
    for name, shape in shard:
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size(shape)]}
        end += size(shape)
    text = json.dumps(header).encode()
    with open(path, "wb", buffering=0) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while end > 0:
            end -= file.write(block[: min(end, len(block))])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", type=pathlib.Path, help="directory with config.json")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--shard-gb", type=float, default=5.0)
    a = parser.parse_args()
    shutil.copytree(a.shape, a.out, ignore=shutil.ignore_patterns("*.safetensors*"), dirs_exist_ok=True)
    shards, used = [[]], 0
    for name, shape in tensors(json.loads((a.shape / "config.json").read_text())):
        if shards[-1] and used + size(shape) > a.shard_gb * 1e9:
            shards.append([])
            used = 0
        shards[-1].append((name, shape))
        used += size(shape)
    block, names = noise(), {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        write(a.out / file, shard, block)
        names.update({name: file for name, _ in shard})
    (a.out / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    total = sum(size(shape) for shard in shards for _, shape in shard)
    print(f"{a.out}: {len(names)} tensors, {total / 1e9:.2f} GB in {len(shards)} files")


if __name__ == "__main__":
    main()
