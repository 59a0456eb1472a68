#!/usr/bin/env python3
"""Do the CUDA kernels compile for every GPU that Tessera means to run on?

    pip install 'nvidia-cuda-nvrtc-cu12==12.9.*' 'nvidia-cuda-runtime-cu12==12.9.*'
    python3 benches/kernels/check_archs.py

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
GPUS = {70: "V100", 75: "T4", 80: "A100", 86: "A10", 89: "L4, L40S", 90: "H100, H200"}


def compiled(nvrtc, path, include, arch):
    """The log, and the machine code or None."""
    program = ctypes.c_void_p()
    source = path.read_bytes()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, path.name.encode(), 0, None, None)
    options = [f"--gpu-architecture=sm_{arch}", "--std=c++17", f"--include-path={include}", f"--include-path={path.parent}"]
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
    a = parser.parse_args()
    nvrtc = ctypes.CDLL(str(next((a.cuda / "cuda_nvrtc" / "lib").glob("libnvrtc.so*"))))
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    print(f"NVRTC {major.value}.{minor.value}, compiled and not run\n\n| file | GPU | kernels | machine code, KiB |\n|---|---|---|---|")
    failed = False
    for path in sorted((ROOT / "src" / "model" / "cuda").glob("*.cu")):
        for arch, gpu in GPUS.items():
            log, code = compiled(nvrtc, path, a.cuda / "cuda_runtime" / "include", arch)
            if code is None:
                failed = True
                print(f"| {path.name} | sm_{arch} ({gpu}) | failed | |\n{log}", file=sys.stderr)
            else:
                kernels = set(re.findall(rb"\.text\.(\w+)\0", code))
                print(f"| {path.name} | sm_{arch} ({gpu}) | {len(kernels)} | {len(code) >> 10} |", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
