#!/usr/bin/env python3
"""The vision tower's kernels, and products of a few rows, on a GPU: are they right, and how long do they take?

    python3 benches/kernels/vision.py check
    python3 benches/kernels/vision.py time

Needs torch with CUDA and nvcc (or --cubins with a directory of the files in src/model/cuda compiled for this
GPU). No Rust: kernels are launched through the driver, with the plans of src/model/cuda/vision.rs and product.rs.

`check` compares every kernel with torch in f64. `time` captures many launches in one CUDA graph and divides;
weights rotate over more memory than the second-level cache holds. The bound is what reading and writing takes at
the rate that a large copy reaches on the same GPU.
"""

import argparse
import pathlib
import sys

import torch
from decode import Compare, ceil
from q8 import SHAPES, Driver, compiled, copy_rate, dtype_name, microseconds

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src" / "model" / "cuda"
FILES = ["vision", "gemv"]
EPS = 1e-6
LONG_ROW = 8192


def threads_of(width):
    return min(1024, ceil(width, 8 * 32) * 32)


class Kernels:
    def __init__(self, images):
        self.drivers = {name: Driver(image + b"\0") for name, image in images.items()}

    def launch(self, file, name, grid, threads, arguments):
        self.drivers[file].launch(name, grid, threads, 0, arguments)

    def add_layer_norm(self, residual, delta, delta_bias, scale, weight, bias, y, compute):
        rows, width = residual.shape
        arguments = [residual, delta, delta_bias, scale, weight, bias, residual, y, width, EPS]
        name = f"add_layer_norm_{dtype_name(residual)}_{compute}"
        self.launch("vision", name, (rows,), threads_of(width), arguments)

    def with_bias(self, name, x, bias):
        rows, width = x.shape
        self.launch("vision", name, (ceil(width, 8 * 128), rows), 128, [x, bias, width])

    def gemv(self, weight, x, y):
        (m, k), n = x.shape, len(weight)
        name = f"gemv_{dtype_name(x)}_{dtype_name(y)}_{8 if m <= 8 else 16}"
        self.launch("gemv", name, (ceil(n, 8),), 32 * (8 if k >= LONG_ROW else 4), [weight, x, y, m, n, k])


def layer_norm(x, weight, bias):
    mean = x.mean(-1, keepdim=True)
    centred = x - mean
    return centred * (centred.square().mean(-1, keepdim=True) + EPS).rsqrt() * weight.double() + bias.double()


def check_norms(kernels, compare):
    for residual, compute in [(torch.bfloat16, torch.bfloat16), (torch.float32, torch.float16)]:
        def random(*shape, dtype=residual):
            return torch.randn(*shape, device="cuda").to(dtype)

        name = dtype_name(torch.empty(0, dtype=compute))
        for rows, width in [(1, 1024), (1025, 1024), (3, 8), (7, 4096), (5, 32768), (130, 256)]:
            for has_delta in [False, True]:
                x, weight, bias = random(rows, width) * 3 + 1, random(width), random(width)
                delta, delta_bias, scale = random(rows, width), random(width, dtype=compute), random(width)
                y = torch.full((rows, width), float("nan"), dtype=compute, device="cuda")
                summed = x.clone()
                if has_delta:
                    exact = x.double() + (delta.double() + delta_bias.double()) * scale.double()
                    kernels.add_layer_norm(summed, delta, delta_bias, scale, weight, bias, y, name)
                    size = x.double().abs() + (delta.double() + delta_bias.double()).abs() * scale.double().abs()
                    compare("add_layer_norm sum", summed, exact, size, 0.0)
                    again = x.clone()
                    kernels.add_layer_norm(again, delta, delta_bias, scale, None, None, None, name)
                    assert torch.equal(again, summed), "add_layer_norm without a norm"
                else:
                    kernels.add_layer_norm(summed, None, None, None, weight, bias, y, name)
                    assert torch.equal(summed, x), "add_layer_norm: the residual changed"
                expected = layer_norm(summed.double(), weight, bias)
                compare("add_layer_norm y", y, expected, expected.abs() + bias.double().abs() + 1)
        for tiles, grid, side, width in [(2, 32, 2, 1024), (3, 4, 2, 32), (1, 6, 3, 64)]:
            features, joined = random(tiles, 1 + grid * grid, width), side * side * width
            weight, bias = random(joined), random(joined)
            cells = grid // side
            y = torch.full((tiles * cells * cells, joined), float("nan"), dtype=compute, device="cuda")
            arguments = [features, weight, bias, y, grid, side, width, EPS]
            kernels.launch("vision", f"shuffle_norm_{dtype_name(features)}_{name}", (len(y),), threads_of(joined), arguments)
            patches = features[:, 1:].double().view(tiles, cells, side, cells, side * width)
            expected = layer_norm(patches.transpose(2, 3).reshape(len(y), joined), weight, bias)
            compare("shuffle_norm", y, expected, expected.abs() + bias.double().abs() + 1)
        for tiles, tokens, width in [(2, 1025, 1024), (3, 17, 32)]:
            embedded, class_row, position = random(tiles * (tokens - 1), width), random(1, width), random(tokens, width)
            bias, out = random(width, dtype=compute), torch.full((tiles * tokens, width), float("nan"), dtype=residual, device="cuda")
            kernels.launch("vision", f"vision_rows_{dtype_name(out)}_{name}", (len(out),), threads_of(width), [embedded, bias, class_row, position, out, tokens, width])
            inner = (embedded.float() + bias.float()).to(residual).view(tiles, tokens - 1, width)
            expected = torch.cat([class_row.expand(tiles, 1, width), inner], 1).float() + position.float()
            assert torch.equal(out.view(tiles, tokens, width), expected.to(residual)), "vision_rows"


def check_activations(kernels, compare):
    for residual, compute in [(torch.bfloat16, torch.bfloat16), (torch.float32, torch.float16)]:
        name = dtype_name(torch.empty(0, dtype=compute))
        for rows, width in [(3, 4096), (1025, 4096), (2, 8), (5, 1000)]:
            x, bias = (torch.randn(*shape, device="cuda").to(compute) * 2 for shape in [(rows, width), (width,)])
            inside = (x.float() + bias.float()).to(compute).double()
            expected = inside * 0.5 * (1 + torch.erf(inside * 0.5**0.5))
            kernels.with_bias(f"bias_gelu_{name}", x, bias)
            compare("bias_gelu", x, expected, inside.abs(), 0.1)
            y = torch.randn(rows, width, device="cuda").to(residual)
            expected = y.double() + bias.double()
            kernels.with_bias(f"add_bias_{dtype_name(y)}_{name}", y, bias)
            compare("add_bias", y, expected)
        for tiles, channels, side, patch in [(2, 3, 448, 14), (3, 3, 56, 14), (1, 1, 8, 4)]:
            pixels = torch.randn(tiles, channels, side, side, device="cuda")
            grid = side // patch
            out = torch.full((tiles * grid * grid, channels * patch * patch), float("nan"), dtype=compute, device="cuda")
            kernels.launch("vision", f"patch_rows_{name}", (len(out),), 128, [pixels, out, channels, side, patch])
            expected = pixels.view(tiles, channels, grid, patch, grid, patch).permute(0, 2, 4, 1, 3, 5).reshape(out.shape)
            assert torch.equal(out, expected.to(compute)), "patch_rows"


def check_gemv(kernels, compare):
    for dtype in (torch.bfloat16, torch.float16):
        for out in (dtype, torch.float32):
            for m in (1, 2, 7, 8, 9, 16):
                for n, k in [(1, 32), (9, 96), (4608, 3584), (1003, 18944), (3584, 160), (257, 8192)]:
                    weight, x = (torch.randn(*shape, device="cuda").to(dtype) for shape in [(n, k), (m, k)])
                    y = torch.full((m, n), float("nan"), dtype=out, device="cuda")
                    kernels.gemv(weight, x, y)
                    w, a = weight.double(), x.double()
                    compare(f"gemv {m}x{n}x{k}", y, a @ w.T, 0.3 * (a.abs() @ w.abs().T), 0.0)


def check(kernels):
    compare, failed = Compare(), 0
    for part in [check_norms, check_activations, check_gemv]:
        try:
            part(kernels, compare)
            torch.cuda.synchronize()
        except Exception as error:
            failed += 1
            print(f"{part.__name__}: {error!r}"[:2000])
    print("right:", ", ".join(f"{name} (worst error {error:.2f} of its limit)" for name, error in compare.worst.items()))
    return failed


def time_all(kernels, rate):
    dtype = torch.bfloat16
    print("\nProducts, microseconds\n\n| k, n | m | ours | library | bound |\n|---|---|---|---|---|")
    for k, n in SHAPES:
        weights = [torch.empty(n, k, dtype=dtype, device="cuda").normal_() for _ in range(max(2, ceil(400 << 20, 2 * n * k)))]
        for m in (1, 2, 4, 8, 16):
            x, y = torch.randn(m, k, device="cuda").to(dtype), torch.empty(m, n, dtype=dtype, device="cuda")
            ours = microseconds([lambda w=w: kernels.gemv(w, x, y) for w in weights])
            library = microseconds([lambda w=w: torch.mm(x, w.T, out=y) for w in weights])
            print(f"| {k}, {n} | {m} | {ours:.1f} | {library:.1f} | {2 * n * k / rate * 1e6:.1f} |", flush=True)
        del weights
    print("\n13 tiles, microseconds\n\n| what | ours | bound |\n|---|---|---|")
    rows = 13 * 1025
    x, d, y = (torch.randn(rows, 1024, device="cuda").to(dtype) for _ in range(3))
    v = torch.randn(1024, device="cuda").to(dtype)
    us = microseconds([lambda: kernels.add_layer_norm(x, d, v, v, v, v, y, "bf16")])
    print(f"| add_layer_norm | {us:.1f} | {rows * 1024 * 8 / rate * 1e6:.1f} |")
    inner, bias = torch.randn(rows, 4096, device="cuda").to(dtype), torch.randn(4096, device="cuda").to(dtype)
    us = microseconds([lambda: kernels.with_bias("bias_gelu_bf16", inner, bias)])
    print(f"| bias_gelu | {us:.1f} | {rows * 4096 * 4 / rate * 1e6:.1f} |")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=["check", "time"])
    parser.add_argument("--sources", type=pathlib.Path, default=SOURCES, help="where the .cu files are")
    parser.add_argument("--cubins", type=pathlib.Path, help="where the same files are compiled: NAME.cubin")
    a = parser.parse_args()
    torch.manual_seed(1)
    if a.cubins:
        images = {name: (a.cubins / f"{name}.cubin").read_bytes() for name in FILES}
    else:
        images = {name: compiled(a.sources / f"{name}.cu") for name in FILES}
    kernels = Kernels(images)
    if a.do == "check":
        return check(kernels)
    rate = copy_rate()
    print(f"{torch.cuda.get_device_name()}; a copy moves {rate / 1e12:.2f} TB/s")
    return time_all(kernels, rate)


if __name__ == "__main__":
    sys.exit(main())
