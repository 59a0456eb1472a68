#!/usr/bin/env python3
"""The kernels of a decoding step and of prefill on a GPU: are they right, and how long do they take?

    python3 benches/kernels/decode.py check
    python3 benches/kernels/decode.py time [--what attention prefill small step] [--all]

Needs torch with CUDA and nvcc (or --cubins with a directory of the files in src/model/cuda compiled for this
GPU). No Rust: kernels are launched through the driver, with the plans of src/model/cuda/*.rs.

`check` compares every kernel with torch in f64: odd shapes, lengths from 0 to 4,096 in one batch, blocks of
the cache in any order, and NaN wherever nothing was written.

`time` captures many launches in one CUDA graph and divides. Caches and weights rotate over more memory than
the second-level cache holds, as they do in a model. The bound is what reading and writing takes at the rate
that a large copy reaches on the same GPU; for prefill it is the rate of products. `--all` times decoding
attention in every number of splits, to choose between them.
"""

import argparse
import pathlib
import sys
import traceback

import torch
from q8 import DTYPES, ROUNDING, Driver, compiled, copy_rate, dtype_name, microseconds

SOURCES = pathlib.Path(__file__).resolve().parents[2] / "src" / "model" / "cuda"
FILES = ["norm", "mlp", "rope_cache", "tokens", "decode_attention", "prefill_attention"]

# InternVL3-8B.
HIDDEN, HEADS, KV_HEADS, HEAD_DIM, INNER, VOCABULARY, LAYERS = 3584, 28, 4, 128, 18944, 151674, 28
EPS = 1e-6

# As in the launchers and the kernels.
DECODE_THREADS, SPLITS_MAX, SPLIT_TOKENS = 256, 16, 128
PREFILL_THREADS, PREFILL_QUERIES, PREFILL_KEYS, PREFILL_STAGES = 128, 64, 64, 2
# Greater than every token.
NO_TOKEN = 2**31 - 1
ARGMAX_THREADS, ARGMAX_PARTS_MAX, ARGMAX_BLOCKS = 512, 64, 3


def ceil(a, b):
    return -(-a // b)


class Cache:
    """Keys and values of one layer, in blocks that lie in any order; NaN where nothing was written."""

    def __init__(self, sequences, tokens, kv_heads, head_dim, block_tokens, dtype, fill=float("nan")):
        self.blocks_each = max(1, ceil(tokens, block_tokens))
        count = sequences * self.blocks_each + 3
        shape = (count, kv_heads, block_tokens, head_dim)
        self.k, self.v = (torch.full(shape, fill, dtype=dtype, device="cuda") for _ in range(2))
        order = torch.randperm(count, device="cuda")[: sequences * self.blocks_each]
        self.tables = order.to(torch.int32).view(sequences, self.blocks_each).contiguous()
        self.block_tokens = block_tokens

    def put(self, x, sequence, values):
        """`values`, [tokens, kv_heads, head_dim], from the sequence's start."""
        at = torch.arange(len(values), device="cuda")
        blocks = self.tables[sequence].long()[at // self.block_tokens]
        x[blocks, :, at % self.block_tokens] = values

    def get(self, x, sequence, tokens):
        at = torch.arange(tokens, device="cuda")
        blocks = self.tables[sequence].long()[at // self.block_tokens]
        return x[blocks, :, at % self.block_tokens]

    def sizes(self):
        return [self.tables.shape[1], len(self.k), self.block_tokens]


class Kernels:
    """The kernels with their plans."""

    def __init__(self, images):
        self.drivers = {name: Driver(image + b"\0") for name, image in images.items()}
        self.multiprocessors = torch.cuda.get_device_properties(0).multi_processor_count
        self.counters = torch.zeros(1 << 16, dtype=torch.int32, device="cuda")
        self.partial = torch.full((1 << 26,), float("nan"), device="cuda")
        self.extents = torch.full((1 << 20,), float("nan"), device="cuda")

    def launch(self, file, name, grid, threads, arguments, shared_bytes=0):
        self.drivers[file].launch(name, grid, threads, shared_bytes, arguments)

    def add_rms_norm(self, residual, delta, weight, total, y):
        rows, width = residual.shape
        name = "_".join(dtype_name(x) for x in (residual, y if delta is None else delta, y))
        threads = min(1024, ceil(width, 8 * 32) * 32)
        self.launch("norm", f"add_rms_norm_{name}", (rows,), threads, [residual, delta, weight, total, y, width, EPS])

    def swiglu(self, x, out):
        rows, width = out.shape
        self.launch("mlp", f"swiglu_{dtype_name(x)}", (ceil(width, 8 * 128), rows), 128, [x, out, width])

    def rope_cache(self, qkv, bias, cos, sin, positions, sequences, cache, q):
        rows, heads, head_dim = q.shape
        kv_heads = cache.k.shape[1]
        threads = min(1024, ceil((heads + 2 * kv_heads) * head_dim // 16, 32) * 32)
        arguments = [qkv, bias, cos, sin, positions, sequences, cache.tables, q, cache.k, cache.v]
        self.launch("rope_cache", f"rope_cache_{dtype_name(q)}", (rows,), threads, arguments + [heads, kv_heads, head_dim, len(cos), len(cache.tables)] + cache.sizes())

    def splits(self, sequences, kv_heads, tokens):
        # One block for each multiprocessor: more of them wait longer for each other than they gain.
        wanted = self.multiprocessors // (sequences * kv_heads)
        return max(1, min(wanted, SPLITS_MAX, ceil(tokens, SPLIT_TOKENS)))

    def decode_attention(self, q, cache, lengths, out, tokens, splits=None, plain=False, fresh=1):
        sequences, heads, head_dim = q.shape
        kv_heads = cache.k.shape[1]
        splits = splits or self.splits(sequences, kv_heads, tokens)
        name = f"decode_attention_{'plain_' * plain}{dtype_name(q)}_{head_dim}"
        arguments = [q, cache.k, cache.v, cache.tables, lengths, out, self.partial, self.extents, self.counters]
        self.launch("decode_attention", name, (splits, kv_heads, sequences), DECODE_THREADS, arguments + [heads // kv_heads] + cache.sizes() + [head_dim**-0.5, fresh])

    def prefill_attention(self, q, cache, sequence, positions, out):
        rows, heads, head_dim = q.shape
        grid = (heads, ceil(rows, PREFILL_QUERIES))
        arguments = [q, cache.k, cache.v, cache.tables[sequence], positions, out, rows, cache.k.shape[1]]
        self.launch("prefill_attention", f"prefill_attention_{dtype_name(q)}_{head_dim}", grid, PREFILL_THREADS, arguments + cache.sizes() + [head_dim**-0.5], prefill_bytes(head_dim))

    def full_attention(self, qkv, out, bias=None):
        batch, rows, heads, head_dim = out.shape
        grid = (ceil(rows, PREFILL_QUERIES), heads, batch)
        self.launch("prefill_attention", f"full_attention_{dtype_name(out)}_{head_dim}", grid, PREFILL_THREADS, [qkv, bias, out, rows, head_dim**-0.5], prefill_bytes(head_dim))

    def embed(self, table, tokens, out):
        name = f"embed_{dtype_name(table)}_{dtype_name(out)}"
        self.launch("tokens", name, (len(tokens),), min(1024, ceil(table.shape[1], 8 * 32) * 32), [table, tokens, out, *table.shape])

    def argmax(self, logits, choices, masks=None, needs=None, never=NO_TOKEN, found=None):
        """`choices` is [rows, 4]: token, whether all is finite, logit and log-sum-exp as f32. `found` is what the product left, [rows, parts, 4]."""
        rows, vocabulary = logits.shape
        parts = min(max(1, ARGMAX_BLOCKS * self.multiprocessors // rows), ARGMAX_PARTS_MAX, ceil(vocabulary, 8 * ARGMAX_THREADS))
        arguments = [logits, self.partial, self.counters, choices, masks, needs, never, vocabulary, found, 0 if found is None else found.shape[1]]
        self.launch("tokens", f"argmax_{dtype_name(logits)}", (parts, rows), ARGMAX_THREADS, arguments)


def prefill_bytes(head_dim):
    return PREFILL_STAGES * 2 * PREFILL_KEYS * head_dim * 2


# ---- check ---------------------------------------------------------------------------------------------


class Compare:
    def __init__(self):
        self.worst = {}

    def __call__(self, name, ours, expected, size=None, part=1.0):
        """`size` is that of the terms of a sum, of which `part` of a rounding may be lost."""
        rounding = ROUNDING[ours.dtype]
        limit = rounding * expected.abs() + (part * rounding + 1e-5) * (expected.abs() if size is None else size) + 1e-7
        error = ((ours.double() - expected).abs() / limit).max().item()
        assert error <= 1, f"{name}: {error:.3g} of the error that it may have"
        key = name.split(" ")[0]
        self.worst[key] = max(self.worst.get(key, 0.0), error)


def attention(q, k, v, start, scale):
    """Of [rows, heads, d] to [keys, kv_heads, d] in f64, with the sum of its terms' sizes."""
    group = q.shape[1] // k.shape[1]
    q, k, v = (x.double().transpose(0, 1) for x in (q, k, v))
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    scores = q @ k.transpose(1, 2) * scale
    if start is not None:
        rows, keys = scores.shape[1:]
        later = torch.arange(keys, device="cuda")[None] > torch.arange(start, start + rows, device="cuda")[:, None]
        scores = scores.masked_fill(later, float("-inf"))
    weights = scores.softmax(-1)
    return (weights @ v).transpose(0, 1), (weights @ v.abs()).transpose(0, 1)


def check_norm(kernels, compare):
    f32 = torch.float32
    for c in (torch.bfloat16, torch.float16):
        for r, d in [(c, c), (f32, c), (f32, f32)]:
            for rows, width in [(1, 3584), (64, 3584), (3, 8), (7, 896), (2, 256), (5, 8192), (1, 32768), (300, 1000)]:
                residual, weight = torch.randn(rows, width, device="cuda").to(r) * 3, torch.randn(width, device="cuda").to(r)
                for delta in [None, torch.randn(rows, width, device="cuda").to(d)]:
                    if delta is None and d == f32:
                        continue
                    total, y = torch.full_like(residual, float("nan")), torch.full((rows, width), float("nan"), dtype=c, device="cuda")
                    kernels.add_rms_norm(residual, delta, weight, total, y)
                    summed = residual if delta is None else (residual.float() + delta.float()).to(r)
                    if delta is not None:
                        assert torch.equal(total, summed), f"add_rms_norm {r} {d}: the sum differs"
                        kernels.add_rms_norm(residual, delta, weight, residual, y)
                        assert torch.equal(residual, summed), "add_rms_norm in place"
                    x = summed.double()
                    compare(f"add_rms_norm {r} {d} {rows}x{width}", y, x * (x.square().mean(-1, keepdim=True) + EPS).rsqrt() * weight.double())


def check_swiglu(kernels, compare):
    for dtype in (torch.bfloat16, torch.float16):
        for rows, width in [(1, 18944), (64, 18944), (3, 8), (5, 1000), (3400, 768)]:
            x = torch.randn(rows, 2 * width, device="cuda").to(dtype) * 8
            out = torch.full((rows, width), float("nan"), dtype=dtype, device="cuda")
            kernels.swiglu(x, out)
            gate, up = x.double().chunk(2, -1)
            compare(f"swiglu {rows}x{width}", out, gate.sigmoid() * gate * up)


def check_rope(kernels, compare):
    for dtype in (torch.bfloat16, torch.float16):
        for heads, kv_heads, head_dim, block_tokens in [(28, 4, 128, 64), (14, 2, 64, 16), (4, 2, 64, 100), (8, 8, 32, 256)]:
            half, sequences, tokens = head_dim // 2, 5, 700
            angles = torch.arange(tokens, device="cuda").double()[:, None] * 1e6 ** (-torch.arange(half, device="cuda").double() / half)
            cos, sin = angles.cos().float(), angles.sin().float()
            for rows, mapped in [(1, False), (5, False), (133, True)]:
                cache = Cache(sequences, tokens, kv_heads, head_dim, block_tokens, dtype)
                owners = torch.arange(rows, device="cuda") % sequences
                positions = (torch.randperm(tokens // sequences, device="cuda")[: ceil(rows, sequences)].repeat_interleave(sequences)[:rows]).int()
                padding = rows > 1
                if padding:
                    positions[-1] = -1
                for bias in [None, torch.randn((heads + 2 * kv_heads) * head_dim, device="cuda").to(dtype) * 20]:
                    qkv = torch.randn(rows, (heads + 2 * kv_heads) * head_dim, device="cuda").to(dtype)
                    q = torch.full((rows, heads, head_dim), float("nan"), dtype=dtype, device="cuda")
                    kernels.rope_cache(qkv, bias, cos, sin, positions, owners.int() if mapped else None, cache, q)
                    x = (qkv.double() + (0 if bias is None else bias.double())).view(rows, -1, head_dim)
                    at = positions.long().clamp(min=0)
                    c, s = cos[at].double()[:, None], sin[at].double()[:, None]
                    a, b = x[..., :half], x[..., half:]
                    size = torch.cat([a.abs() + b.abs()] * 2, -1)
                    turned = torch.cat([a * c - b * s, b * c + a * s], -1)
                    stored = rows - padding
                    compare("rope_cache q", q[:stored], turned[:stored, :heads], size[:stored, :heads], 0.0)
                    assert q.isfinite().all(), "rope_cache: padding"
                    for row in range(stored):
                        sequence, token = owners[row], at[row]
                        block, within = cache.tables[sequence, token // block_tokens].long(), token % block_tokens
                        compare("rope_cache k", cache.k[block, :, within], turned[row, heads : heads + kv_heads], size[row, heads : heads + kv_heads], 0.0)
                        compare("rope_cache v", cache.v[block, :, within], x[row, heads + kv_heads :])
                    assert (~cache.k.isnan()).sum() == stored * kv_heads * head_dim, "rope_cache: something else was written"


def check_decode(kernels, compare):
    cases = [(28, 4, 128, 256), (14, 2, 64, 16), (4, 2, 64, 4096), (8, 1, 128, 64), (3, 3, 128, 48), (40, 8, 128, 1024)]
    for heads, kv_heads, head_dim, block_tokens in cases:
        for lengths in [[1], [4096], [1900], [3, 0, 16, 17, 127, 128, 129, 2047], [1 + (i * 1021) % 4096 for i in range(64)]]:
            for dtype in (torch.bfloat16, torch.float16):
                cache = Cache(len(lengths), max(lengths), kv_heads, head_dim, block_tokens, dtype)
                q = torch.randn(len(lengths), heads, head_dim, device="cuda").to(dtype) * 2
                expected, sizes = [], []
                for i, tokens in enumerate(lengths):
                    k, v = (torch.randn(tokens, kv_heads, head_dim, device="cuda").to(dtype) for _ in range(2))
                    cache.put(cache.k, i, k)
                    cache.put(cache.v, i, v)
                    one = attention(q[i : i + 1], k, v, None, head_dim**-0.5)
                    expected.append(one[0]), sizes.append(one[1])
                expected, sizes = torch.cat(expected), torch.cat(sizes)
                on_device = torch.tensor(lengths, dtype=torch.int32, device="cuda")
                for plain in [False] + [True] * (dtype == torch.float16):
                    for splits in [None, 1, 2, 7, 16]:
                        outs = [torch.full_like(q, float("nan")) for _ in range(3)]
                        for out, fresh in zip(outs, [1, 1, 2**31 - 1]):
                            kernels.decode_attention(q, cache, on_device, out, max(lengths), splits, plain, fresh)
                        name = f"decode_attention{'_plain' * plain} {heads}/{kv_heads}x{head_dim}, blocks of {block_tokens}, {dtype}, {splits} splits, lengths {lengths[:8]}"
                        compare(name, outs[0], expected, sizes)
                        assert all(torch.equal(outs[0], out) for out in outs), f"{name}: runs differ"
    assert not kernels.counters.any(), "a counter was not reset"


def check_prefill(kernels, compare):
    cases = [(28, 4, 128, 256), (14, 2, 64, 16), (4, 2, 64, 4096), (5, 1, 128, 48)]
    for heads, kv_heads, head_dim, block_tokens in cases:
        for start, rows in [(0, 1), (0, 64), (0, 65), (1, 63), (17, 1), (100, 200), (1000, 777), (0, 1025), (3000, 512)]:
            for dtype in (torch.bfloat16, torch.float16):
                cache = Cache(2, start + rows, kv_heads, head_dim, block_tokens, dtype)
                k, v = (torch.randn(start + rows, kv_heads, head_dim, device="cuda").to(dtype) for _ in range(2))
                cache.put(cache.k, 1, k)
                cache.put(cache.v, 1, v)
                q = torch.randn(rows, heads, head_dim, device="cuda").to(dtype) * 2
                positions = torch.arange(start, start + rows, dtype=torch.int32, device="cuda")
                out = torch.full_like(q, float("nan"))
                kernels.prefill_attention(q, cache, 1, positions, out)
                compare(f"prefill_attention {heads}/{kv_heads}x{head_dim}, blocks of {block_tokens}, {dtype}, {start}+{rows}", out, *attention(q, k, v, start, head_dim**-0.5))


def check_full(kernels, compare):
    for batch, rows, heads, head_dim in [(1, 1025, 16, 64), (3, 1025, 4, 64), (2, 1, 3, 64), (2, 130, 3, 128), (13, 64, 2, 64), (1, 17, 1, 128)]:
        for dtype in (torch.bfloat16, torch.float16):
            qkv = torch.randn(batch, rows, 3, heads, head_dim, device="cuda").to(dtype)
            for bias in [None, torch.randn(3, heads, head_dim, device="cuda").to(dtype)]:
                out = torch.full((batch, rows, heads, head_dim), float("nan"), dtype=dtype, device="cuda")
                kernels.full_attention(qkv, out, bias)
                # Queries are rounded with their bias; keys and values stay as they are stored.
                whole = qkv.double()
                if bias is not None:
                    whole[:, :, 0] = (qkv[:, :, 0] + bias[0]).double()
                    whole[:, :, 1:] += bias[1:].double()
                for i in range(batch):
                    compare(f"full_attention {batch}x{rows}x{heads}x{head_dim}", out[i], *attention(*whole[i].unbind(1), None, head_dim**-0.5))


def check_tokens(kernels, compare):
    for dtype in (torch.bfloat16, torch.float16):
        table = torch.randn(1000, 896, device="cuda").to(dtype)
        tokens = torch.randint(0, 1000, (65,), dtype=torch.int32, device="cuda")
        tokens[7] = -1
        for r in (dtype, torch.float32):
            out = torch.full((65, 896), float("nan"), dtype=r, device="cuda")
            kernels.embed(table, tokens, out)
            expected = table[tokens.clamp(min=0).long()].to(r)
            expected[7] = 0
            assert torch.equal(out, expected), "embed"
    for dtype in DTYPES.values():
        for rows, vocabulary in [(1, 151674), (64, 151674), (3, 151675), (5, 1), (2, 7), (9, 1024), (33, 40007)]:
            logits = (torch.randn(rows, vocabulary, device="cuda") * 5).to(dtype)
            spoilt = {1: float("nan"), 2: float("inf"), 3: float("-inf")}
            for row, value in spoilt.items():
                if row < rows:
                    logits[row, (row * 12345) % vocabulary] = value
            if rows > 4:
                logits[4, vocabulary // 2 :] = 100.0
            good = [row for row in range(rows) if row not in spoilt]
            x = logits[good]
            never = int(x[0].argmax())
            for mode in ["all", "never", "masks"]:
                allowed = torch.ones(rows, vocabulary, dtype=torch.bool, device="cuda")
                masks = needs = None
                if mode == "masks":
                    # Every second row has a mask.
                    some = torch.rand(rows, vocabulary, device="cuda") < 0.3
                    some[:, vocabulary - 1] = True
                    needs = (torch.arange(rows, device="cuda") % 2).int()
                    allowed = some | (needs == 0)[:, None]
                    words = ceil(vocabulary, 32)
                    padded = torch.zeros(rows, words * 32, dtype=torch.int64, device="cuda")
                    padded[:, :vocabulary] = some
                    masks = (padded.view(rows, words, 32) << torch.arange(32, device="cuda")).sum(-1).to(torch.int32)
                if mode == "never" and vocabulary > 1:
                    allowed[:, never] = False
                choices = torch.full((rows, 4), -1, dtype=torch.int32, device="cuda")
                kernels.argmax(logits, choices, masks, needs, never if mode == "never" and vocabulary > 1 else NO_TOKEN)
                name = f"argmax {rows}x{vocabulary} {dtype} {mode}"
                assert choices[:, 1].tolist() == [int(row not in spoilt) for row in range(rows)], f"{name}: finite"
                left = x.float().masked_fill(~allowed[good], float("-inf"))
                first = (left == left.max(-1, keepdim=True).values).int().argmax(-1)
                assert torch.equal(choices[good, 0].long(), first), f"{name}: {choices[good, 0][:8]} {first[:8]}"
                chosen, log_sum = choices[:, 2:].contiguous().view(torch.float32).unbind(-1)
                assert torch.equal(chosen[good], left.max(-1).values), f"{name}: the logit"
                compare(name, log_sum[good], x.double().logsumexp(-1))
    assert not kernels.counters.any(), "a counter was not reset"


def check(kernels):
    compare, failed = Compare(), 0
    for part in [check_norm, check_swiglu, check_rope, check_tokens, check_decode, check_prefill, check_full]:
        try:
            part(kernels, compare)
            torch.cuda.synchronize()
        except Exception:
            failed += 1
            traceback.print_exc(limit=3)
    print("right:", ", ".join(f"{name} (worst error {error:.2f} of its limit)" for name, error in compare.worst.items()))
    return failed


# ---- time ----------------------------------------------------------------------------------------------


def filled(sequences, tokens, dtype):
    """A cache with keys and values in whole slots of `tokens`."""
    cache = Cache(sequences, tokens, KV_HEADS, HEAD_DIM, ceil(tokens, 64) * 64, dtype, 0.0)
    for x in (cache.k, cache.v):
        x.normal_()
    return cache


def time_attention(kernels, dtype, rate, everything):
    print("\nDecoding attention, microseconds\n\n| batch | context | splits | ours | bound | of it |\n|---|---|---|---|---|---|")
    for shortest, longest in ((1900, 1900), (3400, 3400), (200, 3400)):
        for batch in (1, 2, 4, 8, 16, 32, 64):
            if batch == 1 and shortest != longest:
                continue
            lengths = torch.linspace(shortest, longest, batch).int()[torch.randperm(batch)].cuda()
            bytes_all = lengths.sum().item() * 2 * KV_HEADS * HEAD_DIM * 2
            caches = [filled(batch, longest, dtype) for _ in range(max(1, min(40, ceil(400 << 20, bytes_all))))]
            q = torch.randn(batch, HEADS, HEAD_DIM, device="cuda").to(dtype)
            out, chosen = torch.empty_like(q), kernels.splits(batch, KV_HEADS, longest)
            context = shortest if shortest == longest else f"{shortest} to {longest}"
            for splits in sorted({1, 2, 4, 8, 12, 16, chosen}) if everything else [chosen]:
                us = microseconds([lambda c=c: kernels.decode_attention(q, c, lengths, out, longest, splits) for c in caches])
                bound = bytes_all / rate * 1e6
                print(f"| {batch} | {context} | {splits}{'*' * (splits == chosen)} | {us:.1f} | {bound:.1f} | {bound / us:.0%} |", flush=True)


def time_prefill(kernels, dtype, rate, everything):
    print("\nPrefill, microseconds\n\n| what | ours | TFLOP/s |\n|---|---|---|")
    for start, rows in [(0, 512), (0, 1024), (0, 1856), (0, 3400), (1536, 512), (2888, 512)]:
        cache = filled(1, start + rows, dtype)
        q = torch.randn(rows, HEADS, HEAD_DIM, device="cuda").to(dtype)
        out, positions = torch.empty_like(q), torch.arange(start, start + rows, dtype=torch.int32, device="cuda")
        us = microseconds([lambda: kernels.prefill_attention(q, cache, 0, positions, out)])
        pairs = rows * start + rows * (rows + 1) / 2
        print(f"| {rows} queries from {start} | {us:.1f} | {4 * pairs * HEADS * HEAD_DIM / us / 1e6:.0f} |", flush=True)
    for batch in (1, 7, 13):
        qkv = torch.randn(batch, 1025, 3, 16, 64, device="cuda").to(dtype)
        out = torch.empty(batch, 1025, 16, 64, dtype=dtype, device="cuda")
        us = microseconds([lambda: kernels.full_attention(qkv, out)])
        print(f"| {batch} tiles of 1025, 16 heads of 64 | {us:.1f} | {4 * batch * 1025**2 * 16 * 64 / us / 1e6:.0f} |", flush=True)


def time_small(kernels, dtype, rate, everything):
    print("\nSmall kernels, microseconds\n\n| what | rows | ours | bound |\n|---|---|---|---|")
    cos, sin = (torch.randn(4096, HEAD_DIM // 2, device="cuda") for _ in range(2))
    for rows in (1, 8, 64, 1856):
        size = torch.empty(0, dtype=dtype).element_size()

        def row(what, calls, elements):
            print(f"| {what} | {rows} | {microseconds(calls):.1f} | {rows * elements * size / rate * 1e6:.1f} |", flush=True)

        x, d, y = (torch.randn(rows, HIDDEN, device="cuda").to(dtype) for _ in range(3))
        w = torch.randn(HIDDEN, device="cuda").to(dtype)
        row("add_rms_norm", [lambda: kernels.add_rms_norm(x, d, w, x, y)], 4 * HIDDEN)
        gate_up = torch.randn(rows, 2 * INNER, device="cuda").to(dtype)
        inner = torch.empty(rows, INNER, dtype=dtype, device="cuda")
        row("swiglu", [lambda: kernels.swiglu(gate_up, inner)], 3 * INNER)
        width = (HEADS + 2 * KV_HEADS) * HEAD_DIM
        qkv, bias = torch.randn(rows, width, device="cuda").to(dtype), torch.randn(width, device="cuda").to(dtype)
        q = torch.empty(rows, HEADS, HEAD_DIM, dtype=dtype, device="cuda")
        cache = filled(rows, 128, dtype)
        positions = torch.full((rows,), 100, dtype=torch.int32, device="cuda")
        row("rope_cache", [lambda: kernels.rope_cache(qkv, bias, cos, sin, positions, None, cache, q)], 2 * width)
        if rows <= 64:
            logits = torch.randn(rows, VOCABULARY, device="cuda")
            choices = torch.empty(rows, 4, dtype=torch.int32, device="cuda")
            row("argmax (f32)", [lambda: kernels.argmax(logits, choices)], 2 * VOCABULARY)


class Step:
    """One decoding step of InternVL3-8B with random weights; products are the library's."""

    def __init__(self, kernels, dtype, batch, tokens, weights):
        self.kernels, self.weights, self.tokens = kernels, weights, tokens

        def empty(*shape, dtype=dtype):
            return torch.zeros(*shape, dtype=dtype, device="cuda")

        self.caches = [filled(batch, tokens, dtype) for _ in range(LAYERS)]
        self.cos, self.sin = (torch.randn(tokens, HEAD_DIM // 2, device="cuda") for _ in range(2))
        self.positions = torch.full((batch,), tokens - 1, dtype=torch.int32, device="cuda")
        self.lengths = self.positions + 1
        self.ids, self.choices = empty(batch, dtype=torch.int32), empty(batch, 4, dtype=torch.int32)
        self.x, self.y, self.delta = (empty(batch, HIDDEN) for _ in range(3))
        self.qkv, self.q, self.attended = empty(batch, (HEADS + 2 * KV_HEADS) * HEAD_DIM), empty(batch, HEADS, HEAD_DIM), empty(batch, HEADS, HEAD_DIM)
        self.gate_up, self.inner, self.logits = empty(batch, 2 * INNER), empty(batch, INNER), empty(batch, VOCABULARY)

    def layer(self, index, products=True, ours=True):
        kernels, w, cache = self.kernels, self.weights[index], self.caches[index]
        if ours:
            kernels.add_rms_norm(self.x, None if index == 0 else self.delta, w["norm"], self.x, self.y)
        if products:
            torch.mm(self.y, w["qkv"].T, out=self.qkv)
        if ours:
            kernels.rope_cache(self.qkv, w["bias"], self.cos, self.sin, self.positions, None, cache, self.q)
            kernels.decode_attention(self.q, cache, self.lengths, self.attended, self.tokens)
        if products:
            torch.mm(self.attended.view(-1, HIDDEN), w["o"].T, out=self.delta)
        if ours:
            kernels.add_rms_norm(self.x, self.delta, w["norm"], self.x, self.y)
        if products:
            torch.mm(self.y, w["gate_up"].T, out=self.gate_up)
        if ours:
            kernels.swiglu(self.gate_up, self.inner)
        if products:
            torch.mm(self.inner, w["down"].T, out=self.delta)

    def all(self, products=True, ours=True):
        head = self.weights["head"]
        if ours:
            self.kernels.embed(head, self.ids, self.x)
        for index in range(LAYERS):
            self.layer(index, products, ours)
        if ours:
            self.kernels.add_rms_norm(self.x, self.delta, self.weights[0]["norm"], self.x, self.y)
        if products:
            torch.mm(self.y, head.T, out=self.logits)
        if ours:
            self.kernels.argmax(self.logits, self.choices)


def once(call, rounds=10):
    """Microseconds of a graph of one `call`, the best of some replays."""
    call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    graph.replay()
    best = float("inf")
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        best = min(best, start.elapsed_time(end) * 1000)
    return best


def time_step(kernels, dtype, rate, everything):
    def random(*shape):
        return torch.empty(*shape, dtype=dtype, device="cuda").uniform_(-0.02, 0.02)

    qkv = (HEADS + 2 * KV_HEADS) * HEAD_DIM
    weights = {i: {"norm": random(HIDDEN) + 1, "bias": random(qkv), "qkv": random(qkv, HIDDEN), "o": random(HIDDEN, HIDDEN), "gate_up": random(2 * INNER, HIDDEN), "down": random(HIDDEN, INNER)} for i in range(LAYERS)}
    weights["head"] = random(VOCABULARY, HIDDEN)
    weight_bytes = 2 * (weights["head"].numel() + sum(x.numel() for i in range(LAYERS) for x in weights[i].values()))
    print("\nA decoding step of 28 layers and head, milliseconds\n\n| batch | context | step | products | our kernels | one layer | bound |\n|---|---|---|---|---|---|---|")
    for batch in (1, 8, 64):
        step = Step(kernels, dtype, batch, 1900, weights)
        whole, products, ours = once(step.all), once(lambda: step.all(ours=False)), once(lambda: step.all(products=False))
        layer = microseconds([lambda i=i: step.layer(i) for i in range(1, LAYERS)])
        bound = (weight_bytes + batch * 1900 * LAYERS * 2 * KV_HEADS * HEAD_DIM * 2) / rate
        print(f"| {batch} | 1900 | {whole / 1e3:.3f} | {products / 1e3:.3f} | {ours / 1e3:.3f} | {layer / 1e3:.4f} | {bound * 1e3:.3f} |", flush=True)
        del step


TIMED = {"attention": time_attention, "prefill": time_prefill, "small": time_small, "step": time_step}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=["check", "time"])
    parser.add_argument("--sources", type=pathlib.Path, default=SOURCES, help="where the .cu files are")
    parser.add_argument("--cubins", type=pathlib.Path, help="where the same files are compiled: NAME.cubin")
    parser.add_argument("--dtype", choices=["f16", "bf16"], default="bf16")
    parser.add_argument("--what", nargs="+", choices=TIMED, default=list(TIMED))
    parser.add_argument("--all", action="store_true", help="time every number of splits")
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
    print(f"{torch.cuda.get_device_name()}, {a.dtype}; a copy moves {rate / 1e12:.2f} TB/s")
    for what in a.what:
        TIMED[what](kernels, DTYPES[a.dtype], rate, a.all)
    return 0


if __name__ == "__main__":
    sys.exit(main())
