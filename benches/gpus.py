#!/usr/bin/env python3
"""Pages a second and the time of a token on 1, 2, 4 and 8 GPUs: layers split over them, and a replica on each.

    cargo build --release --locked --features cuda
    python3 benches/gpus.py target/release/tessera --model InternVL3-8B --weights random:1 --out gpus

For each number of GPUs that this machine has, a server for each layout: `--device-map` (each of `--maps`), one replica
per GPU, and from four GPUs on also replicas of two stages. Each is put under load by `tessera bench serve`, first by
one client, then by `--clients` for each GPU; pages differ, caches are off, the clients are on the same machine.

The bound is of the GPUs, from `tessera bench vision`, `prefill` and `decode` on the first one: the products of a page's
tiles and prompt at the rate of large products, and the reading of weights and KV entries for its tokens at the rate of
a large copy, at the batch that a layout has on each GPU. It counts neither attention in prefill nor anything of
the host.

Writes levels.csv and gpus.svg into `--out` and prints a Markdown table.
"""

import argparse
import csv
import pathlib
import subprocess
import sys
import tempfile

from server import Server

# Weights from a cold disk.
READY_S_MAX = 1800.0
COLORS = ["#1f77b4", "#2ca02c", "#d62728", "#9467bd", "#8c564b"]


def serve(a, gpus, options, slots):
    """A server on so many GPUs, in one layout."""
    devices = ",".join(f"cuda:{index}" for index in range(gpus))
    room = ["--slots", slots, "--slot-tokens", 4096, "--prefill-chunk", 1024, "--queue", 1024]
    plain = ["--guard", "off", "--prefix-cache", "off"]
    return Server(a.binary, *model(a), "--devices", devices, *options, *room, *plain, ready_s_max=READY_S_MAX)


def model(a):
    return ["--model", a.model, "--weights", a.weights]


def load(a, server, clients, requests):
    """The level's row of levels.csv."""
    with tempfile.TemporaryDirectory() as out:
        command = [a.binary, "bench", "serve", "--server", f"http://{server.address}", "--prompt", "Read.", "--tiles", str(a.tiles),
                   "--output-tokens", str(a.output_tokens), "--warm-up", "2s", "--concurrency", str(clients),
                   "--requests", str(requests), "--out", out]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr)
        with open(pathlib.Path(out) / "levels.csv") as file:
            row = next(csv.DictReader(file))
    if int(row["answers"]) != requests:
        sys.exit(f"{row['answers']} of {requests} answered")
    return row


def bound_s(a, batch):
    """Seconds of one GPU that a page needs at least, with so many sequences in a decoding step."""
    prompt = a.tiles * 256 + 102

    def of(part, *options):
        with tempfile.NamedTemporaryFile(suffix=".csv") as out:
            command = [a.binary, "bench", part, *model(a), "--devices", "cuda:0", "--repeats", "3", *options, "--csv", out.name]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(done.stderr)
            with open(out.name) as file:
                return float(next(csv.DictReader(file))["bound_ms"]) / 1e3

    token = of("decode", "--batch", str(batch), "--context", str(prompt + a.output_tokens // 2)) / batch
    return of("vision", "--tiles", str(a.tiles)) + of("prefill", "--tokens", str(prompt)) + a.output_tokens * token


def layouts(a, gpus):
    """Name and options of each layout on so many GPUs, and its slots for each replica."""
    if gpus == 1:
        yield "one GPU", [], a.clients
        return
    for name in a.maps.split(","):
        yield f"layers split, {name}", ["--device-map", name], a.clients * gpus
    if gpus >= 4:
        yield "replicas of two stages", ["--replicas", str(gpus // 2), "--device-map", "balanced"], a.clients * 2
    yield "a replica each", ["--replicas", str(gpus)], a.clients


def chart(rows):
    """Pages a second as a multiple of one GPU's, by GPUs, a line for each layout, as SVG."""
    width, height, x0, y0 = 420, 260, 60, 300
    most = max(row["gpus"] for row in rows)
    at = lambda gpus, times: (x0 + gpus / most * width, y0 - times / (most * 1.05) * height)  # noqa: E731
    parts = [f'<path d="M{x0} {y0 - height}V{y0}H{x0 + width + 20}" fill="none" stroke="#888"/>']
    x, y = at(most, most)
    parts.append(f'<line x1="{x0}" y1="{y0}" x2="{x:.1f}" y2="{y:.1f}" stroke="#888" stroke-dasharray="5 4"/>')
    parts.append(f'<text x="{x + 8:.1f}" y="{y - 8:.1f}" fill="#666">as many times as GPUs</text>')
    names = dict.fromkeys(row["layout"] for row in rows if row["gpus"] > 1)
    for color, name in zip(COLORS, names):
        of_layout = sorted((row["gpus"], row["times"]) for row in rows if row["layout"] == name)
        points = [at(gpus, times) for gpus, times in [(1, 1), *of_layout]]
        parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>' for x, y in points)
        x, y = points[-1]
        parts.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" fill="{color}">{name}, {of_layout[-1][1]:.2f}</text>')
    for gpus in sorted({row["gpus"] for row in rows}):
        x, y = at(gpus, gpus)
        parts.append(f'<text x="{x:.1f}" y="{y0 + 18}" text-anchor="middle">{gpus}</text>')
        parts.append(f'<text x="{x0 - 8}" y="{y + 4:.1f}" text-anchor="end">{gpus}</text>')
    parts.append(f'<text x="{x0 + width / 2}" y="{y0 + 36}" text-anchor="middle">GPUs</text>')
    parts.append(f'<text x="24" y="{y0 - height / 2}" text-anchor="middle" transform="rotate(-90 24 {y0 - height / 2})">times the pages of one</text>')
    body = "\n".join(parts)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="760" height="350" font-family="sans-serif" font-size="12">\n'
        f'<rect width="760" height="350" fill="#fff"/>\n{body}\n</svg>\n'
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--model", required=True)
    parser.add_argument("--weights", default="file")
    parser.add_argument("--gpus", default="1,2,4,8", help="numbers of GPUs; those that the machine lacks are left out")
    parser.add_argument("--maps", default="balanced", help="for layers split, with commas")
    parser.add_argument("--clients", type=int, default=64, help="for each GPU")
    parser.add_argument("--rounds", type=int, default=3, help="pages of each client")
    parser.add_argument("--tiles", type=int, default=13)
    parser.add_argument("--output-tokens", type=int, default=200)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    a = parser.parse_args()

    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    cards = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    page_s = bound_s(a, a.clients)
    print(f"{len(cards)} of {cards[0]}; one page takes at least {page_s * 1e3:.1f} ms of a GPU, {1 / page_s:.1f} pages a second\n")
    print("| GPUs | layout | clients | pages/s | of one GPU's | of the bound | per token, ms | 1 client, first token, ms | per token, ms |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    rows = []
    for gpus in (int(n) for n in a.gpus.split(",")):
        if gpus > len(cards):
            continue
        for name, options, slots in layouts(a, gpus):
            with serve(a, gpus, options, slots) as server:
                alone = load(a, server, 1, 4)
                full = load(a, server, a.clients * gpus, a.clients * gpus * a.rounds)
            ms = lambda row, key: float(row[f"{key}_p50_s"]) * 1e3  # noqa: E731
            row = {
                "gpus": gpus, "layout": name, "clients": a.clients * gpus, "pages": float(full["pages_per_second"]),
                "times": float(full["pages_per_second"]) / rows[0]["pages"] if rows else 1.0,
                "token_ms": ms(full, "per_token"), "alone_first_ms": ms(alone, "first_token"), "alone_token_ms": ms(alone, "per_token"),
            }
            rows.append(row)
            print(f"| {gpus} | {name} | {row['clients']} | {row['pages']:.2f} | {row['times']:.2f} "
                  f"| {row['pages'] * page_s / gpus:.0%} | {row['token_ms']:.1f} | {row['alone_first_ms']:.0f} | {row['alone_token_ms']:.2f} |", flush=True)
    a.out.mkdir(parents=True, exist_ok=True)
    with open(a.out / "levels.csv", "w", newline="") as file:
        out = csv.DictWriter(file, rows[0])
        out.writeheader()
        out.writerows(rows)
    if len({row["gpus"] for row in rows}) > 1:
        (a.out / "gpus.svg").write_text(chart(rows))


if __name__ == "__main__":
    main()
