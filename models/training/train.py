"""Trains the tiny InternVL on generated documents, on one GPU or several of one host.

    python train.py --minutes 9.4 --out OUT [--resume CHECKPOINT]
    torchrun --nproc_per_node 2 train.py --minutes 9.4 --out OUT [--resume CHECKPOINT]

The learning rate and the curriculum follow wall time. Dense per-patch character heads teach the vision tower to read
(dropped from the saved model, kept beside it in aux.safetensors for resuming); the decoder learns transcription and
extraction. Each rendered page is used several times with new augmentation.
"""
from __future__ import annotations

import os
import time

START = time.time()
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import argparse
import collections
import json
import math
import random
import sys
import tarfile
import traceback
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tokenizers import Tokenizer

import augment
import evaluate
from model import Net, load, make_config, make_heads, make_model, save
from optim import Muon
from tessera_synth import fonts
from tessera_synth.charset import SLOTS
from tessera_synth.generate import dense_target, homography, make_document
from tessera_synth.prompts import SYSTEMS, Chat, build

HERE = Path(__file__).resolve().parent

#: batch kinds: weight, tile grid (columns, rows), text tokens, prompts per image, many-row documents
BATCHES = [
    (34, (1, 1), 416, 2, False),
    (16, (1, 1), 640, 1, True),
    (22, (1, 2), 416, 2, False),
    (11, (1, 2), 640, 1, True),
    (7, (2, 1), 416, 2, False),
    (5, (1, 3), 640, 1, True),
    (5, (2, 2), 640, 1, True),
    (2, (1, 4), 640, 1, True),
    (1, (3, 1), 416, 1, False),
]


def options() -> argparse.Namespace:
    ap = argparse.ArgumentParser()
    add = ap.add_argument
    add("--minutes", type=float, default=9.4, help="wall time of the whole process, evaluation and saving included")
    add("--out", default="out")
    add("--pack", default="", help="also write the result as pieces of at most 12 MiB into this folder")
    add("--resume", default="", help="checkpoint folder to continue from")
    add("--batch", type=int, default=192, help="tiles a step and GPU")
    add("--reuse", type=int, default=2, help="augmentations of each rendered page")
    add("--workers", type=int, default=14, help="generator processes a GPU")
    add("--lr", type=float, default=1.2e-3)
    add("--muon_lr", type=float, default=3e-3)
    add("--wd", type=float, default=0.02)
    add("--warm", type=int, default=60)
    add("--hold", type=float, default=0.35, help="progress until which the learning rate is constant")
    add("--aux", type=float, default=0.8)
    add("--aux_end", type=float, default=0.1)
    add("--level0", type=float, default=-1.0, help="curriculum level at the start; default 1 when resuming, else 0")
    add("--ramp", type=float, default=0.35, help="progress at which the curriculum is complete")
    add("--multi_from", type=float, default=-1.0, help="progress from which multi-tile batches appear")
    add("--transcribe", type=float, default=0.28, help="share of transcription prompts")
    add("--eval_n", type=int, default=500)
    add("--eval_seconds", type=float, default=60.0, help="time kept for the final evaluation and saving")
    add("--log_every", type=int, default=50)
    add("--max_steps", type=int, default=10 ** 9)
    add("--seed", type=int, default=0)
    add("--compile", type=int, default=1)
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a = ap.parse_args()
    if a.level0 < 0:
        a.level0 = 1.0 if a.resume else 0.0
    if a.multi_from < 0:
        a.multi_from = 0.0 if a.resume else 0.3
    return a


def tiles_of(grid: tuple[int, int]) -> int:
    """Tiles with thumbnail."""
    n = grid[0] * grid[1]
    return n + (n > 1)


class Batches(torch.utils.data.IterableDataset):
    """Yields whole batches: pages, augmentation matrices, character targets, token ids and answer masks."""

    def __init__(self, a: argparse.Namespace, progress, seed: int) -> None:
        self.a, self.progress, self.seed = a, progress, seed

    def __iter__(self):
        torch.set_num_threads(1)
        os.nice(5)                                           # the trainers and the compiler go first
        a, info = self.a, torch.utils.data.get_worker_info()
        rng = random.Random(self.seed * 7919 + (info.id if info else 0) * 104729 + 13)
        chat = Chat(Tokenizer.from_file(str(HERE / "tokenizer" / "tokenizer.json")))
        families = fonts.load("train")
        weights = [b[0] for b in BATCHES]
        while True:
            p = self.progress.value
            level = min(1.0, a.level0 + (1 - a.level0) * p / a.ramp)
            _, grid, text, seqs, long = BATCHES[0] if p < a.multi_from else rng.choices(BATCHES, weights)[0]
            long = long and rng.random() < 0.85
            tiles = tiles_of(grid)
            b, length = max(1, a.batch // tiles), tiles * 256 + text
            height, width = 448 * grid[1], 448 * grid[0]
            pages = np.empty((b, height, width), np.uint8)
            matrices = np.empty((a.reuse, b, 3, 3), np.float32)
            target = np.empty((a.reuse, b, tiles, 1024 * SLOTS), np.uint8)
            ids = np.full((a.reuse, b * seqs, length), chat.pad, np.int16)
            answer = np.zeros((a.reuse, b * seqs, length), bool)
            for i in range(b):
                doc = make_document(rng, families, level, grid, None, long)
                pages[i] = doc.image
                for u in range(a.reuse):
                    m = homography(rng, width, height)
                    matrices[u, i], target[u, i] = m, dense_target(doc, m, grid)
                    for k in range(seqs):
                        share = a.transcribe if level >= 1 else max(a.transcribe, 0.75 - 0.5 * level)
                        for _ in range(5):
                            question, reply = build(rng, doc, share)
                            x, y = chat.full(question, reply, tiles, rng.choice(SYSTEMS) if rng.random() < 0.06 else None)
                            if len(x) + len(y) <= length:
                                break
                        y = y[:length - len(x)]
                        n, j = len(x) + len(y), i * seqs + k
                        ids[u, j, :n] = x + y
                        answer[u, j, len(x):n] = True
            yield dict(pages=torch.from_numpy(pages), M=torch.from_numpy(matrices), target=torch.from_numpy(target.reshape(a.reuse, b * tiles, -1)), ids=torch.from_numpy(ids), answer=torch.from_numpy(answer), grid=grid)


def pack(out: str, folder: str) -> None:
    """Splits the result into small pieces (``cat`` joins them)."""
    os.makedirs(folder, exist_ok=True)
    data, n = (Path(out) / "model.safetensors").read_bytes(), 12 << 20
    for i in range(0, len(data), n):
        (Path(folder) / f"model.safetensors.part{i // n}").write_bytes(data[i:i + n])
    with tarfile.open(Path(folder) / "rest.tar.gz", "w:gz") as t:
        for f in sorted(Path(out).iterdir()):
            if f.name != "model.safetensors" and f.is_file():
                t.add(f, f.name)


def main() -> None:
    a = options()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    cuda = a.device == "cuda"
    device = f"cuda:{rank}" if cuda else "cpu"
    say = (lambda *x: print(*x, flush=True)) if rank == 0 else (lambda *x: None)
    progress = mp.Value("d", 0.0)
    seed = a.seed * 1000 + rank + (int(START) % 100000 if a.resume else 0) * 64
    loading = iter(torch.utils.data.DataLoader(Batches(a, progress, seed), batch_size=None, num_workers=a.workers, prefetch_factor=2 if a.workers else None, pin_memory=cuda))
    if cuda:
        torch.cuda.set_device(rank)
    elif world > 1:
        torch.set_num_threads(1)
    control = None
    if world > 1:
        dist.init_process_group("nccl" if cuda else "gloo", rank=rank, world_size=world, device_id=torch.device(device) if cuda else None)
        control = dist.new_group(backend="gloo")

    tokenizer = Tokenizer.from_file(str(HERE / "tokenizer" / "tokenizer.json"))
    chat = Chat(tokenizer)
    model = make_model(make_config(chat, tokenizer.get_vocab_size()), device, a.seed)
    heads = make_heads(device)
    if a.resume:
        load(model, heads, a.resume, device)
    net = Net(model, heads, device)
    say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {world} process(es), torch {torch.__version__}")
    if a.compile and cuda:
        net.compile()
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed_tokens" not in n and "lm_head" not in n]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen] + list(heads.values())
    decayed, plain = [p for p in rest if p.dim() >= 2 and p.shape[0] > 1], [p for p in rest if p.dim() < 2 or p.shape[0] == 1]
    adam = torch.optim.AdamW([dict(params=decayed, weight_decay=a.wd), dict(params=plain, weight_decay=0.0)], lr=a.lr, betas=(0.9, 0.95), eps=1e-8, fused=cuda)
    muon = Muon(matrices, weight_decay=a.wd, dtype=net.dtype)
    params = matrices + rest
    if world > 1:                                            # the heads start from random numbers: share rank 0's
        for p in params:
            dist.broadcast(p.data, 0)
    sizes = [p.numel() for p in params]

    def forward(item: dict, use: int, aux: float):
        grid = item["grid"]
        tiles = tiles_of(grid)
        with torch.no_grad():
            x = augment.normalize(augment.to_tiles(augment.augment(item["pages"], item["M"][use]), grid)).to(net.dtype)
        loss, stats = net.loss(x, item["target"][use], item["ids"][use].long(), item["answer"][use], tiles, a.batch, aux)
        loss.backward()
        return stats, x.shape[0] // tiles

    if a.compile and cuda:                                   # compile every shape before the schedule starts
        shapes = {(tiles_of(g), t, s) for _, g, t, s, _ in BATCHES}
        for tiles, text, seqs in sorted(shapes):
            b, started = max(1, a.batch // tiles), time.time()
            ids = torch.zeros(b * seqs, tiles * 256 + text, dtype=torch.long, device=device)
            ids[:, 4:4 + tiles * 256] = chat.context
            loss, _ = net.loss(torch.zeros(b * tiles, 3, 448, 448, device=device, dtype=net.dtype), torch.zeros(b * tiles, 1024 * SLOTS, dtype=torch.uint8, device=device), ids,
                               torch.ones_like(ids, dtype=torch.bool), tiles, a.batch, 1.0)
            loss.backward()
            torch.cuda.synchronize()
            say(f"compiled for {tiles} tiles, {text} text tokens: {time.time() - started:.1f} s")
            for p in params:
                p.grad = None
    say(f"set-up {time.time() - START:.1f} s")

    begin, deadline = time.time(), START + a.minutes * 60 - a.eval_seconds
    step = seen = since = 0
    waited, last = 0.0, time.time()
    pool: collections.deque = collections.deque()
    window: list = []
    log: list[dict] = []
    saved_at = [0.5, 0.8]
    while True:
        p = min(1.0, (time.time() - begin) / max(1.0, deadline - begin))
        stop = p >= 1.0 or step >= a.max_steps
        if world > 1:                                        # rank 0 sets the pace
            state = torch.tensor([p, float(stop)], dtype=torch.float64)
            dist.broadcast(state, 0, group=control)
            p, stop = float(state[0]), bool(state[1])
        if stop:
            break
        progress.value = p
        if len(pool) > 24 or (a.workers == 0 and len(pool) > 2):
            item, use = pool.popleft()
        else:
            t = time.time()
            item, use = next(loading), 0
            waited += time.time() - t
            item = {k: (v.to(device, non_blocking=True) if torch.is_tensor(v) else v) for k, v in item.items()}
        if use + 1 < a.reuse:
            pool.append((item, use + 1))
        k = min(1.0, (step + 1) / a.warm) * (1.0 if p < a.hold else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (p - a.hold) / (1 - a.hold))))
        for group in adam.param_groups:
            group["lr"] = a.lr * k
        stats, n = forward(item, use, a.aux + (a.aux_end - a.aux) * min(1.0, p / 0.7))
        seen, since = seen + n, since + n
        window.append(stats)
        if world > 1:
            flat = torch.cat([q.grad.flatten() for q in params])
            dist.all_reduce(flat)
            flat.div_(world)
            for q, g in zip(params, flat.split(sizes)):
                q.grad = g.view_as(q)
        norm = torch.nn.utils.clip_grad_norm_(params, 1.0)
        adam.step()
        muon.step(a.muon_lr * k)
        for q in params:
            q.grad = None
        step += 1
        if step % a.log_every == 0:
            s = torch.stack([torch.stack([q.float() for q in x]) for x in window]).mean(0).tolist()
            d = time.time() - last
            memory = torch.cuda.max_memory_allocated() / 2 ** 30 if cuda else 0
            say(f"{time.time() - START:6.1f}s step {step} seen {seen * world} p {p:.2f} lr {k:.2f} loss {s[0]:.3f} tokens {s[3]:.4f} | chars {s[1]:.3f}/{s[2]:.3f} {s[4]:.3f}/{s[5]:.3f} | "
                f"gn {float(norm):.2f} {since * world / d:.0f} img/s wait {waited / d:.2f} mem {memory:.0f}G")
            log.append(dict(t=round(time.time() - START, 1), step=step, seen=seen * world, loss=s[0], token_accuracy=s[3], character_loss=s[1:3], character_accuracy=s[4:6]))
            window, waited, last, since = [], 0.0, time.time(), 0
        if saved_at and p >= saved_at[0] and rank == 0:
            saved_at.pop(0)
            save(model, heads, chat, a.out)
            if a.pack:
                pack(a.out, a.pack)
    say(f"trained {time.time() - begin:.1f} s, {seen * world} images, {step} steps")
    os.makedirs(a.out, exist_ok=True)
    if rank == 0:
        size = save(model, heads, chat, a.out)
        (Path(a.out) / "train_log.json").write_text(json.dumps(log))
        if a.pack:
            pack(a.out, a.pack)
        say(f"saved {size / 1e6:.2f} MB at {time.time() - START:.1f} s")
    for worker in getattr(loading, "_workers", []):          # free the processors for the evaluation
        worker.terminate()
    try:
        final_evaluation(a, net, chat, rank, world)
    except Exception:  # noqa: BLE001 - the weights are saved; the evaluation can be run again
        traceback.print_exc()
    print(f"rank {rank} done at {time.time() - START:.1f} s", flush=True)
    sys.stdout.flush()
    os._exit(0)                                              # do not wait for the workers


def final_evaluation(a: argparse.Namespace, net: Net, chat: Chat, rank: int, world: int) -> None:
    """Both test sets; several processes share the work."""
    folder = Path(a.pack or a.out)
    folder.mkdir(parents=True, exist_ok=True)

    def measure(name: str, samples: list[evaluate.Sample], prompt: str, wrong: int, transcribe: int = 0) -> None:
        result = evaluate.run(net, chat, name, samples, (prompt,), wrong=wrong, transcribe=transcribe)
        (folder / f"eval-{name}-{prompt}.json").write_text(json.dumps(result))
        print(f"   ({time.time() - START:.0f} s)", flush=True)

    if rank == 0:
        browser = evaluate.from_folder(HERE / "holdout" / "data")
        measure("browser", browser, "typed", 150)
        measure("browser", browser, "open", 0)
    if rank == 1 or world == 1:
        heldout = evaluate.generated(a.eval_n, False)
        measure("heldout", heldout, "typed", 100)
        measure("heldout", heldout[:250], "open", 0, 60)
    if rank == 0:
        measure("photo", evaluate.generated(150, True), "typed", 10)


if __name__ == "__main__":
    main()
