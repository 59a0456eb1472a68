#!/usr/bin/env python3
"""Do the CUDA kernels compile for every GPU that Tessera means to run on?

    pip install 'nvidia-cuda-nvrtc-cu12==12.9.*' 'nvidia-cuda-runtime-cu12==12.9.*' 'nvidia-cuda-cccl-cu12==12.9.*'
    python3 benches/kernels/check_archs.py
    python3 benches/kernels/check_archs.py --library ~/.cargo/registry/src/*/candle-kernels-*/src

With --library the tensor library's kernels that the model runs are compiled too.
CUDA 13 no longer compiles for sm_70; NVRTC of CUDA 12.9 does, and needs no GPU and no C++ compiler. The kernels
are compiled to machine code and not run: this shows that a GPU's build does not fail, not that its results are
right.
"""

import argparse
import ctypes
import pathlib
import re
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Of the tensor library's, those that a forward pass uses.
LIBRARY = ("affine", "binary", "cast", "fill", "indexing", "reduce", "ternary", "unary")
# What the library's sources take from a host compiler, which NVRTC does not have.
HEADERS = {
    b"stdint.h": b"typedef signed char int8_t; typedef unsigned char uint8_t; typedef short int16_t; typedef unsigned short uint16_t;"
    b"typedef int int32_t; typedef unsigned int uint32_t; typedef long long int64_t; typedef unsigned long long uint64_t;"
    b"typedef unsigned long long uintptr_t; typedef long long intptr_t;",
    b"cmath": b"#define INFINITY __int_as_float(0x7f800000)\n#define M_2_SQRTPI 1.12837916709551257390\n#define M_SQRT1_2 0.70710678118654752440\n",
    b"cuda.h": b"#define CUDA_VERSION 12090\n", b"math.h": b"#include <cmath>\n", b"stdlib.h": b"", b"stdio.h": b"", b"cassert": b"#define assert(x)", b"assert.h": b"#define assert(x)",
}
GPUS = {70: "V100", 75: "T4", 80: "A100", 86: "A10", 89: "L4, L40S", 90: "H100, H200"}


def compiled(nvrtc, path, includes, arch):
    """The log, and the machine code or None."""
    program = ctypes.c_void_p()
    source = path.read_bytes()
    names, texts = ((ctypes.c_char_p * len(HEADERS))(*part) for part in (HEADERS.keys(), HEADERS.values()))
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, path.name.encode(), len(HEADERS), texts, names)
    options = [f"--gpu-architecture=sm_{arch}", "--std=c++17", *(f"--include-path={include}" for include in (*includes, path.parent))]
    array = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
    status = nvrtc.nvrtcCompileProgram(program, len(options), array)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    if status != 0:
        return log.value.decode(), None
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, code)
    return log.value.decode(), code.raw


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuda", type=pathlib.Path, default=pathlib.Path(sysconfig.get_path("purelib")) / "nvidia", help="where cuda_nvrtc and cuda_runtime are")
    parser.add_argument("--library", type=pathlib.Path, help="the sources of candle-kernels")
    a = parser.parse_args()
    nvrtc = ctypes.CDLL(str(next((a.cuda / "cuda_nvrtc" / "lib").glob("libnvrtc.so*"))))
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    print(f"NVRTC {major.value}.{minor.value}, compiled and not run\n\n| file | GPU | kernels | machine code, KiB |\n|---|---|---|---|")
    failed = False
    includes = [a.cuda / part / "include" for part in ("cuda_runtime", "cuda_cccl")]
    paths = sorted((ROOT / "src" / "model" / "cuda").glob("*.cu"))
    if a.library:
        includes.append(a.library)
        paths += [a.library / f"{name}.cu" for name in LIBRARY]
    for path in paths:
        # Instructions that compute capability 9.0 alone has.
        gpus = {"90a": GPUS[90]} if path.name.startswith("hopper_") else GPUS
        for arch, gpu in gpus.items():
            log, code = compiled(nvrtc, path, includes, arch)
            if code is None:
                failed = True
                print(f"| {path.name} | sm_{arch} ({gpu}) | failed | |\n{log}", file=sys.stderr)
            else:
                kernels = set(re.findall(rb"\.text\.(\w+)\0", code))
                print(f"| {path.name} | sm_{arch} ({gpu}) | {len(kernels)} | {len(code) >> 10} |", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
