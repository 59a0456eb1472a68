#!/usr/bin/env python3
"""How long `tessera serve` takes to serve, and the most memory that it holds under so many streams.

    cargo build --release --locked
    python3 benches/start_and_memory.py target/release/tessera [--starts 5] [--streams 16] [-- --slots 16 ...]

Needs nothing but Python. What follows `--` is given to `tessera serve`, which serves the built-in model. A start
is timed from before the process exists to the first answer of the operators' port that says ready, asked every
5 ms: then one request has gone through the whole model. Memory is VmHWM of the server, its peak of resident pages,
after `tessera bench serve` has kept so many streams busy. With --ready-s-max and --rss-mb-max it exits with 1 where a
figure is larger.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "models" / "tessera-tiny" / "samples"


def serve(a):
    return Server(a.binary, "--devices", "cpu", *a.options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--requests", type=int, default=48)
    parser.add_argument("--ready-s-max", type=float)
    parser.add_argument("--rss-mb-max", type=float)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    a = parser.parse_args(sys.argv[1:end])
    a.options = sys.argv[end + 1:]

    starts = []
    for _ in range(a.starts - 1):
        server = serve(a)
        starts.append(server.ready_s)
        server.stop()
    server = serve(a)
    try:
        starts.append(server.ready_s)
        idle = server.memory_mb("VmRSS")
        load = [
            a.binary, "bench", "serve", "--server", f"http://{server.address}", "--images", str(SAMPLES),
            "--concurrency", str(a.streams), "--requests", str(a.requests), "--warm-up", "1s",
        ]
        report = subprocess.run(load, capture_output=True, text=True)
        if report.returncode != 0:
            sys.exit(f"the load failed: {report.stderr}")
        peak = server.memory_mb("VmHWM")
    finally:
        server.stop()

    ready = statistics.median(starts)
    print(f"{os.cpu_count()} processors, load before {os.getloadavg()[0]:.1f}; tessera serve {' '.join(a.options)}")
    print(f"ready after {ready:.2f} s (median of {a.starts}; {min(starts):.2f} to {max(starts):.2f})")
    print(f"resident when ready {idle:.0f} MB, at its peak with {a.streams} streams {peak:.0f} MB")
    too_slow = a.ready_s_max is not None and ready > a.ready_s_max
    too_large = a.rss_mb_max is not None and peak > a.rss_mb_max
    sys.exit(1 if too_slow or too_large else 0)


if __name__ == "__main__":
    main()
