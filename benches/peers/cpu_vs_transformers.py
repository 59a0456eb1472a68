#!/usr/bin/env python3
"""One page and many pages on the CPU: Tessera's server beside transformers, same weights.

    cargo build --release --locked
    python3 benches/peers/cpu_vs_transformers.py target/release/tessera [--rounds 5] [--image PNG]

Needs torch, transformers, pillow and grpcio (with clients/python on PYTHONPATH for the generated stubs).

In every round both read the same page with the same prompt, one after the other, so a busy machine slows both;
figures are medians over the rounds after one that is not counted. Tessera is timed by a client, over gRPC on
loopback, image decoding and tiling included; transformers is timed around `processor(...)` and `generate(...)`,
with the cheapest streamer there is. Both compute in f32 with all cores. The answers are compared. Tessera keeps
no pages and no prompts (--prefix-cache off): transformers has nothing like it.

Pages a second are those of the bundled one-tile samples, each read to its end: Tessera has --clients of them in
flight (all nine unless told otherwise), and as many slots; transformers takes one after the other, and all in one batch,
of which the faster counts.

The bound printed beside decode is what one token must read: all decoder weights in f32, at the rate a copy of
the same size reaches in this process.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "clients" / "python"))

import grpc  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from PIL import Image  # noqa: E402
from tessera.v1 import extraction_pb2, extraction_pb2_grpc  # noqa: E402
from transformers import AutoTokenizer, InternVLForConditionalGeneration  # noqa: E402
from transformers.generation.streamers import BaseStreamer  # noqa: E402


class FirstToken(BaseStreamer):
    """Notes when the first generated token comes; the prompt is put first."""

    def __init__(self):
        self.calls, self.at = 0, 0.0

    def put(self, value):
        self.calls += 1
        if self.calls == 2:
            self.at = time.perf_counter()

    def end(self):
        pass


def pixels(path, config):
    """One tile, as the checkpoint's preprocessor says."""
    image = Image.open(path).convert("RGB")
    size = config.vision_config.image_size[0]
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    x = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(size, size, 3).permute(2, 0, 1).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((x - mean[:, None, None]) / std[:, None, None])[None]


def time_transformers(model, tokenizer, path, prompt, tokens_max):
    start = time.perf_counter()
    text = f"<|im_start|>user\n<img>{'<IMG_CONTEXT>' * 256}</img>\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
    first = FirstToken()
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels(path, model.config), do_sample=False,
        max_new_tokens=tokens_max, streamer=first,
    )
    end = time.perf_counter()
    new = out[0, ids.shape[1]:].tolist()
    return first.at - start, (len(new) - 1) / (end - first.at), tokenizer.decode(new, skip_special_tokens=True)


def time_tessera(stub, content, prompt, tokens_max):
    request = extraction_pb2.ExtractRequest(files=[extraction_pb2.InputFile(content=content)], prompt=prompt)
    request.generation.max_output_tokens = tokens_max
    request.generation.max_tiles_per_page = 1
    start, first, last, tokens = time.perf_counter(), None, None, 0
    for event in stub.Extract(request, timeout=120):
        kind = event.WhichOneof("event")
        if kind == "token_delta":
            last = time.perf_counter()
            first = first or last
            tokens += event.token_delta.token_count
        elif kind == "completed":
            text = event.completed.text
    return first - start, (tokens - 1) / (last - first), text


def pages_of_transformers(model, tokenizer, paths, prompt, tokens_max, batch):
    """Seconds for all pages, so many at a time."""
    text = f"<|im_start|>user\n<img>{'<IMG_CONTEXT>' * 256}</img>\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
    start = time.perf_counter()
    for first in range(0, len(paths), batch):
        some = paths[first : first + batch]
        ids = tokenizer([text] * len(some), return_tensors="pt", add_special_tokens=False).input_ids
        values = torch.cat([pixels(path, model.config) for path in some])
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=values, do_sample=False, max_new_tokens=tokens_max
        )
    return time.perf_counter() - start


def pages_of_tessera(stub, paths, prompt, tokens_max, clients):
    """Seconds for all pages, so many in flight."""
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda path: time_tessera(stub, path.read_bytes(), prompt, tokens_max), paths))
    return time.perf_counter() - start


def serve(binary, model, slots):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    server = subprocess.Popen([binary, "serve", "--listen", address, "--model", model, "--devices", "cpu", "--dtype", "f32", "--prefix-cache", "off", "--slots", str(slots)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    stub = extraction_pb2_grpc.ExtractionServiceStub(grpc.insecure_channel(address))
    return server, stub


def copy_rate(size_bytes):
    """Bytes a second that one read of a buffer of this size moves, the best of many."""
    x = torch.ones(size_bytes // 4)
    best = 0.0
    for _ in range(20):
        start = time.perf_counter()
        x.sum()
        best = max(best, size_bytes / (time.perf_counter() - start))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--model", default=str(ROOT / "models" / "tessera-tiny"))
    parser.add_argument("--image", default=str(ROOT / "models" / "tessera-tiny" / "samples" / "receipt-01.png"))
    parser.add_argument("--prompt", default="Extract the fields as JSON.")
    parser.add_argument("--max-tokens", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int)
    a = parser.parse_args()

    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(os.cpu_count())
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    model = InternVLForConditionalGeneration.from_pretrained(a.model, dtype=torch.float32).eval()
    content = pathlib.Path(a.image).read_bytes()
    samples = sorted(path for path in (ROOT / "models" / "tessera-tiny" / "samples").glob("*.png") if "-04" not in path.name)
    clients = a.clients or len(samples)
    server, stub = serve(a.binary, a.model, clients)
    rows, same = {"tessera": [], "transformers": []}, True
    seconds = {"tessera": [], "one by one": [], "one batch": []}
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                time_tessera(stub, content, a.prompt, 4)
                break
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        for round_ in range(a.rounds + 1):
            with torch.no_grad():
                theirs = time_transformers(model, tokenizer, a.image, a.prompt, a.max_tokens)
                one = pages_of_transformers(model, tokenizer, samples, a.prompt, a.max_tokens, 1)
                whole = pages_of_transformers(model, tokenizer, samples, a.prompt, a.max_tokens, len(samples))
            ours = time_tessera(stub, content, a.prompt, a.max_tokens)
            all_pages = pages_of_tessera(stub, samples, a.prompt, a.max_tokens, clients)
            if round_:
                for name, value in zip(seconds, (all_pages, one, whole)):
                    seconds[name].append(value)
                rows["tessera"].append(ours[:2])
                rows["transformers"].append(theirs[:2])
                same &= ours[2].strip() == theirs[2].strip()
    finally:
        server.terminate()
        server.wait()

    decoder = sum(p.numel() for p in model.model.language_model.layers.parameters()) + model.lm_head.weight.numel()
    bound = copy_rate(4 * decoder) / (4 * decoder)
    print(f"{os.cpu_count()} cores, f32, one tile, {pathlib.Path(a.image).name}; torch {torch.__version__}, transformers {transformers.__version__}; load {os.getloadavg()[0]:.1f}")
    print("\n| | first token, s | tokens/s |\n|---|---|---|")
    for name, values in rows.items():
        first, rate = (statistics.median(column) for column in zip(*values))
        print(f"| {name} | {first:.3f} | {rate:.0f} |")
    print(f"| reading the decoder's {4 * decoder / 1e6:.0f} MB once a token | | {bound:.0f} |")
    print(f"\n| {len(samples)} one-tile pages to the end, {clients} clients | pages/s |\n|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {len(samples) / statistics.median(values):.2f} |")
    ratio = statistics.median(min(one, whole) / ours for ours, one, whole in zip(*seconds.values()))
    print(f"\npages a second of tessera over the better of transformers', median of the rounds' ratios: {ratio:.2f}")
    print(f"answers equal: {same}")
    print(json.dumps({"one page": rows, "pages, s": seconds}))


if __name__ == "__main__":
    main()
