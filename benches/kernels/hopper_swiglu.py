#!/usr/bin/env python3
"""An MLP's first product with SwiGLU on compute capability 9.0: is it right, and how long does it take?

    python3 benches/kernels/hopper_swiglu.py check
    python3 benches/kernels/hopper_swiglu.py time [--all]

As hopper.py, with the launches of src/model/cuda/hopper_swiglu.rs. `time` has beside each figure what the library takes for
the product alone (cuBLAS through torch), and with the kernel of mlp.cu behind it. Products of normally distributed numbers
run at the GPU's limit of power, so each is repeated for most of a second, in turns, and the mean is told. `--all` times every
way to hand out tiles, to choose between them.
"""

import argparse
import itertools
import pathlib
import subprocess
import tempfile

import torch
from hopper import SOURCES, Hopper
from q8 import ROUNDING, SUM_ERROR, Driver, dtype_name

# As in the kernels and their launcher.
ROWS, BOX_ROWS, OUT_COLUMNS, BLOCKS = 128, 64, 32, 2
# Columns of a tile, with the stages ahead that fit and the rows of a box of the weight.
WIDTHS = {128: (4, 64), 96: (5, 96)}
THREADS = 3 * 128
BAND_ROWS = 4096
# Numbers of rows that narrow tiles serve.
OF_PASSES = [range(160, 257), range(448, 513)]


def shared_bytes(columns):
    stages, _ = WIDTHS[columns]
    return 1024 + stages * (ROWS + 2 * columns) * 128 + ROWS * columns * 2 + stages * 16


HIDDEN, INNER = 3584, 18944


def ceil(a, b):
    return -(-a // b)


def compiled(name, *target):
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "out.cubin"
        subprocess.run(["nvcc", "-O3", "-std=c++17", *target, "-cubin", "-o", out, SOURCES / f"{name}.cu"], check=True)
        return out.read_bytes()


class Swiglu:
    def __init__(self, image):
        self.driver = Hopper(image)
        counts = [self.driver.clusters(f"hopper_swiglu_bf16_{columns}", THREADS, shared_bytes(columns), BLOCKS) for columns in WIDTHS]
        self.clusters = min(counts)

    def plan(self, m, n, columns=None, same_rows=None, band=None):
        """Columns of a tile, so that all waves of tiles take least, and how tiles are handed out."""
        tiles = ceil(m, ROWS)
        same_rows = tiles % BLOCKS == 1 if same_rows is None else same_rows
        rows = tiles if same_rows else ceil(tiles, BLOCKS)
        across = lambda columns: ceil(ceil(n, columns), BLOCKS if same_rows else 1)
        cost = lambda columns: ceil(rows * across(columns), self.clusters) * columns
        widths = WIDTHS if any(m in rows for rows in OF_PASSES) else [128]
        return columns or min(widths, key=cost), int(same_rows), band or ceil(rows, ceil(m, BAND_ROWS))

    def call(self, x, weight, out, **ways):
        (m, k), n = x.shape, len(weight) // 2
        columns, same_rows, band = self.plan(m, n, **ways)
        maps = [self.driver.map(x, BOX_ROWS, 64), self.driver.map(weight, WIDTHS[columns][1], 64), self.driver.map(out, BOX_ROWS, OUT_COLUMNS)]
        name = f"hopper_swiglu_{dtype_name(x)}_{columns}"
        config = self.driver.config(name, (self.clusters * BLOCKS,), THREADS, shared_bytes(columns), BLOCKS)
        arguments = [*(map for map, _ in maps), m, n, k, same_rows, band]
        keep = (maps, x, weight, out)
        return lambda: (self.driver.launch_ex(name, config, arguments), keep)[0]


def check(swiglu):
    torch.manual_seed(1)
    worst = 0
    for n, k in [(INNER, HIDDEN), (128, 64), (136, 72), (8, 8), (1000, 264), (4864, 896), (8960, 1536), (3 * 128, 4096)]:
        for dtype in (torch.bfloat16, torch.float16):
            weight = (torch.randn(2 * n, k, device="cuda") * 3 * k**-0.5).to(dtype)
            for m in [1, 64, 65, 128, 129, 256, 300, 1000, 1856, 2048, 3400]:
                x = torch.randn(m, k, device="cuda").to(dtype)
                products = x.double() @ weight.double().T
                sizes = SUM_ERROR * (x.double().abs() @ weight.double().abs().T)
                gate, up, gate_error, up_error = *products.split(n, 1), *sizes.split(n, 1)
                silu = gate * gate.sigmoid()
                expected = silu * up
                limit = up.abs() * 1.1 * gate_error + silu.abs() * up_error + (ROUNDING[dtype] + 1e-6) * expected.abs() + 2**-25
                for columns, same_rows in itertools.product(WIDTHS, (False, True)):
                    # Nothing beside the result is written.
                    rooms = [torch.full((m + 2, n), float("nan"), dtype=dtype, device="cuda") for _ in range(2)]
                    for room in rooms:
                        swiglu.call(x, weight, room[1:-1], columns=columns, same_rows=same_rows)()
                    torch.cuda.synchronize()
                    out, name = rooms[0][1:-1], f"{dtype} {m} x {n} of {k}, {columns} columns, same rows {same_rows}"
                    part = ((out.double() - expected).abs() / limit).max().item()
                    assert part <= 1, f"{name}: {part} of the error that it may have"
                    assert rooms[0][0].isnan().all() and rooms[0][-1].isnan().all(), f"{name}: wrote beside"
                    assert torch.equal(out, rooms[1][1:-1]), f"{name}: two runs differ"
                    worst = max(worst, part)
    print(f"right: {worst:.2f} of the error that it may have")


def milliseconds(calls, rounds=6, seconds=0.12):
    """The mean time of each call, in turns, after each has warmed the GPU up."""
    graphs = []
    for call in calls:
        call()
        torch.cuda.synchronize()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        repeats = max(4, int(seconds * 1000 / max(start.elapsed_time(end), 0.05)))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(repeats):
                call()
        graphs.append((graph, repeats))
    totals = [0.0] * len(calls)
    for number in range(rounds):
        for i, (graph, repeats) in enumerate(graphs):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            if number > 0:
                totals[i] += start.elapsed_time(end) / repeats / (rounds - 1)
    return totals


def time(swiglu, mlp, everything, rows, dtype=torch.bfloat16):
    print(f"{torch.cuda.get_device_name()}, {swiglu.clusters} clusters, {dtype}, {HIDDEN} to 2 x {INNER}, ms\n")
    weight = (torch.randn(2 * INNER, HIDDEN, device="cuda") * HIDDEN**-0.5).to(dtype)
    for m in rows:
        x = torch.randn(m, HIDDEN, device="cuda").to(dtype)
        both, out = (torch.empty(m, n, dtype=dtype, device="cuda") for n in (2 * INNER, INNER))
        product = lambda: torch.mm(x, weight.T, out=both)
        after = lambda: mlp.launch(f"swiglu_{dtype_name(x)}", (ceil(INNER // 8, 256), m), 256, 0, [both, out, INNER])
        ways = {"": {}}
        if everything:
            ways = {f" {c} same_rows={s} band={b}": {"columns": c, "same_rows": s, "band": b} for c in WIDTHS for s in (False, True) for b in (4, 8, 16, 32, 64) if b <= max(4, 2 * ceil(m, ROWS))}
        names = ["cuBLAS", "cuBLAS and SwiGLU", *(f"ours{way}" for way in ways)]
        calls = [product, lambda: (product(), after()), *(swiglu.call(x, weight, out, **way) for way in ways.values())]
        flops = 2 * m * HIDDEN * 2 * INNER
        told = [f"{name} {ms:.3f} ({flops / ms / 1e9:.0f} TFLOP/s)" for name, ms in zip(names, milliseconds(calls))]
        print(f"{m}: " + ", ".join(told), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "time"])
    parser.add_argument("--cubins", type=pathlib.Path, help="where the files are compiled: NAME.cubin")
    parser.add_argument("--rows", type=int, nargs="+", default=[448, 512, 1024, 1087, 1856, 2048, 2111, 3400, 4096, 8192, 16384])
    parser.add_argument("--all", action="store_true")
    a = parser.parse_args()
    image = lambda name, *target: (a.cubins / f"{name}.cubin").read_bytes() if a.cubins else compiled(name, *target)
    swiglu = Swiglu(image("hopper_swiglu", "-gencode=arch=compute_90a,code=sm_90a"))
    if a.what == "check":
        check(swiglu)
    else:
        time(swiglu, Driver(image("mlp", "-arch=sm_90")), a.all, a.rows)


if __name__ == "__main__":
    main()
