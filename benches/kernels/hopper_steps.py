#!/usr/bin/env python3
"""Whole decoding steps of InternVL3-8B on compute capability 9.0, by which kernels multiply: in turns, in one run.

    python3 benches/kernels/hopper_steps.py [--batch 1 8 64] [--profile 64]

As decode.py's steps, but with launches that overlap as the program's do, KV blocks of 64 tokens and logits in f32. Products
are cuBLAS's, those of gemv.cu, or those of hopper_product.cu:

    before     up to 8 rows of the large matrices and 16 of the head by gemv.cu, the rest by cuBLAS
    all        all by hopper_product.cu
    large      the two large matrices of a layer and the head by hopper_product.cu, the others by cuBLAS
    large, o   and o_proj by hopper_product.cu
    found      and the head leaves what it knows of the likeliest tokens, instead of logits

and of 129 rows and more:

    before     all by cuBLAS, but for the head, by hopper_logits.cu
    swiglu     and gate_up_proj with its activation by hopper_swiglu.cu
    found      and the head as above

The program takes `all` up to 16 rows, `large, o` up to 64 and `large` up to 96, the head's up to 128 (src/model/cuda/hopper.rs), `swiglu` from 160 to
256, and `found` up to 64 and from 129 on where no logits are asked for. A step is a
graph; rounds go through all variants, and the median counts. `--profile` prints the kernels of one step with the time from each start to the next.
"""

import argparse
import pathlib

import decode
import hopper
import hopper_logits
import torch
from hopper_logits import Logits
from hopper_swiglu import Swiglu
from q8 import compiled, copy_rate

CONTEXT, BLOCK_TOKENS = 1900, 64
# Rows that hopper_product.cu takes.
FEW = 128


class Overlapping(hopper.Hopper):
    """Kernels take their places while those before them end."""

    def launch(self, name, grid, threads, shared_bytes, arguments):
        config = self.config(name, grid, threads, shared_bytes, 1)
        overlap = (hopper.Attribute * 1)()
        overlap[0].id, overlap[0].value[0] = 6, 1
        config.attributes, config.count = overlap, 1
        self.launch_ex(name, config, arguments)


def library(x, weight, y):
    if y.dtype == torch.float32:
        torch.mm(x, weight.T, out=y, out_dtype=torch.float32)
    else:
        torch.mm(x, weight.T, out=y)


def few_rows(driver):
    """The plan of product.rs."""

    def product(x, weight, y):
        (m, k), n = x.shape, len(weight)
        name = f"gemv_bf16_{decode.dtype_name(y)}_{8 if m <= 8 else 16}"
        driver.launch(name, (decode.ceil(n, 8),), 32 * (8 if k >= 8192 else 4), 0, [weight, x, y, m, n, k])

    return product


def streamed(products, best=None):
    """The plan of hopper.rs. `best` is memory for what is known of the likeliest tokens."""
    calls = {}

    def product(x, weight, y):
        key = (weight.data_ptr(), x.data_ptr(), y.data_ptr())
        if key not in calls:
            chosen = None
            for cluster in (1, 2, 4):
                chosen = products.plan(weight, len(x), y, x, cluster) or chosen
                if chosen and chosen["rows"] >= hopper.TILE_ROWS:
                    break
            calls[key] = products.call(chosen, weight, None, x, y, found_of(best))
        calls[key]()

    return product


def found_of(best):
    return best if best is None else (best, torch.zeros(len(best), dtype=torch.int32, device="cuda"), decode.NO_TOKEN)


def once(kernel, **ways):
    """Its launches, each prepared once."""
    calls = {}

    def product(x, weight, y):
        key = (weight.data_ptr(), x.data_ptr(), y.data_ptr())
        if key not in calls:
            calls[key] = kernel.call(x, weight, y, **ways)
        calls[key]()

    return product


def who(small, large, head):
    return {"qkv": small, "o": small, "gate_up": large, "down": large, "head": head}


def of_few(products, gemv, batch):
    stream = streamed(products)
    small = {"qkv": stream if batch <= 16 else library, "o": stream}
    best = torch.empty(batch, products.parts(decode.VOCABULARY), 4, device="cuda")
    found = {**who(library, stream, streamed(products, best)), **small, "best": best}
    return {
        "before": who(library, gemv if batch <= 8 else library, gemv if batch <= 16 else library),
        "all": who(stream, stream, stream),
        "large": who(library, stream, stream),
        "large, o": {**who(library, stream, stream), "o": stream},
        **({"found": found} if batch <= 64 else {}),
    }


def of_tiles(tiles, batch):
    before = who(library, library, once(tiles["logits"]))
    swiglu = {**before, "swiglu": once(tiles["swiglu"])}
    best = torch.empty(batch, decode.ceil(decode.VOCABULARY, hopper_logits.COLUMNS), 4, device="cuda")
    found = {**swiglu, "head": once(tiles["logits"], found=found_of(best)), "best": best}
    return {"before": before, "swiglu": swiglu, "found": found}


class Step(decode.Step):
    """As decode.Step, with `products`: who multiplies, by the name of a matrix."""

    def __init__(self, kernels, batch, weights):
        super().__init__(kernels, torch.bfloat16, batch, CONTEXT, weights)
        self.caches = []
        for _ in range(decode.LAYERS):
            cache = decode.Cache(batch, CONTEXT, decode.KV_HEADS, decode.HEAD_DIM, BLOCK_TOKENS, torch.bfloat16, 0.0)
            cache.k.normal_(), cache.v.normal_()
            self.caches.append(cache)
        self.logits = torch.zeros(batch, decode.VOCABULARY, device="cuda")
        self.needs = torch.zeros(batch, dtype=torch.int32, device="cuda")

    def all(self):
        kernels, head, products = self.kernels, self.weights["head"], self.products
        kernels.embed(head, self.ids, self.x)
        for index in range(decode.LAYERS):
            w, cache = self.weights[index], self.caches[index]
            kernels.add_rms_norm(self.x, None if index == 0 else self.delta, w["norm"], self.x, self.y)
            products["qkv"](self.y, w["qkv"], self.qkv)
            kernels.rope_cache(self.qkv, w["bias"], self.cos, self.sin, self.positions, None, cache, self.q)
            kernels.decode_attention(self.q, cache, self.lengths, self.attended, self.tokens)
            products["o"](self.attended.view(-1, decode.HIDDEN), w["o"], self.delta)
            kernels.add_rms_norm(self.x, self.delta, w["norm"], self.x, self.y)
            if "swiglu" in products:
                products["swiglu"](self.y, w["gate_up"], self.inner)
            else:
                products["gate_up"](self.y, w["gate_up"], self.gate_up)
                kernels.swiglu(self.gate_up, self.inner)
            products["down"](self.inner, w["down"], self.delta)
        kernels.add_rms_norm(self.x, self.delta, self.weights[0]["norm"], self.x, self.y)
        products["head"](self.y, head, self.logits)
        kernels.argmax(self.logits, self.choices, needs=self.needs, found=products.get("best"))

    def graph(self, products):
        self.products = products
        self.all()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.all()
        return graph


def in_turns(graphs, rounds):
    """Milliseconds of each graph, the median of `rounds`."""
    times = {name: [] for name in graphs}
    for _ in range(rounds):
        for name, graph in graphs.items():
            graph.replay()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            graph.replay()
            graph.replay()
            end.record()
            end.synchronize()
            times[name].append(start.elapsed_time(end) / 2)
    return {name: sorted(each)[rounds // 2] for name, each in times.items()}


def profile(graph, title):
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        graph.replay()
        torch.cuda.synchronize()
    on_gpu = [e for e in profiler.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    on_gpu.sort(key=lambda event: event.time_range.start)
    total = {}
    for event, after in zip(on_gpu, on_gpu[1:]):
        of_kernel = total.setdefault(event.name.split("(")[0][:56], [0, 0.0, 0.0])
        of_kernel[0] += 1
        of_kernel[1] += event.time_range.elapsed_us()
        of_kernel[2] += after.time_range.start - event.time_range.start
    print(f"\n{title}\n\n| kernel | launches | us each | us to the next start |\n|---|---:|---:|---:|")
    for name, (count, lasts, to_next) in sorted(total.items(), key=lambda entry: -entry[1][2]):
        print(f"| {name} | {count} | {lasts / count:.1f} | {to_next / count:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=pathlib.Path, default=decode.SOURCES)
    parser.add_argument("--cubins", type=pathlib.Path, help="where the same files are compiled: NAME.cubin")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--profile", type=int, nargs="*", default=[], metavar="BATCH")
    a = parser.parse_args()
    torch.manual_seed(1)

    def image(name, compile):
        return (a.cubins / f"{name}.cubin").read_bytes() if a.cubins else compile(a.sources / f"{name}.cu")

    kernels = decode.Kernels({})
    kernels.drivers = {name: Overlapping(image(name, compiled)) for name in [*decode.FILES, "gemv"]}
    products = hopper.Products(hopper.Hopper(image("hopper_product", hopper.compiled)))
    gemv = few_rows(kernels.drivers["gemv"])
    kinds = {"swiglu": Swiglu, "logits": Logits}
    tiles = {name: kind(image(f"hopper_{name}", hopper.compiled)) for name, kind in kinds.items()}
    rate = copy_rate()
    print(f"{torch.cuda.get_device_name()}; a copy moves {rate / 1e12:.2f} TB/s; milliseconds a step at {CONTEXT} tokens\n")

    def random(*shape):
        return torch.empty(*shape, dtype=torch.bfloat16, device="cuda").uniform_(-0.02, 0.02)

    hidden, inner, qkv = decode.HIDDEN, decode.INNER, (decode.HEADS + 2 * decode.KV_HEADS) * decode.HEAD_DIM
    sizes = {"qkv": (qkv, hidden), "o": (hidden, hidden), "gate_up": (2 * inner, hidden), "down": (hidden, inner)}
    weights = {i: {name: random(*size) for name, size in sizes.items()} for i in range(decode.LAYERS)}
    for layer in weights.values():
        layer["norm"], layer["bias"] = random(hidden) + 1, random(qkv)
    weights["head"] = random(decode.VOCABULARY, hidden)
    weight_bytes = 2 * (weights["head"].numel() + sum(x.numel() for i in range(decode.LAYERS) for x in weights[i].values()))
    bound = lambda batch: (weight_bytes + batch * CONTEXT * decode.LAYERS * 4 * decode.KV_HEADS * decode.HEAD_DIM) / rate * 1e3
    for batch in a.batch:
        step = Step(kernels, batch, weights)
        variants = of_few(products, gemv, batch) if batch <= FEW else of_tiles(tiles, batch)
        graphs = {name: step.graph(products_of) for name, products_of in variants.items()}
        times = in_turns(graphs, a.rounds)
        told = ", ".join(f"{name} {times[name]:.2f}" for name in variants)
        print(f"{batch}: {told}; bound {bound(batch):.2f}", flush=True)
        if batch in a.profile:
            for name, graph in graphs.items():
                profile(graph, f"{batch} sequences, {name}")
        del step, graphs


if __name__ == "__main__":
    main()
