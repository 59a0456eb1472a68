"""What traces cost: two servers of one binary, one that traces every step of every request and one that traces
nothing, given the same documents in turns. Linux only: processor time is read from /proc.

    cargo build --release
    python3 benches/telemetry/overhead.py [--rounds 20] [--level 2]

A round gives both the same documents, in the order on-off and then off-on, so that a machine that becomes
slower or faster meanwhile hurts both. The figure is the median over rounds of the ratio of their times. Run it
on a machine that does nothing else: the spread that it prints says whether that was so.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "target" / "release" / "tessera"  # Where --binary does not say otherwise.
PAGES = sorted((ROOT / "models" / "tessera-tiny" / "samples").glob("receipt-*.png"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(binary, options):
    port = free_port()
    command = [binary, "serve", "--devices", "cpu", "--listen", f"127.0.0.1:{port}", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = server.stdout.readline()
    if not line.startswith("SERVING"):
        raise SystemExit(f"the server said {line!r}")
    return server, port


def cpu_seconds(server):
    """What the server's threads used so far; other work on the machine counts for little in it."""
    fields = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds(binary, port):
    """Reads all sample pages, one after the other, in one connection."""
    command = [binary, "extract", "--json", "--type", "receipt", "--server", f"127.0.0.1:{port}", *PAGES]
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--level", default="2")
    parser.add_argument("--binary", type=pathlib.Path, default=BINARY)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        on, on_port = start(args.binary, ["--trace-dir", directory, "--trace-level", args.level])
        off, off_port = start(args.binary, [])
        try:
            seconds(args.binary, on_port), seconds(args.binary, off_port)  # Warm up.
            ratios = []
            before = [cpu_seconds(server) for server in (on, off)]
            for number in range(args.rounds):
                if number % 2 == 0:
                    traced = seconds(args.binary, on_port)
                    plain = seconds(args.binary, off_port)
                else:
                    plain = seconds(args.binary, off_port)
                    traced = seconds(args.binary, on_port)
                ratios.append(traced / plain)
            traced_cpu, plain_cpu = (
                cpu_seconds(server) - begin for server, begin in zip((on, off), before)
            )
        finally:
            for server in (on, off):
                server.terminate()
                server.wait()
        spans = sum(
            len(scope["spans"])
            for file in pathlib.Path(directory).glob("*.jsonl")
            for line in file.read_text().splitlines()
            for resource in json.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
        )
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"{args.rounds} rounds of {len(PAGES)} pages, {spans} spans in the files")
    print(f"time, traced over plain: median {middle:.4f}, quartiles {low:.4f} to {high:.4f}")
    print(f"processor time of the server: {traced_cpu / plain_cpu:.4f} ({traced_cpu:.2f} s over {plain_cpu:.2f} s)")


if __name__ == "__main__":
    main()
