#!/usr/bin/env python3
"""A page through transformers with torch.compile: first token, time per token, and pages a minute in batches.

    tessera bench pages --tiles 13 --count 16 --out /tmp/pages
    python3 benches/peers/transformers_compiled.py --model /models/InternVL3-8B-hf --images /tmp/pages --batch 1,8

Needs torch, transformers and pillow, and a checkpoint in the `-hf` layout. `--random` makes weights up in the shapes of
its config.json, so the weights need not be there, and takes the original layout's files too. The decoder is compiled (`mode="reduce-overhead"`, which records
CUDA graphs) over a static KV cache; `--eager` leaves it as it is. Two rounds do not count; figures are medians.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import tempfile
import time

import torch
from PIL import Image
from transformers import AutoConfig, AutoProcessor, AutoTokenizer, InternVLForConditionalGeneration
from transformers.generation.streamers import BaseStreamer


class First(BaseStreamer):
    """Notes when the first new token comes; the prompt is put first."""

    def __init__(self):
        self.calls, self.at = 0, None

    def put(self, value):
        self.calls += 1
        if self.calls == 2:
            self.at = time.perf_counter()

    def end(self):
        pass


def hf_layout(model, folder):
    """The `-hf` layout's configuration and processor in `folder`, from the original layout's files."""
    old = json.loads((model / "config.json").read_text())
    text, vision = old["llm_config"], old["vision_config"]
    taken = ["hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "vocab_size",
             "rms_norm_eps", "max_position_embeddings", "hidden_act", "bos_token_id", "eos_token_id", "tie_word_embeddings"]
    scaling = text.get("rope_scaling") or {"rope_type": "default"}
    text_config = {"model_type": "qwen2", **{key: text[key] for key in taken}, "rope_parameters": {**scaling, "rope_theta": text["rope_theta"]}}
    taken = ["hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "layer_norm_eps"]
    vision_config = {
        "model_type": "internvl_vision", **{key: vision[key] for key in taken}, "attention_bias": vision["qkv_bias"],
        "use_qk_norm": vision["qk_normalization"], "norm_type": vision["norm_type"], "image_size": [vision["image_size"]] * 2,
        "patch_size": [vision["patch_size"]] * 2, "use_mask_token": False, "use_absolute_position_embeddings": True,
    }
    side = int(vision["image_size"] / vision["patch_size"] * old["downsample_ratio"])
    tokens = {pair["content"]: pair["id"] for pair in json.loads((model / "tokenizer.json").read_text())["added_tokens"]}
    config = {
        "architectures": ["InternVLForConditionalGeneration"], "model_type": "internvl", "downsample_ratio": old["downsample_ratio"],
        "image_seq_length": side * side, "image_token_id": tokens["<IMG_CONTEXT>"], "projector_hidden_act": "gelu",
        "text_config": text_config, "vision_config": vision_config,
    }
    (folder / "config.json").write_text(json.dumps(config))
    processor = {
        "image_processor_type": "GotOcr2ImageProcessorFast", "crop_to_patches": True, "min_patches": old["min_dynamic_patch"],
        "max_patches": old["max_dynamic_patch"], "do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 3,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "rescale_factor": 1 / 255,
        "size": {"height": vision["image_size"], "width": vision["image_size"]},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "InternVLProcessor", "image_seq_length": side * side}))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(model / name, folder / name)


def load(args):
    dtype = getattr(torch, args.dtype)
    if args.random:
        with torch.device(args.device):
            torch.set_default_dtype(dtype)
            model = InternVLForConditionalGeneration(AutoConfig.from_pretrained(args.model))
            torch.set_default_dtype(torch.float32)
    else:
        model = InternVLForConditionalGeneration.from_pretrained(args.model, torch_dtype=dtype).to(args.device)
    model.eval()
    if not args.eager:
        model.model.language_model.forward = torch.compile(model.model.language_model.forward, mode="reduce-overhead")
        model.generation_config.cache_implementation = "static"
    return model


def sync(device):
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True, type=pathlib.Path)
    parser.add_argument("--batch", default="1")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output-tokens", type=int, default=200)
    parser.add_argument("--prompt", default="Read this page.")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16" if torch.cuda.is_available() else "float32")
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--random", action="store_true")
    args = parser.parse_args()
    files = sorted(path for path in args.images.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    if not files:
        parser.error(f"--images {args.images}: there are no page files")
    if args.random and json.loads((pathlib.Path(args.model) / "config.json").read_text())["model_type"] == "internvl_chat":
        folder = pathlib.Path(tempfile.mkdtemp())
        hf_layout(pathlib.Path(args.model), folder)
        args.model = str(folder)
    processor, tokenizer, model = AutoProcessor.from_pretrained(args.model), AutoTokenizer.from_pretrained(args.model), load(args)
    print(f"torch {torch.__version__}, {args.device}, {args.dtype}, {'eager' if args.eager else 'compiled'}")
    print("| batch | first token ms | ms per step | tokens/s | pages/min |\n|---:|---:|---:|---:|---:|")
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": args.prompt}]}]
    prompt = processor.apply_chat_template(message, add_generation_prompt=True)
    for batch in map(int, args.batch.split(",")):
        firsts, steps, wholes = [], [], []
        for turn in range(args.rounds + 2):
            images = [Image.open(files[(turn * batch + index) % len(files)]).convert("RGB") for index in range(batch)]
            sync(args.device)
            start = time.perf_counter()
            inputs = processor(images=images, text=[prompt] * batch, return_tensors="pt", crop_to_patches=True)
            inputs = inputs.to(args.device, getattr(torch, args.dtype))
            first = First() if batch == 1 else None
            with torch.inference_mode():
                out = model.generate(
                    **inputs, do_sample=False, max_new_tokens=args.output_tokens, min_new_tokens=args.output_tokens,
                    streamer=first, pad_token_id=tokenizer.eos_token_id,
                )
            sync(args.device)
            end = time.perf_counter()
            new = out.shape[1] - inputs["input_ids"].shape[1]
            if turn < 2:
                continue
            wholes.append(end - start)
            if first is not None:
                firsts.append(first.at - start)
                steps.append((end - first.at) / (new - 1))
        whole = statistics.median(wholes)
        number = lambda values: f"{statistics.median(values) * 1e3:.2f}" if values else "–"
        print(
            f"| {batch} | {number(firsts)} | {number(steps)} | {batch * args.output_tokens / whole:.1f} | {batch / whole * 60:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
