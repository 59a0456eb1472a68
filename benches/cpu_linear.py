#!/usr/bin/env python3
"""What a page costs on the CPU, by its tiles and by the tokens of its answer, with the straight line through it.

    cargo build --release --locked
    python3 benches/cpu_linear.py target/release/tessera --svg docs/images/cpu-linear.svg

Needs grpcio, with clients/python on PYTHONPATH for the generated stubs. The built-in model in f32 reads, over gRPC
on loopback, pages made by `tessera bench pages` with 1, 3, 4 and 5 tiles until the first token, and the bundled
receipt with more and more tokens of answer. Rounds alternate; each figure is the median of its rounds, after one that
does not count. The server keeps no pages and no prompts. The line is the least-squares one through
the medians, r2 the share of their variance that it explains.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "clients" / "python"))

import grpc  # noqa: E402
from server import Server  # noqa: E402
from tessera.v1 import extraction_pb2, extraction_pb2_grpc  # noqa: E402

TILES = [1, 3, 4, 5]
TOKENS = [20, 80, 140, 200, 260, 320]
RECEIPT = ROOT / "models" / "tessera-tiny" / "samples" / "receipt-01.png"


def made_pages(binary, folder):
    """One page for each number of tiles."""
    pages = {}
    for tiles in TILES:
        out = pathlib.Path(folder) / str(tiles)
        command = [binary, "bench", "pages", "--tiles", str(tiles), "--count", "1", "--most", "4", "--tile-px", "448", "--out", str(out)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode != 0:
            sys.exit(made.stderr)
        pages[tiles] = next(path for path in sorted(out.iterdir()) if path.suffix in (".jpg", ".png")).read_bytes()
    return pages


def read(stub, content, tokens_max):
    """Seconds to the first token and to the end, and tokens of the answer."""
    request = extraction_pb2.ExtractRequest(files=[extraction_pb2.InputFile(content=content)], prompt="Extract the fields as JSON.")
    request.generation.max_output_tokens = tokens_max
    start, first, tokens = time.perf_counter(), None, 0
    for event in stub.Extract(request, timeout=120):
        if event.WhichOneof("event") == "token_delta":
            first = first or time.perf_counter()
            tokens += event.token_delta.token_count
    return first - start, time.perf_counter() - start, tokens


def line(points):
    """Slope, intercept and r2 of the least-squares line."""
    xs, ys = zip(*points)
    slope, intercept = statistics.linear_regression(xs, ys)
    return slope, intercept, statistics.correlation(xs, ys) ** 2


def panel(points, fit, left, x_title, y_title):
    """One plot, 400 wide, as SVG."""
    width, height, x0, y0 = 320, 220, left + 60, 260
    x_max, y_max = max(x for x, _ in points) * 1.08, max(y for _, y in points) * 1.15
    at = lambda x, y: (x0 + x / x_max * width, y0 - y / y_max * height)  # noqa: E731
    slope, intercept, r2 = fit
    parts = [f'<path d="M{x0} {y0 - height}V{y0}H{x0 + width}" fill="none" stroke="#888"/>']
    (ax, ay), (bx, by) = at(0, max(intercept, 0)), at(x_max, intercept + slope * x_max)
    parts.append(f'<line x1="{ax:.1f}" y1="{ay:.1f}" x2="{bx:.1f}" y2="{by:.1f}" stroke="#1f77b4"/>')
    for x, y in points:
        px, py = at(x, y)
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="#d62728"/>')
        parts.append(f'<text x="{px:.1f}" y="{y0 + 16}" text-anchor="middle">{x}</text>')
        parts.append(f'<text x="{px:.1f}" y="{py - 8:.1f}" text-anchor="middle">{y:.2f}</text>')
    parts.append(f'<text x="{x0 + width / 2}" y="{y0 + 34}" text-anchor="middle">{x_title}</text>')
    parts.append(f'<text x="{left + 14}" y="{y0 - height / 2}" text-anchor="middle" transform="rotate(-90 {left + 14} {y0 - height / 2})">{y_title}</text>')
    parts.append(f'<text x="{x0 + 8}" y="{y0 - height - 8}">{slope * 1000:.1f} ms each, r2 {r2:.4f}</text>')
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--svg", type=pathlib.Path)
    a = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        pages = made_pages(a.binary, folder)
    plain = ["--devices", "cpu", "--dtype", "f32", "--prefix-cache", "off", "--guard", "off"]
    server = Server(a.binary, *plain)
    stub = extraction_pb2_grpc.ExtractionServiceStub(grpc.insecure_channel(server.address))
    by_tiles, by_tokens = {tiles: [] for tiles in TILES}, {tokens: [] for tokens in TOKENS}
    try:
        for round_ in range(a.rounds + 1):
            for tiles in TILES:
                first, _, _ = read(stub, pages[tiles], 2)
                if round_:
                    by_tiles[tiles].append(first)
            for tokens in TOKENS:
                first, whole, count = read(stub, RECEIPT.read_bytes(), tokens)
                if count != tokens:
                    sys.exit(f"{count} tokens of answer, not {tokens}")
                if round_:
                    by_tokens[tokens].append(whole)
    finally:
        server.stop()

    tiles = [(x, statistics.median(ys)) for x, ys in by_tiles.items()]
    tokens = [(x, statistics.median(ys)) for x, ys in by_tokens.items()]
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, medians of {a.rounds} rounds")
    for name, points in (("tiles, s to the first token", tiles), ("tokens of answer, s to the end", tokens)):
        slope, intercept, r2 = line(points)
        print(f"| {name} | " + " | ".join(f"{x}: {y:.3f}" for x, y in points) + f" | {slope * 1000:.2f} ms each + {intercept * 1000:.0f} ms, r2 {r2:.4f} |")
    if a.svg:
        a.svg.parent.mkdir(parents=True, exist_ok=True)
        body = panel(tiles, line(tiles), 0, "tiles of the page", "seconds to the first token")
        body += "\n" + panel(tokens, line(tokens), 420, "tokens of the answer", "seconds to the end")
        a.svg.write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" width="840" height="310" font-family="sans-serif" font-size="12">\n'
            f'<rect width="840" height="310" fill="#fff"/>\n{body}\n</svg>\n'
        )


if __name__ == "__main__":
    main()
