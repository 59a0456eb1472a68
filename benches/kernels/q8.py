#!/usr/bin/env python3
"""Products with 8-bit weights on a GPU: are they right, and how long do they take beside the library's?

    python3 benches/kernels/q8.py check
    python3 benches/kernels/q8.py time [--dtype bf16] [--all]

Needs torch with CUDA and nvcc (or --cubin with src/model/cuda/q8.cu compiled for this GPU). No Rust: kernels
are launched through the driver, with the plans of src/model/cuda/q8.rs.

`check` compares every kernel with torch in f32 over even and odd shapes, and twice with itself.

`time` captures many products in one CUDA graph and divides. Weights rotate over more memory than the
second-level cache holds, as they do in a model. The bound is what reading the weights takes at the rate that a
large copy reaches on the same GPU, bytes read and written counted. `--all` times every kernel that could serve
a shape, to choose between them.
"""

import argparse
import ctypes
import pathlib
import re
import subprocess
import tempfile
import time

import torch

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src" / "model" / "cuda" / "q8.cu"

# Fused qkv, o_proj, fused gate and up, down_proj and lm_head of InternVL3-8B: (k, n).
SHAPES = [(3584, 4608), (3584, 3584), (3584, 37888), (18944, 3584), (3584, 151674)]
ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
# Error of an f32 sum, in parts of the sum of its terms' sizes, and of rounding to the output's type.
SUM_ERROR = 3e-6
ROUNDING = {torch.float32: 2**-24, torch.float16: 2**-11, torch.bfloat16: 2**-8}
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}

# As in q8.rs.
LONG_ROW = 8192
THIN_ROWS_MAX = 64
THIN_WIDTHS = [8, 16, 32]
DEQUANTISE_THREADS = 128


class Driver:
    """The few calls of the CUDA driver that launching needs."""

    def __init__(self, image):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        torch.zeros(1, device="cuda")  # makes the context
        self.module = ctypes.c_void_p()
        start = time.perf_counter()
        self.call("cuModuleLoadData", ctypes.byref(self.module), image)
        self.load_seconds = time.perf_counter() - start
        self.functions = {}

    def call(self, name, *arguments):
        status = getattr(self.cuda, name)(*arguments)
        if status != 0:
            raise RuntimeError(f"{name}: CUDA error {status}")

    def function(self, name, shared_bytes):
        if name not in self.functions:
            self.functions[name] = ctypes.c_void_p()
            self.call("cuModuleGetFunction", ctypes.byref(self.functions[name]), self.module, name.encode())
        # 8: CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        self.call("cuFuncSetAttribute", self.functions[name], 8, shared_bytes)
        return self.functions[name]

    def launch(self, name, grid, threads, shared_bytes, arguments):
        """Arguments are tensors (their addresses), None (a null pointer), ints and floats."""
        values = []
        for argument in arguments:
            if isinstance(argument, int):
                values.append(ctypes.c_int(argument))
            elif isinstance(argument, float):
                values.append(ctypes.c_float(argument))
            else:
                values.append(ctypes.c_void_p(None if argument is None else argument.data_ptr()))
        pointers = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        self.call("cuLaunchKernel", self.function(name, shared_bytes), *grid, *[1] * (3 - len(grid)), threads, 1, 1, shared_bytes, stream, pointers, None)


class Kernels:
    """The kernels with their plans: which one serves a shape, in how many blocks."""

    def __init__(self, driver, source):
        self.driver = driver
        constants = dict(re.findall(r"constexpr int (\w+) = (\d+);", source))
        self.constants = {name: int(value) for name, value in constants.items()}
        properties = torch.cuda.get_device_properties(0)
        self.multiprocessors = properties.multi_processor_count
        self.shared_bytes = properties.shared_memory_per_block_optin

    def gemv(self, x, weights, scales, addend, out):
        rows = next(rows for rows in (1, 2, 4, 8) if rows >= len(x))
        few = rows <= self.constants["GEMV_FEW"]
        columns = self.constants["GEMV_ROWS_OF_FEW" if few else "GEMV_ROWS_OF_MORE"]
        grid = (-(-len(weights) // columns), 1)
        name = f"q8_gemv_{dtype_name(x)}_{rows}"
        threads = 256 if x.shape[1] >= LONG_ROW else 128
        self.driver.launch(name, grid, threads, 0, product_arguments(x, weights, scales, addend, out))

    def thin(self, x, weights, scales, addend, out):
        m, n, rows, depth = len(x), len(weights), self.constants["THIN_ROWS"], self.constants["DEPTH"]
        width = next((width for width in THIN_WIDTHS if width >= m), THIN_WIDTHS[-1])
        grid = (-(-n // rows), -(-m // width))
        blocks = grid[0] * grid[1]
        # A block that is alone on its multiprocessor needs more warps to keep it busy.
        warp_bytes = self.constants["THIN_STAGES"] * (rows * depth + width * depth * 2)
        if blocks <= self.multiprocessors and 8 * warp_bytes <= self.shared_bytes:
            warps = 8
        else:
            warps = 2 if width == 32 and blocks > 4 * self.multiprocessors else 4
        name = f"q8_thin_{dtype_name(x)}_{width}"
        self.driver.launch(name, grid, 32 * warps, warps * warp_bytes, product_arguments(x, weights, scales, addend, out))

    def dequantise(self, weights, scales, dense):
        n, k = weights.shape
        grid = (-(-k // (16 * DEQUANTISE_THREADS)), min(n, 65535))
        self.driver.launch(f"q8_dequantise_{dtype_name(dense)}", grid, DEQUANTISE_THREADS, 0, [weights, scales, dense, n, k])


def dtype_name(x):
    return next(name for name, dtype in DTYPES.items() if dtype == x.dtype)


def product_arguments(x, weights, scales, addend, out):
    (m, k), n = x.shape, len(weights)
    stride = n if addend is not None and addend.dim() == 2 else 0
    return [weights, scales, x, addend, out, stride, int(out.dtype == torch.float32), m, n, k]


def compiled(path):
    major, minor = torch.cuda.get_device_capability()
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "q8.cubin"
        subprocess.run(["nvcc", "-O3", "-std=c++17", f"-arch=sm_{major}{minor}", "-cubin", "-o", out, path], check=True)
        return out.read_bytes()


def random_weights(n, k):
    weights = torch.randint(-127, 128, (n, k), dtype=torch.int8, device="cuda")
    scales = torch.rand(n, device="cuda") * 0.01 + 0.001
    return weights, scales


def check(kernels):
    worst = {}

    def compare(name, ours, expected, size):
        limit = SUM_ERROR * size + ROUNDING[ours.dtype] * expected.abs()
        part = ((ours.double() - expected).abs() / limit).max().item()
        assert part <= 1, f"{name}: {part:.2f} of the error that it may have"
        key = name.split(" ")[0]
        worst[key] = max(worst.get(key, 0.0), part)

    def product(name, kernel, x, weights, scales, addends):
        m, n = len(x), len(weights)
        plain = x.double() @ weights.double().T * scales.double()
        size = x.double().abs() @ weights.double().abs().T * scales.double()
        for addend in addends:
            for dtype in {x.dtype, torch.float32}:
                outs = [torch.full((m, n), float("nan"), dtype=dtype, device="cuda") for _ in range(2)]
                for out in outs:
                    kernel(x, weights, scales, addend, out)
                expected, scale = plain, size
                if addend is not None:
                    expected, scale = plain + addend.double(), size + addend.double().abs()
                compare(f"{name} {m}x{weights.shape}", outs[0], expected, scale + 1e-9)
                assert torch.equal(*outs), f"{name} {m}x{weights.shape}: two runs differ"

    shapes = [(4608, 3584), (3584, 18944), (130, 64), (1, 16), (257, 3600), (15167, 256), (129, 4112)]
    for n, k in shapes:
        weights, scales = random_weights(n, k)
        for dtype in DTYPES.values():
            for m in [1, 2, 3, 5, 8, 9, 16, 17, 31, 33, 64, 65, 128, 129, 256, 300]:
                x = torch.randn(m, k, dtype=dtype, device="cuda")
                addends = [None, torch.randn(n, dtype=dtype, device="cuda"), torch.randn(m, n, dtype=dtype, device="cuda")]
                if m <= 8:
                    product("gemv", kernels.gemv, x, weights, scales, addends)
                if m <= 2 * THIN_ROWS_MAX and dtype != torch.float32:
                    product("thin", kernels.thin, x, weights, scales, addends)
    for n, k in shapes + [(33, 77), (5, 1), (70001, 24)]:
        weights, scales = random_weights(n, k)
        for dtype in DTYPES.values():
            dense = torch.full((n, k), float("nan"), dtype=dtype, device="cuda")
            kernels.dequantise(weights, scales, dense)
            expected = weights.double() * scales.double()[:, None]
            compare("dequantise", dense, expected, expected.abs() + 1e-9)
    print("right:", ", ".join(f"{name} (worst error {part:.2f} of its limit)" for name, part in worst.items()))


def copy_rate():
    """Bytes a second, read and written, of a large copy."""
    a, b = (torch.zeros(2**28, device="cuda") for _ in range(2))
    return 8 * a.numel() / microseconds([lambda: torch.neg(a, out=b)]) * 1e6


def microseconds(calls, rounds=5):
    """Time of one of `calls`, the best of some replays of a graph of all of them."""
    for call in calls[:2]:
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    repeats = max(1, 40 // len(calls))
    with torch.cuda.graph(graph):
        for _ in range(repeats):
            for call in calls:
                call()
    graph.replay()
    best = float("inf")
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end) * 1000 / (repeats * len(calls)))
    return best


def candidates(kernels, m, everything):
    """Name and kernel of what serves `m` rows, or of all that could; none is the library on the dense matrix."""
    gemv, thin, dequantise = ("gemv", kernels.gemv), ("thin", kernels.thin), ("dequantise", None)
    if everything:
        return [gemv] * (m <= 8) + [thin] * (m <= 2 * THIN_ROWS_MAX) + [dequantise]
    return [gemv if m <= 1 else thin if m <= THIN_ROWS_MAX else dequantise]


def measure(kernels, dtype, everything, rows, shapes):
    rate = copy_rate()
    print(f"{torch.cuda.get_device_name()}, {dtype}, microseconds; a copy moves {rate / 1e12:.2f} TB/s\n")
    print("| k, n | m | ours | library | bound |\n|---|---|---|---|---|")
    for k, n in shapes:
        copies = max(1, -(-(400 << 20) // (n * k)))
        quantised = [random_weights(n, k) for _ in range(copies)]
        dense = [(w * s[:, None]).to(DTYPES[dtype]) for w, s in quantised[: max(1, copies // 2)]]
        for m in rows:
            x = torch.randn(m, k, dtype=DTYPES[dtype], device="cuda")
            out = torch.empty(m, n, dtype=DTYPES[dtype], device="cuda")
            library = microseconds([lambda w=w: torch.mm(x, w.T, out=out) for w in dense])
            ours = []
            for name, kernel in candidates(kernels, m, everything):
                if kernel is None:
                    scratch = torch.empty_like(dense[0])
                    calls = [lambda w=w, s=s: (kernels.dequantise(w, s, scratch), torch.mm(x, scratch.T, out=out)) for w, s in quantised]
                else:
                    calls = [lambda w=w, s=s, kernel=kernel: kernel(x, w, s, None, out) for w, s in quantised]
                ours.append(f"{name} {microseconds(calls):.1f}")
            print(f"| {k}, {n} | {m} | {', '.join(ours)} | {library:.1f} | {n * k / rate * 1e6:.1f} |", flush=True)
        del quantised, dense


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "time"])
    parser.add_argument("--source", type=pathlib.Path, default=SOURCE, help="q8.cu")
    parser.add_argument("--cubin", type=pathlib.Path, help="q8.cu compiled, machine code or PTX")
    parser.add_argument("--dtype", choices=["f16", "bf16"], default="bf16")
    parser.add_argument("--all", action="store_true", help="time every kernel that could serve")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--shapes", type=int, nargs="+", help="indices of shapes")
    a = parser.parse_args()
    torch.manual_seed(1)
    image = a.cubin.read_bytes() if a.cubin else compiled(a.source)
    driver = Driver(image + b"\0")
    print(f"module loaded in {driver.load_seconds:.2f} s")
    kernels = Kernels(driver, a.source.read_text())
    if a.what == "check":
        check(kernels)
    else:
        measure(kernels, a.dtype, a.all, a.rows, [SHAPES[i] for i in a.shapes] if a.shapes else SHAPES)


if __name__ == "__main__":
    main()
