#!/usr/bin/env python3
"""Attention of many queries on compute capability 9.0: is it right, and how long does it take?

    python3 benches/kernels/hopper_attention.py check
    python3 benches/kernels/hopper_attention.py time

As decode.py, with the launches of src/model/cuda/attention.rs. `time` has beside each figure the kernel for other GPUs,
and torch's attention (`scaled_dot_product_attention`), which reads keys and values that lie in one piece.
"""

import argparse
import pathlib
import subprocess
import tempfile

import torch
from decode import HEAD_DIM, HEADS, KV_HEADS, Cache, Compare, Kernels, attention, ceil, check_full
from hopper import Hopper
from q8 import compiled, dtype_name, microseconds

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src" / "model" / "cuda"

# As in the kernels.
KEYS, BOX_KEYS, STAGES, GROUPS = 128, 64, 3, {64: 3, 128: 2}


def for_hopper(name):
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / f"{name}.cubin"
        subprocess.run(["nvcc", "-O3", "-std=c++17", "-cubin", "-gencode=arch=compute_90a,code=sm_90a", "-o", out, SOURCES / f"{name}.cu"], check=True)
        return out.read_bytes()


class Attention:
    def __init__(self, image):
        self.driver = Hopper(image)
        self.maps = {}

    def boxes(self, matrix):
        key = (matrix.data_ptr(), matrix.shape, matrix.dtype)
        if key not in self.maps:
            self.maps[key] = self.driver.map(matrix, BOX_KEYS, 64)
        return self.maps[key][0]

    def launch(self, name, head_dim, grid, arguments):
        shared = 1024 + STAGES * 2 * KEYS * head_dim * 2 + GROUPS[head_dim] * 64 * head_dim * 2 + STAGES * 16
        config = self.driver.config(name, grid, (GROUPS[head_dim] + 1) * 128, shared, 1)
        config.attributes[0].id = 0  # No cluster.
        self.driver.launch_ex(name, config, arguments)

    def prefill_attention(self, q, cache, sequence, positions, out, beside=False):
        rows, heads, head_dim = q.shape
        name = f"hopper_prefill_attention_{dtype_name(q)}_{head_dim}"
        keys, values = (self.boxes(x.view(-1, head_dim)) for x in (cache.k, cache.v))
        table_blocks, blocks, block_tokens = cache.sizes()
        assert block_tokens == BOX_KEYS
        arguments = [q, keys, values, cache.tables[sequence], positions, out, rows, cache.k.shape[1], table_blocks, blocks, head_dim**-0.5, int(beside)]
        self.launch(name, head_dim, (heads, ceil(rows, GROUPS[head_dim] * 64)), arguments)

    def full_attention(self, qkv, out, bias=None):
        batch, rows, heads, head_dim = out.shape
        name = f"hopper_full_attention_{dtype_name(out)}_{head_dim}"
        boxes = self.boxes(qkv.view(batch * rows, -1))
        self.launch(name, head_dim, (ceil(rows, GROUPS[head_dim] * 64), heads, batch), [qkv, boxes, bias, out, rows, head_dim**-0.5])


def prompts(count, rows, heads, kv_heads, head_dim, dtype):
    """Some prompts that a step takes in, with two places for what they attend to."""
    cache = Cache(count, rows, kv_heads, head_dim, BOX_KEYS, dtype, 0.0)
    for x in (cache.k, cache.v):
        x.normal_()
    q = torch.randn(count, rows, heads, head_dim, device="cuda").to(dtype)
    positions = torch.arange(rows, dtype=torch.int32, device="cuda")
    return cache, q, positions, [torch.full_like(q, float("nan")) for _ in range(2)]


def attend(kernels, cache, q, positions, out, beside):
    for sequence in range(len(q)):
        kernels.prefill_attention(q[sequence], cache, sequence, positions, out[sequence], beside and sequence > 0)


def check(kernels):
    compare = Compare()
    torch.manual_seed(1)
    for heads, kv_heads, head_dim in [(28, 4, 128), (14, 2, 64), (4, 2, 64), (5, 1, 128)]:
        for start, rows in [(0, 1), (0, 64), (0, 65), (1, 63), (17, 1), (100, 200), (1000, 777), (0, 1025), (3000, 512), (63, 129), (0, 3400)]:
            for dtype in (torch.bfloat16, torch.float16):
                cache = Cache(2, start + rows, kv_heads, head_dim, BOX_KEYS, dtype)
                k, v = (torch.randn(start + rows, kv_heads, head_dim, device="cuda").to(dtype) for _ in range(2))
                cache.put(cache.k, 1, k)
                cache.put(cache.v, 1, v)
                q = torch.randn(rows, heads, head_dim, device="cuda").to(dtype) * 2
                positions = torch.arange(start, start + rows, dtype=torch.int32, device="cuda")
                outs = [torch.full_like(q, float("nan")) for _ in range(2)]
                for out in outs:
                    kernels.prefill_attention(q, cache, 1, positions, out)
                name = f"prefill_attention {heads}/{kv_heads}x{head_dim}, {dtype}, {start}+{rows}"
                compare(name, outs[0], *attention(q, k, v, start, head_dim**-0.5))
                assert torch.equal(*outs), f"{name}: two runs differ"
                kernels.maps.clear()
    for count, rows in [(3, 65), (7, 512), (3, 1856)]:
        cache, q, positions, outs = prompts(count, rows, 28, 4, 128, torch.bfloat16)
        for out, beside in zip(outs, (False, True)):
            attend(kernels, cache, q, positions, out, beside)
        assert torch.equal(*outs), f"{count} prompts of {rows} beside each other differ"
        kernels.maps.clear()
    check_full(kernels, compare)
    for name, part in compare.worst.items():
        print(f"{name}: {part:.2f} of the error that it may have")


def sdpa(q, k, v, causal):
    with torch.nn.attention.sdpa_kernel([torch.nn.attention.SDPBackend.FLASH_ATTENTION, torch.nn.attention.SDPBackend.CUDNN_ATTENTION]):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)


def time(kernels, others, dtype=torch.bfloat16):
    print("Microseconds\n\n| what | ours | TFLOP/s | kernel for other GPUs | torch |\n|---|---|---|---|---|")

    def line(what, products, calls, torch_call):
        us = [microseconds([call]) for call in calls]
        theirs = microseconds([torch_call]) if torch_call else float("nan")
        print(f"| {what} | {us[0]:.1f} | {products / us[0] / 1e6:.0f} | {us[1]:.1f} | {theirs:.1f} |", flush=True)

    for start, rows in [(0, 512), (0, 1024), (0, 1856), (0, 3400), (1536, 512), (2048, 1024), (2888, 512)]:
        cache = Cache(1, start + rows, KV_HEADS, HEAD_DIM, BOX_KEYS, dtype, 0.0)
        for x in (cache.k, cache.v):
            x.normal_()
        q = torch.randn(rows, HEADS, HEAD_DIM, device="cuda").to(dtype)
        out, positions = torch.empty_like(q), torch.arange(start, start + rows, dtype=torch.int32, device="cuda")
        pairs = rows * start + rows * (rows + 1) / 2
        whole = [torch.randn(1, HEADS, rows, HEAD_DIM, device="cuda").to(dtype) for _ in range(3)] if start == 0 else None
        calls = [lambda k=k: k.prefill_attention(q, cache, 0, positions, out) for k in (kernels, others)]
        line(f"{rows} queries from {start}", 4 * pairs * HEADS * HEAD_DIM, calls, whole and (lambda: sdpa(*whole, True)))
    print("\nPrompts of one step, microseconds each\n\n| prompts | in turn | beside each other |\n|---|---|---|")
    for count, rows in [(4, 1856), (5, 3400), (16, 512)]:
        cache, q, positions, outs = prompts(count, rows, HEADS, KV_HEADS, HEAD_DIM, dtype)
        us = [microseconds([lambda b=b: attend(kernels, cache, q, positions, outs[0], b)]) / count for b in (False, True)]
        print(f"| {count} of {rows} | {us[0]:.1f} | {us[1]:.1f} |", flush=True)
    print("\n| what | ours | TFLOP/s | kernel for other GPUs | torch |\n|---|---|---|---|---|")
    for batch in (1, 7, 13):
        qkv = torch.randn(batch, 1025, 3, 16, 64, device="cuda").to(dtype)
        bias = torch.randn(3, 16, 64, device="cuda").to(dtype)
        out = torch.empty(batch, 1025, 16, 64, dtype=dtype, device="cuda")
        q, k, v = (x.transpose(1, 2).contiguous() for x in qkv.unbind(2))
        calls = [lambda x=x: x.full_attention(qkv, out, bias) for x in (kernels, others)]
        line(f"{batch} tiles of 1025, 16 heads of 64", 4 * batch * 1025**2 * 16 * 64, calls, lambda: sdpa(q, k, v, False))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "time"])
    parser.add_argument("--cubins", type=pathlib.Path, help="where the files are compiled: NAME.cubin")
    a = parser.parse_args()
    image = lambda name, compile: (a.cubins / f"{name}.cubin").read_bytes() if a.cubins else compile()
    kernels = Attention(image("hopper_attention", lambda: for_hopper("hopper_attention")))
    if a.what == "check":
        check(kernels)
    else:
        others = image("prefill_attention", lambda: compiled(SOURCES / "prefill_attention.cu"))
        time(kernels, Kernels({"prefill_attention": others}))


if __name__ == "__main__":
    main()
