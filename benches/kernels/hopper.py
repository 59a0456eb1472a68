#!/usr/bin/env python3
"""Products that stream their weights on compute capability 9.0: are they right, and how long do they take?

    python3 benches/kernels/hopper.py check
    python3 benches/kernels/hopper.py time [--all] [--rows 16 64]

As q8.py and decode.py, with the plans of src/model/cuda/hopper.rs. `--all` times every cut of a shape, to
choose between them.
"""

import argparse
import ctypes
import pathlib
import subprocess
import sys
import tempfile

import torch
from q8 import ROUNDING, SHAPES, SUM_ERROR, Driver, copy_rate, dtype_name, microseconds, random_weights

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src" / "model" / "cuda"

# As in the kernels and their launchers.
TILE_ROWS, ROW_BYTES, GROUPS = 64, 128, 2
WIDTHS = [8, 16, 32, 64, 128]
TILES = {8: [2, 5], 16: [2, 5], 32: [2, 5], 64: [2, 5], 128: [2, 3]}
STAGES_MAX = 12
SHARED_BYTES = 232448


def ceil(a, b):
    return -(-a // b)


def found_arguments(found):
    best, needs, never = found or (None, None, 2**31 - 1)
    return [best, 0 if best is None else best.shape[1], needs, never]


class Attribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int), ("pad", ctypes.c_int), ("value", ctypes.c_uint * 16)]


class Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint) for name in "gx gy gz bx by bz shared".split()]
    _fields_ += [("stream", ctypes.c_void_p), ("attributes", ctypes.POINTER(Attribute)), ("count", ctypes.c_uint)]


class TensorMap(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint64 * 16)]


class Hopper(Driver):
    """Launches with clusters, overlap and tensor maps."""

    def map(self, matrix, rows, columns):
        """Boxes of rows x columns of a matrix, columns in 128 swizzled bytes or 64."""
        raw = (ctypes.c_ubyte * 192)()
        at = ctypes.addressof(raw)
        at += -at % 64
        u64, u32 = ctypes.c_uint64, ctypes.c_uint32
        size = matrix.element_size()
        self.call("cuTensorMapEncodeTiled", ctypes.c_void_p(at), size - 1, 2, ctypes.c_void_p(matrix.data_ptr()), (u64 * 2)(matrix.shape[1], matrix.shape[0]), (u64 * 1)(matrix.stride(0) * size), (u32 * 2)(columns, rows), (u32 * 2)(1, 1), 0, 3 if columns * size == ROW_BYTES else 2, 3, 0)
        return ctypes.cast(at, ctypes.POINTER(TensorMap))[0], raw

    def config(self, name, grid, threads, shared_bytes, cluster, overlap=True):
        attributes = (Attribute * 2)()
        attributes[0].id, attributes[0].value[0], attributes[0].value[1], attributes[0].value[2] = 4, cluster, 1, 1
        attributes[1].id, attributes[1].value[0] = 6, 1
        stream = torch.cuda.current_stream().cuda_stream
        return Config(*grid, *[1] * (3 - len(grid)), threads, 1, 1, shared_bytes, stream, attributes, 1 + overlap)

    def clusters(self, name, threads, shared_bytes, cluster):
        count = ctypes.c_int()
        config = self.config(name, (cluster, 1000), threads, shared_bytes, cluster, False)
        self.call("cuOccupancyMaxActiveClusters", ctypes.byref(count), self.function(name, shared_bytes), ctypes.byref(config))
        return count.value

    def launch_ex(self, name, config, arguments):
        values = []
        for argument in arguments:
            if isinstance(argument, TensorMap):
                values.append(argument)
            elif isinstance(argument, int):
                values.append(ctypes.c_int(argument))
            elif isinstance(argument, float):
                values.append(ctypes.c_float(argument))
            else:
                values.append(ctypes.c_void_p(None if argument is None else argument.data_ptr()))
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
        config.stream = torch.cuda.current_stream().cuda_stream
        self.call("cuLaunchKernelEx", ctypes.byref(config), self.function(name, config.shared), pointers, None)


class Products:
    def __init__(self, driver):
        self.driver = driver
        self.counts = {}

    def plan(self, weights, m, out, dtype, cluster, tiles_max=5):
        """Or None, where a cluster of this size has more rows than fit."""
        n, k = weights.shape
        q8 = weights.element_size() == 1
        width = next(width for width in WIDTHS if width >= m)
        tiles_max = min(tiles_max, TILES[width][-1])
        chunk = ROW_BYTES // weights.element_size()
        prefix = f"product_{dtype_name(dtype)}_{'q8_' * q8}{dtype_name(out)}_{width}"
        if cluster not in self.counts:
            self.counts[cluster] = self.driver.clusters("product_bf16_q8_bf16_8_2", 32 + 128 * GROUPS, SHARED_BYTES, cluster)
        clusters = self.counts[cluster]
        rows = ceil(ceil(n, clusters), 4) * 4
        passes = ceil(rows, TILE_ROWS * tiles_max)
        if cluster > 1 and passes > 1 or ceil(k, chunk) < cluster:
            return None
        pass_rows = ceil(ceil(rows, passes), 4) * 4
        tiles = next(tiles for tiles in TILES[width] if tiles * TILE_ROWS >= pass_rows)
        weight_bytes, x_bytes = ceil(pass_rows, 8) * 8 * ROW_BYTES, width * chunk * 2
        fixed = 1024 + tiles * TILE_ROWS * ROW_BYTES - weight_bytes + 16 * STAGES_MAX
        stages = min(STAGES_MAX, (SHARED_BYTES - fixed) // (weight_bytes + x_bytes))
        turns = passes * ceil(ceil(k, chunk), cluster)
        stages = min(stages, turns)
        shared = fixed + stages * (weight_bytes + x_bytes)
        kept = 1024 + (ceil(pass_rows, 16) * 16 + 4) * width * 4 if cluster > 1 else 0
        shared = max(shared, kept)
        grid = (cluster, ceil(n, rows))
        return dict(name=f"{prefix}_{tiles}", grid=grid, shared=shared, cluster=cluster, rows=rows, pass_rows=pass_rows, stages=stages, width=width, chunk=chunk)

    def parts(self, n):
        """Parts that each row of logits is left in, where no cluster has several blocks: one of each warp that multiplies."""
        rows = ceil(ceil(n, torch.cuda.get_device_properties(0).multi_processor_count), 4) * 4
        return ceil(n, rows) * 4 * GROUPS

    def call(self, plan, weights, scales, x, y, found=None):
        """`found` are where the parts of logits are left, [rows, parts, 4], what each row needs, and the token that is not chosen."""
        driver = self.driver
        columns = plan["chunk"]
        whole = driver.map(weights, TILE_ROWS, columns)
        rest = driver.map(weights, plan["pass_rows"] % TILE_ROWS or TILE_ROWS, columns)
        xs = driver.map(x, plan["width"], 64)
        config = driver.config(plan["name"], plan["grid"], 32 + 128 * GROUPS, plan["shared"], plan["cluster"])
        (m, k), n = x.shape, len(weights)
        arguments = [whole[0], rest[0], xs[0], scales, y, m, n, k, plan["rows"], plan["pass_rows"], plan["stages"], *found_arguments(found)]
        keep = (whole, rest, xs, weights, x, y, scales)
        return lambda: (driver.launch_ex(plan["name"], config, arguments), keep)[0]


def compiled(path):
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "out.cubin"
        subprocess.run(["nvcc", "-O3", "-std=c++17", "-gencode=arch=compute_90a,code=sm_90a", "-cubin", "-o", out, path], check=True)
        return out.read_bytes()


def check(products, dtypes):
    worst = {}
    shapes = [(4608, 3584), (3584, 18944), (37888, 3584), (40001, 1024), (130, 64), (4, 128), (257, 3600), (15167, 256), (1026, 4112)]
    bad = 0
    for n, k in shapes:
        for q8 in (False, True):
            for dtype in dtypes:
                if q8:
                    weights, scales = random_weights(n, k)
                else:
                    weights, scales = torch.randn(n, k, device="cuda").to(dtype), None
                for m in [1, 8, 9, 31, 64, 65, 128]:
                    x = torch.randn(m, k, dtype=dtype, device="cuda")
                    scale = 1 if scales is None else scales.double()
                    expected = x.double() @ weights.double().T * scale
                    size = x.double().abs() @ weights.double().abs().T * scale
                    for cluster in (1, 2, 4, 8):
                        for out in (dtype, torch.float32):
                            plan = products.plan(weights, m, torch.empty(0, dtype=out), x, cluster)
                            if plan is None:
                                continue
                            ys = [torch.full((m, n), float("nan"), dtype=out, device="cuda") for _ in range(2)]
                            for y in ys:
                                products.call(plan, weights, scales, x, y)()
                            torch.cuda.synchronize()
                            limit = SUM_ERROR * size + ROUNDING[out] * expected.abs() + 1e-9
                            part = ((ys[0].double() - expected).abs() / limit).max().item()
                            name = f"{'q8' if q8 else dtype_name(x)} {m}x{n}x{k} cluster {cluster} {plan}"
                            if not part <= 1 or not torch.equal(*ys):
                                bad += 1
                                wrong = ((ys[0].double() - expected).abs() / limit) > 1
                                wrong |= ys[0].isnan()
                                if bad < 12:
                                    at = wrong.nonzero()
                                    print("WRONG", name, part, int(wrong.sum()), "of", wrong.numel(), at[:3].tolist(), at[-2:].tolist(), "runs differ" * (not torch.equal(*ys)))
                            key = "q8" if q8 else dtype_name(x)
                            worst[key] = max(worst.get(key, 0.0), part)
    print("wrong" if bad else "right", bad, worst)
    return bad


def measure(products, rows, everything, shapes):
    rate = copy_rate()
    print(f"{torch.cuda.get_device_name()}; a copy moves {rate / 1e12:.2f} TB/s; clusters {products.counts}")
    for k, n in shapes:
        for q8 in (False, True):
            size = n * k * (1 if q8 else 2)
            copies = max(2, ceil(400 << 20, size))
            if q8:
                made = [random_weights(n, k) for _ in range(copies)]
            else:
                made = [(torch.randn(n, k, device="cuda").to(torch.bfloat16), None) for _ in range(copies)]
            for m in rows:
                x = torch.randn(m, k, device="cuda").to(torch.bfloat16)
                y = torch.empty(m, n, device="cuda", dtype=torch.bfloat16)
                line = []
                if not q8:
                    line.append(f"cublas {microseconds([lambda w=w: torch.mm(x, w.T, out=y) for w, _ in made]):.1f}")
                for cluster in (1, 2, 4, 8):
                    for tiles_max in (5, 3) if everything else (5,):
                        plan = products.plan(made[0][0], m, y, x, cluster, tiles_max)
                        if plan is None:
                            continue
                        calls = [products.call(plan, w, s, x, y) for w, s in made]
                        line.append(f"c{cluster}t{plan['name'][-1]}r{plan['pass_rows']}s{plan['stages']} {microseconds(calls):.1f}")
                print(f"{k},{n} {'q8' if q8 else 'bf16'} m={m} bound {size / rate * 1e6:.1f}: " + ", ".join(line), flush=True)
            del made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=["check", "time"])
    parser.add_argument("--sources", type=pathlib.Path, default=SOURCES)
    parser.add_argument("--cubins", type=pathlib.Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    parser.add_argument("--shapes", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    a = parser.parse_args()
    torch.manual_seed(1)
    name = "hopper_product"
    image = (a.cubins / f"{name}.cubin").read_bytes() if a.cubins else compiled(a.sources / f"{name}.cu")
    products = Products(Hopper(image))
    if a.do == "check":
        return check(products, [torch.bfloat16, torch.float16])
    return measure(products, a.rows, a.all, [SHAPES[i] for i in a.shapes])


if __name__ == "__main__":
    sys.exit(main())
