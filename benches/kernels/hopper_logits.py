#!/usr/bin/env python3
"""Logits of 129 rows and more on compute capability 9.0: are they right, and how long do they take?

    python3 benches/kernels/hopper_logits.py check
    python3 benches/kernels/hopper_logits.py time

As hopper_swiglu.py, with the launches of src/model/cuda/hopper_logits.rs. `time` has beside each figure what the library takes
(cuBLAS through torch, f32 out of bf16) and two bounds: what reading the weight once and writing the logits takes at the
rate of a large copy, and the products at the rate of a large square one.
"""

import argparse
import pathlib

import torch
from hopper import Hopper, found_arguments
from hopper_swiglu import ceil, compiled, milliseconds
from q8 import SUM_ERROR, dtype_name

# As in the kernels and their launcher.
ROWS, COLUMNS, BOX_ROWS, DEPTH, STAGES, BLOCKS = 128, 256, 64, 64, 4, 2
SHARED_BYTES = 1024 + STAGES * (ROWS + COLUMNS) * 128 + STAGES * 16
THREADS = 3 * 128

HIDDEN, VOCABULARY = 3584, 151674


class Logits:
    def __init__(self, image):
        self.driver = Hopper(image)
        self.blocks = BLOCKS * self.driver.clusters("hopper_logits_bf16", THREADS, SHARED_BYTES, BLOCKS)

    def call(self, x, weight, out, same_rows=None, found=None):
        """As Products.call; parts are a row's tiles."""
        (m, k), n = x.shape, len(weight)
        maps = [self.driver.map(matrix, BOX_ROWS, 64) for matrix in (x, weight)]
        name = f"hopper_logits_{dtype_name(x)}"
        config = self.driver.config(name, (self.blocks,), THREADS, SHARED_BYTES, BLOCKS)
        tiles = ceil(m, ROWS)
        same_rows = tiles % BLOCKS == 1 if same_rows is None else same_rows
        arguments = [*(map for map, _ in maps), out, m, n, k, int(same_rows), ceil(tiles, 1 if same_rows else BLOCKS), *found_arguments(found)]
        keep = (maps, x, weight, out)
        return lambda: (self.driver.launch_ex(name, config, arguments), keep)[0]


def check(logits):
    torch.manual_seed(1)
    worst = 0
    for n, k in [(VOCABULARY, HIDDEN), (128, 64), (136, 72), (1, 8), (1003, 264), (4864, 896), (8961, 1536)]:
        for dtype in (torch.bfloat16, torch.float16):
            weight = torch.randn(n, k, device="cuda").to(dtype)
            for m in [1, 64, 65, 128, 129, 160, 200, 256, 300]:
                x = torch.randn(m, k, device="cuda").to(dtype)
                expected = x.double() @ weight.double().T
                limit = SUM_ERROR * (x.double().abs() @ weight.double().abs().T)
                for same_rows in (False, True):
                    # Nothing beside the result is written.
                    rooms = [torch.full(((m + 2) * n + 2,), float("nan"), device="cuda") for _ in range(2)]
                    first = n + n % 2
                    for room in rooms:
                        logits.call(x, weight, room[first : first + m * n], same_rows)()
                    torch.cuda.synchronize()
                    out, name = rooms[0][first : first + m * n].view(m, n), f"{dtype} {m} x {n} of {k}, same rows {same_rows}"
                    part = ((out.double() - expected).abs() / limit).max().item()
                    assert part <= 1, f"{name}: {part} of the error that it may have"
                    assert rooms[0][:first].isnan().all() and rooms[0][first + m * n :].isnan().all(), f"{name}: wrote beside"
                    assert torch.equal(out, rooms[1][first : first + m * n].view(m, n)), f"{name}: two runs differ"
                    worst = max(worst, part)
    print(f"right: {worst:.2f} of the error that it may have")


def time(logits, rows, dtype=torch.bfloat16):
    big = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    to = torch.empty_like(big)
    square = torch.randn(8192, 8192, device="cuda").to(dtype)
    into = torch.empty_like(square)
    copy, product = milliseconds([lambda: to.copy_(big), lambda: torch.mm(square, square, out=into)])
    bytes_a_ms, flops_a_ms = 2 * len(big) / copy, 2 * 8192**3 / product
    print(f"{torch.cuda.get_device_name()}, {logits.blocks} blocks, {dtype}, {HIDDEN} to {VOCABULARY}, ms; copies {bytes_a_ms / 1e9:.2f} TB/s, products {flops_a_ms / 1e9:.0f} TFLOP/s")
    weight = (torch.randn(VOCABULARY, HIDDEN, device="cuda") * HIDDEN**-0.5).to(dtype)
    for m in rows:
        x = torch.randn(m, HIDDEN, device="cuda").to(dtype)
        out = torch.empty(m, VOCABULARY, device="cuda")
        library = lambda: torch.mm(x, weight.T, out_dtype=torch.float32, out=out)
        theirs, ours = milliseconds([library, logits.call(x, weight, out)])
        moved, computed = (2 * weight.numel() + 4 * out.numel()) / bytes_a_ms, 2 * m * weight.numel() / flops_a_ms
        print(f"{m}: cuBLAS {theirs:.3f}, ours {ours:.3f}; bounds {moved:.3f} moved, {computed:.3f} multiplied", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "time"])
    parser.add_argument("--cubins", type=pathlib.Path, help="where the files are compiled: NAME.cubin")
    parser.add_argument("--rows", type=int, nargs="+", default=[96, 128, 129, 160, 192, 224, 256, 512])
    a = parser.parse_args()
    image = lambda name, *target: (a.cubins / f"{name}.cubin").read_bytes() if a.cubins else compiled(name, *target)
    logits = Logits(image("hopper_logits", "-gencode=arch=compute_90a,code=sm_90a"))
    if a.what == "check":
        check(logits)
    else:
        time(logits, a.rows)


if __name__ == "__main__":
    main()
