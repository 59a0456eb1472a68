"""Two dumps of `tessera debug dump` beside each other: one GPU and two, bf16 and q8, CPU and GPU.

    python tests/parity/dumps.py A.safetensors B.safetensors

For each site the relative L2 distance of B from A, the largest absolute difference, and whether all bits are
equal; then whether the most likely token is the same. Fails where a number is not finite.
"""

import sys

import torch
from safetensors import safe_open


def read(path):
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def order(name):
    stem, _, number = name.partition(".")
    return (["tokens", "pixel_values", "vision", "projector", "hidden", "logits"].index(stem), int(number or 0))


def main():
    a, b = read(sys.argv[1]), read(sys.argv[2])
    if a.keys() != b.keys():
        sys.exit(f"the dumps have different sites: {a.keys() ^ b.keys()}")
    print(f"{'site':<14}{'relative L2':>14}{'largest':>12}  bits")
    broken = 0
    for name in sorted(a, key=order):
        x, y = a[name].double(), b[name].double()
        broken += int((~x.isfinite()).sum() + (~y.isfinite()).sum())
        d = x - y
        relative = (d.norm() / x.norm()).item()
        print(f"{name:<14}{relative:>14.3e}{d.abs().max().item():>12.3e}  {'equal' if torch.equal(a[name], b[name]) else 'differ'}")
    print("same most likely token:", bool(a["logits"].argmax() == b["logits"].argmax()))
    if broken:
        sys.exit(f"{broken} numbers are not finite")


if __name__ == "__main__":
    main()
