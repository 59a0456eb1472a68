"""How far half precision takes InternVL3-8B from f32, in transformers; and the f32 activations to hold Tessera against.

    python tests/parity/full_size.py --size 8b --model /tmp/internvl3-8b --out results      # one 80 GB GPU
    python tests/parity/full_size.py --size 38b --text-layers 8 --model /tmp/internvl3-38b --out results
    python tests/parity/full_size.py --size micro --model /tmp/internvl3-micro --out results  # CPU, seconds
    tessera debug dump --model MODEL --image MODEL/image.png --token-ids MODEL/tokens.json --out bf16.safetensors --dtype bf16
    python tests/parity/compare.py --reference MODEL/reference-full.safetensors --errors results/errors.json --bf16 bf16.safetensors --f16 f16.safetensors

Written for torch 2.11 and transformers 5.17.

There are no trained weights here: the 8B shape is filled with random weights of a realistic scale, on the device, and
saved in the original layout. They give no overflow in f16. `--key-bias 150` adds what f16 stumbles over in trained
Qwen2.5 checkpoints, large query and key biases in a few channels of the first and last layer: their unscaled product
passes 65504.

Order of the work, so that 80 GB suffice: weights in bf16 (16 GB, kept), saving in the background, f32 (32 GB more, then
freed), bf16 eager and sdpa, f16 eager and sdpa (16 GB more). Where that is more than the GPU has (14B), the weights in
bf16 are kept on the host. 38B and 78B are beyond one GPU in f32: `--text-layers` keeps their vision tower of 6B and
cuts the language model.

Writes   MODEL/  config.json, shards, tokenizer, image.png, tokens.json, reference-full.safetensors (all positions)
         OUT/    errors.json, reference.safetensors (small: last position, and every STRIDE-th value of the rest)
"""

import argparse
import concurrent.futures
import json
import math
import pathlib
import shutil
import struct
import sys
import time

import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import InternVLConfig, InternVLForConditionalGeneration
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))

import layouts  # noqa: E402
from formula import picture, words  # noqa: E402

STRIDE = 97  # a prime, so that the kept values wander over all channels
SHARD_BYTES = 4 << 30
IMAGE_TOKEN, IMAGE_START, IMAGE_END, TURN_START, TURN_END = 151667, 151665, 151666, 151644, 151645
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

VISION_300M = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096, "image_size": 448}
# InternViT-6B: RMSNorm, normalised queries and keys, no bias in qkv.
VISION_6B = {"hidden_size": 3200, "num_hidden_layers": 45, "num_attention_heads": 25, "intermediate_size": 12800, "image_size": 448}


def language(hidden, layers, heads, kv_heads, intermediate):
    return {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads, "intermediate_size": intermediate}


SIZES = {
    "1b": {"vision": VISION_300M, "text": language(896, 24, 14, 2, 4864)},
    "2b": {"vision": VISION_300M, "text": language(1536, 28, 12, 2, 8960)},
    "8b": {"vision": VISION_300M, "text": language(3584, 28, 28, 4, 18944)},
    "14b": {"vision": VISION_300M, "text": language(5120, 48, 40, 8, 13824)},
    "38b": {"vision": VISION_6B, "text": language(5120, 64, 40, 8, 27648)},
    "78b": {"vision": VISION_6B, "text": language(8192, 80, 64, 8, 29568)},
    # The vocabulary stays, so that the token ids and the tokenizer rules do.
    "micro": {
        "vision": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 56},
        "text": {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 1, "intermediate_size": 160},
    },
}
VOCAB = 151674
ROPE = {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"}


# === configuration ===


def hf_config(size):
    vision, text = size["vision"], size["text"]
    side = vision["image_size"]
    rms = vision is VISION_6B
    return InternVLConfig(
        vision_config={
            **vision, "image_size": [side, side], "patch_size": [14, 14], "layer_norm_eps": 1e-6,
            "attention_bias": not rms, "use_qk_norm": rms, "norm_type": "rms_norm" if rms else "layer_norm",
        },
        text_config={
            **text, "model_type": "qwen2", "vocab_size": VOCAB, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
            "rope_theta": 1e6, "rope_scaling": dict(ROPE), "tie_word_embeddings": False,
        },
        image_token_id=IMAGE_TOKEN, image_seq_length=tokens_per_tile(size), tie_word_embeddings=False,
    )


def original_config(size):
    vision, text = size["vision"], size["text"]
    rms = vision is VISION_6B
    return {
        "architectures": ["InternVLChatModel"], "model_type": "internvl_chat", "downsample_ratio": 0.5, "dynamic_image_size": True,
        "force_image_size": vision["image_size"], "max_dynamic_patch": 12, "min_dynamic_patch": 1, "pad2square": False, "ps_version": "v2",
        "select_layer": -1, "template": "internvl2_5", "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_thumbnail": True,
        "llm_config": {
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **text, "vocab_size": VOCAB, "hidden_act": "silu", "rms_norm_eps": 1e-6,
            "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rope_scaling": ROPE, "sliding_window": None, "use_sliding_window": False,
            "max_window_layers": 70, "tie_word_embeddings": False, "bos_token_id": 151643, "eos_token_id": 151643, "torch_dtype": "bfloat16",
        },
        "vision_config": {
            "architectures": ["InternVisionModel"], "model_type": "intern_vit_6b", **vision, "patch_size": 14, "num_channels": 3, "hidden_act": "gelu",
            "layer_norm_eps": 1e-6, "norm_type": "rms_norm" if rms else "layer_norm", "qkv_bias": not rms, "qk_normalization": rms, "initializer_factor": 0.1,
            "attention_dropout": 0.0, "dropout": 0.0, "drop_path_rate": 0.0, "torch_dtype": "bfloat16",
        },
    }


def tokens_per_tile(size):
    return (size["vision"]["image_size"] // 28) ** 2


def write_configs(directory, size):
    directory.mkdir(parents=True, exist_ok=True)
    side = size["vision"]["image_size"]
    write_json(directory / "config.json", original_config(size))
    write_json(directory / "generation_config.json", {"eos_token_id": [TURN_START, TURN_END, 151643]})
    write_json(directory / "preprocessor_config.json", {
        "feature_extractor_type": "CLIPFeatureExtractor", "crop_size": side, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "image_mean": MEAN, "image_std": STD, "resample": 3, "size": side,
    })
    write_tokenizer(directory)


def write_tokenizer(directory):
    """The golden tokenizer with the real ids of the added tokens, and filler below them. No text is encoded with it."""
    for file in (GOLDEN / "tokenizer" / "fast").iterdir():
        shutil.copy(file, directory / file.name)
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    config = json.loads((directory / "tokenizer_config.json").read_text())
    vocab, added = tokenizer["model"]["vocab"], tokenizer["added_tokens"]
    first = VOCAB - len(added)
    vocab |= {f"<filler_{i}>": i for i in range(len(vocab), first)}
    for i, token in enumerate(added):
        token["id"] = first + i
    assert {t["content"]: t["id"] for t in added}["<IMG_CONTEXT>"] == IMAGE_TOKEN
    config["added_tokens_decoder"] = {str(first + i): v for i, v in enumerate(config["added_tokens_decoder"].values())}
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    write_json(directory / "tokenizer_config.json", config)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


# === weights ===


def make_state(size, device, seed, key_bias):
    """Random bf16 weights by module name."""
    with torch.device("meta"):
        shapes = {name: t.shape for name, t in InternVLForConditionalGeneration(hf_config(size)).state_dict().items()}
    generator = torch.Generator(device).manual_seed(seed)
    depth = size["text"]["num_hidden_layers"]
    state = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator, device=device, dtype=torch.bfloat16)
        mean, std = scale(name, shape, depth)
        state[name] = noise.mul_(std).add_(mean)
    if key_bias:
        add_outliers(state, size["text"], key_bias)
    return state


def scale(name, shape, depth):
    """Mean and standard deviation: projections keep the variance, branch outputs are damped with the depth."""
    if "lambda_" in name:
        return 0.2, 0.1
    if len(shape) == 1:
        return (1.0, 0.2) if "norm" in name and name.endswith("weight") else (0.0, 0.5 if "self_attn" in name else 0.1)
    if "embed_tokens" in name:
        return 0.0, 0.3
    if "cls_token" in name or "position_embeddings" in name:
        return 0.0, 0.5
    fan_in = math.prod(shape[1:])
    damped = "language_model" in name and ("o_proj" in name or "down_proj" in name)
    return 0.0, (4 / math.sqrt(depth) if damped else 1.5) / math.sqrt(fan_in)


def add_outliers(state, text, bias):
    """The same four channels of each head in queries and keys, so that the products add up."""
    head_dim = text["hidden_size"] // text["num_attention_heads"]
    for layer in (0, text["num_hidden_layers"] - 1):
        for part in ("q_proj", "k_proj"):
            heads = state[f"model.language_model.layers.{layer}.self_attn.{part}.bias"].view(-1, head_dim)
            heads[:, :: head_dim // 4] = bias


def save_checkpoint(directory, state):
    """Shards in the original layout, streamed from the device by one thread each."""
    state = layouts.to_original(state)
    shards, used = [{}], 0
    for name, tensor in state.items():
        if used and used + tensor.nbytes > SHARD_BYTES:
            shards, used = [*shards, {}], 0
        shards[-1][name] = tensor
        used += tensor.nbytes
    files = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    index = {"metadata": {"total_size": sum(t.nbytes for t in state.values())}, "weight_map": {n: f for f, s in zip(files, shards) for n in s}}
    write_json(directory / "model.safetensors.index.json", index)
    with concurrent.futures.ThreadPoolExecutor(len(shards)) as pool:
        for future in [pool.submit(write_shard, directory / f, s) for f, s in zip(files, shards)]:
            future.result()


def write_shard(path, tensors):
    """safetensors by hand: save_file would first copy the whole shard, and hold the interpreter lock meanwhile."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb", buffering=0) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            write_all(file, memoryview(tensor.contiguous().view(torch.uint8).cpu().numpy()).cast("B"))


def write_all(file, data):
    while data:  # one write() takes at most 2 GiB
        data = data[file.write(data[: 1 << 30]) :]


# === inputs ===


def make_image(size, path):
    """Twice as wide as high: two tiles and a thumbnail."""
    side = size["vision"]["image_size"]
    image = picture(2 * side, side, 3)
    image.save(path)
    tiles = [image.crop((0, 0, side, side)), image.crop((side, 0, 2 * side, side)), image.resize((side, side), Image.Resampling.BICUBIC)]
    pixels = torch.stack([torch.frombuffer(bytearray(t.tobytes()), dtype=torch.uint8).view(side, side, 3) for t in tiles])
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std


def make_tokens(size, path):
    chatter = [int(w % 50000) for w in words("parity", 0, 40)]
    image = [IMAGE_START, *[IMAGE_TOKEN] * (3 * tokens_per_tile(size)), IMAGE_END]
    tokens = [TURN_START, *chatter[:12], TURN_END, TURN_START, chatter[12], *image, *chatter[13:-2], TURN_END, TURN_START, *chatter[-2:]]
    path.write_text(json.dumps(tokens) + "\n")
    return torch.tensor(tokens)


# === runs ===


def build(size, state, dtype, device):
    """A model over the given tensors, without a copy where the dtype already fits."""
    config = hf_config(size)
    with torch.device("meta"):
        net = InternVLForConditionalGeneration(config)
    net.load_state_dict({name: t.to(device, dtype) for name, t in state.items()}, assign=True)
    # Its tables are no weights, so they are still on `meta`; they stay in f32 as from_pretrained keeps them.
    net.model.language_model.rotary_emb = Qwen2RotaryEmbedding(config.text_config).to(device)
    return net.eval()


@torch.no_grad()
def run(net, attention, pixels, tokens):
    net.set_attn_implementation(attention)
    sites, hooks = {}, []
    layers = net.model.language_model.layers
    keep = lambda name, t: sites.__setitem__(name, t.detach())
    hooks.append(layers[0].register_forward_pre_hook(lambda _, a: keep("hidden.0", a[0][0])))
    for i, layer in enumerate(layers):
        hooks.append(layer.register_forward_hook(lambda _, a, o, i=i: keep(f"hidden.{i + 1}", o[0])))
    hooks.append(net.model.vision_tower.register_forward_hook(lambda _, a, o: keep("vision", o.last_hidden_state)))
    hooks.append(net.model.multi_modal_projector.register_forward_hook(lambda _, a, o: keep("projector", o.flatten(0, 1))))
    keep("logits", net(input_ids=tokens[None], pixel_values=pixels, use_cache=False, logits_to_keep=1).logits[0, -1])
    for hook in hooks:
        hook.remove()
    order = ["vision", "projector", *(f"hidden.{i}" for i in range(len(layers) + 1)), "logits"]
    return {name: sites[name] for name in order}


def errors(sites, reference):
    """Per site: relative L2 and largest absolute difference from f32, the same at the last position, bad values."""
    out = {}
    for name, expected in reference.items():
        value = sites[name].float()
        d = value - expected
        last, last_expected = (d[-1], expected[-1]) if name.startswith("hidden.") else (d, expected)
        out[name] = {
            "relative_l2": number(d.norm() / expected.norm()), "max_abs": number(d.abs().max()),
            "last_relative_l2": number(last.norm() / last_expected.norm()), "not_finite": int((~value.isfinite()).sum()),
            "amax": number(value[value.isfinite()].abs().amax()) if value.isfinite().any() else None,
        }
    out["logits"]["argmax_agrees"] = bool(sites["logits"].argmax() == reference["logits"].argmax())
    return out


def number(x):
    """None for NaN and infinity, which JSON cannot say."""
    return x.item() if x.isfinite() else None


def small(reference):
    """What is kept of the f32 activations: last positions in full, of the rest every STRIDE-th value and the norm."""
    out = {}
    for name, value in reference.items():
        if name.startswith("hidden."):
            out[f"{name}.last"] = value[-1]
        if name == "logits":
            out[name] = value
        else:
            out[f"{name}.strided"] = value.flatten()[::STRIDE]
            out[f"{name}.norm"] = value.norm().reshape(1)
    return {name: value.cpu().contiguous().clone() for name, value in out.items()}


class Clock:
    def __init__(self, device):
        self.device, self.start, self.seconds = device, time.monotonic(), {}

    def lap(self, name):
        if self.device == "cuda":
            torch.cuda.synchronize()
        now = time.monotonic()
        self.seconds[name] = round(now - self.start, 2)
        self.start = now
        print(f"{name}: {self.seconds[name]} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="8b")
    parser.add_argument("--model", type=pathlib.Path, required=True, help="where the checkpoint goes")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where the results go")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--key-bias", type=float, default=0.0)
    parser.add_argument("--text-layers", type=int, help="of the language model, instead of all")
    parser.add_argument("--no-save", action="store_true", help="compute the errors only")
    a = parser.parse_args()

    transformers.utils.logging.set_verbosity_error()
    # f32 means f32: by default cuDNN runs the patch convolution in TF32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    size, device, clock = SIZES[a.size], a.device, Clock(a.device)
    if a.text_layers:
        size = {**size, "text": {**size["text"], "num_hidden_layers": a.text_layers}}
    a.out.mkdir(parents=True, exist_ok=True)
    write_configs(a.model, size)
    pixels = make_image(size, a.model / "image.png").to(device)
    tokens = make_tokens(size, a.model / "tokens.json").to(device)
    state = make_state(size, device, a.seed, a.key_bias)
    # What bf16 takes, and twice that again in f32.
    if device == "cuda" and 3 * sum(t.nbytes for t in state.values()) > 0.9 * torch.cuda.mem_get_info()[1]:
        state = {name: t.cpu() for name, t in state.items()}
        torch.cuda.empty_cache()
    clock.lap("weights")

    saving = concurrent.futures.ThreadPoolExecutor(1)
    saved = None if a.no_save else saving.submit(save_checkpoint, a.model, state)
    report = {"size": a.size, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "torch": torch.__version__, "transformers": transformers.__version__,
              "text_layers": size["text"]["num_hidden_layers"], "tokens": len(tokens), "tiles": len(pixels), "key_bias": a.key_bias, "runs": {}}
    net = build(size, state, torch.float32, device)
    reference = {name: t.clone() for name, t in run(net, "eager", pixels, tokens).items()}
    clock.lap("f32 eager")
    report["runs"]["f32_sdpa"] = errors(run(net, "sdpa", pixels, tokens), reference)
    clock.lap("f32 sdpa")
    del net
    for name, dtype in (("bf16", torch.bfloat16), ("f16", torch.float16)):
        net = build(size, state, dtype, device)
        for attention in ("eager", "sdpa"):
            report["runs"][f"{name}_{attention}"] = errors(run(net, attention, pixels, tokens), reference)
            clock.lap(f"{name} {attention}")
        del net
    for name, sites in report["runs"].items():
        bad = [site for site, e in sites.items() if e["not_finite"]]
        amax = max(e["amax"] or 0.0 for e in sites.values())
        print(f"{name}: logits {sites['logits']['relative_l2']}, largest activation {amax:.4g},", f"NOT FINITE from {bad[0]} on" if bad else "finite")

    save_file(small(reference), a.out / "reference.safetensors")
    full = dict(reference, pixel_values=pixels, tokens=tokens.to(torch.int32))
    save_file({name: t.cpu().contiguous() for name, t in full.items()}, a.model / "reference-full.safetensors")
    clock.lap("reference")
    if saved:
        saved.result()
        clock.lap("saving, the rest of it")
    if device == "cuda":
        report["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
    report["seconds"] = clock.seconds
    write_json(a.out / "errors.json", report)


if __name__ == "__main__":
    main()
