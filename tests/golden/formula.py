"""Weights and images from integer formulas: the same bytes on every machine and with every library version."""

import math

import numpy as np
from PIL import Image

MASK = (1 << 64) - 1


def words(name, seed, count):
    """`count` 64-bit words: splitmix64 started from a hash of the name (FNV-1a) and the seed."""
    start = 0xCBF29CE484222325
    for byte in f"{seed}/{name}".encode():
        start = ((start ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(start) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def levels(name, seed, shape):
    """Integers of a bell-shaped distribution with standard deviation 4, from -14 to 14.

    Few distinct values keep the files small once compressed, and a level times a power of two is exact in
    bf16 and f16, so that one model can be stored in any of the dtypes.
    """
    w = words(name, seed, math.prod(shape))
    total = sum(((w >> np.uint64(16 * i)) & np.uint64(0xFFFF)).astype(np.int64) for i in range(4))
    spread = 65536 * math.sqrt(4 / 12)
    return np.rint((total - 2 * 65535) / spread * 4).astype(np.int64).reshape(shape)


def power_of_two(x):
    return 2.0 ** round(math.log2(x))


def picture(width, height, seed):
    """A picture with gradients, edges and fine texture; `seed` shifts all of them."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    red = (x * 255 // max(width - 1, 1) + 37 * seed) % 256
    green = (y * 3 + ((x // 9 + y // 7 + seed) % 2) * 90) % 256
    blue = ((x - width // 2) ** 2 + (y - height // 3) ** 2) // (16 + seed) % 256
    return Image.fromarray(np.stack([red, green, blue], -1).astype(np.uint8), "RGB")
