#!/usr/bin/env python3
"""Drawing tokens: how long does src/model/cuda/draw.cu take for rows of logits?

    python3 benches/kernels/draw.py
    python3 benches/kernels/draw.py --beside OLD.cubin     # and another build of the kernel, which must draw the same

That it draws what the host draws, to the bit, is a unit test (a_device_draws_what_the_host_draws). Beside it stands what
PyTorch's operations take for the same (top-k, sort, softmax, cumulative sum, a race of exponentials), and as a bound
what reading the logits once takes at the rate of a large copy. Logits are a normal distribution's, three wide, from which
`top_p` keeps thousands, or ten wide, of which few are likely, as a model's are that knows what comes next.
"""

import argparse
import pathlib
import struct

import torch
from hopper_swiglu import compiled, milliseconds
from q8 import Driver, copy_rate

VOCABULARY, WORDS, THREADS = 151674, 4740, 1024
NEVER = 2**31 - 1


def rule(number, temperature=0.8, top_k=0, top_p=1.0, penalty=1.0):
    """As draw_words of draw.rs."""
    share = int(top_p * 2**64) if top_p < 1 else 0
    sharpness = 1.4426950408889634 / temperature
    return struct.pack("<IffIIIQQ", 1, sharpness, penalty, 40 << 26, top_k, top_p < 1, share, number)


class Rows:
    def __init__(self, rows, width, **odds):
        generator = torch.Generator("cuda").manual_seed(7)
        self.odds = odds
        self.logits = torch.randn(rows, VOCABULARY, generator=generator, device="cuda") * width
        numbers = torch.randint(2**62, (rows,), generator=generator, device="cuda").tolist()
        words = b"".join(rule(number * 4, **odds) for number in numbers)
        self.draws = torch.frombuffer(bytearray(words), dtype=torch.int32).cuda()
        self.seen = torch.zeros(rows, WORDS, dtype=torch.int32, device="cuda")
        self.tokens = torch.randint(VOCABULARY, (rows, 1900), generator=generator, device="cuda")
        for row, tokens in enumerate(self.tokens):
            bits = torch.zeros(WORDS * 32, dtype=torch.int64, device="cuda")
            bits[tokens] = 1
            packed = (bits.view(WORDS, 32) << torch.arange(32, device="cuda")).sum(-1)
            self.seen[row] = packed.to(torch.int32)
        best = self.logits.max(-1)
        one = torch.ones(rows, dtype=torch.int32, device="cuda")
        sum = self.logits.logsumexp(-1).view(torch.int32)
        self.chosen = torch.stack([best.indices.int(), one, best.values.view(torch.int32), sum], -1).contiguous()

    def call(self, driver):
        choices = self.chosen.clone()
        arguments = [self.logits, choices, self.draws, self.seen, None, None, NEVER, VOCABULARY]
        return choices, lambda: driver.launch("draw_f32", (len(choices),), THREADS, 0, arguments)

    def by_torch(self, temperature=0.8, top_k=0, top_p=1.0, penalty=1.0):
        logits = self.logits
        if penalty != 1:
            seen = logits.gather(-1, self.tokens)
            logits = logits.scatter(-1, self.tokens, torch.where(seen < 0, seen * penalty, seen / penalty))
        logits = logits / temperature
        if top_k:
            logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], float("-inf"))
        if top_p < 1:
            ascending, order = logits.sort()
            gone = ascending.softmax(-1).cumsum(-1) <= 1 - top_p
            gone[:, -1] = False
            logits = logits.masked_fill(gone.scatter(-1, order, gone), float("-inf"))
        probabilities = logits.softmax(-1)
        return (probabilities / torch.empty_like(probabilities).exponential_()).argmax(-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cubins", type=pathlib.Path, help="where the files are compiled: NAME.cubin")
    parser.add_argument("--beside", type=pathlib.Path, help="another build of the kernel")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 64, 256])
    a = parser.parse_args()
    image = lambda name: (a.cubins / f"{name}.cubin").read_bytes() if a.cubins else compiled(name, "-arch=native")
    drivers = [Driver(image("draw"))] + ([Driver(a.beside.read_bytes())] if a.beside else [])
    rate = copy_rate()
    names = ["this kernel", "the other"][: len(drivers)] + ["PyTorch", "bound"]
    print(f"{torch.cuda.get_device_name()}, {VOCABULARY} tokens, f32, us\n\n| odds | width | rows | " + " | ".join(names) + " |")
    print("|---|---:|---:" + "|---:" * len(names) + "|")
    kinds = [dict(), dict(top_k=50), dict(top_p=0.95), dict(top_k=50, top_p=0.95, penalty=1.1)]
    for odds in kinds:
        for width in (3.0, 10.0):
            for rows in a.rows:
                some = Rows(rows, width, **odds)
                calls = [some.call(driver) for driver in drivers]
                for _, call in calls:
                    call()
                torch.cuda.synchronize()
                for choices, _ in calls[1:]:
                    assert torch.equal(choices, calls[0][0]), f"{odds} {rows}: other tokens"
                times = milliseconds([call for _, call in calls] + [lambda: some.by_torch(**odds)])
                times = [1e3 * time for time in times] + [1e6 * 4 * rows * VOCABULARY / rate]
                name = ", ".join(f"{key} {value}" for key, value in odds.items()) or "temperature 0.8"
                print(f"| {name} | {width:g} | {rows} | " + " | ".join(f"{time:.1f}" for time in times) + " |", flush=True)


if __name__ == "__main__":
    main()
