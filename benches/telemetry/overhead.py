"""What traces cost: the same documents read in turns with every step traced and with nothing traced. Linux only:
processor time is read from /proc.

    cargo build --release
    python3 benches/telemetry/overhead.py [--rounds 120] [--servers 3] [--level 2] [--parallel 1] [--collector URL]
    python3 benches/telemetry/overhead.py --parallel 64 --serve "--model DIR --devices cuda:0 --slots 64"

A process may be lucky with its memory for as long as it lives, by several percent, and a machine that others use too is faster
or slower from one second to the next, by more. So both are asked of one server, which traces, by the level that a
request may name. A round is a page with traces, twice without, and with: its ratio is that of the two sums, so that who is read first
and what becomes slower or faster meanwhile cancel. There are many rounds, shared between --servers servers, one after the other.
Answers are greedy, so a page has the same tokens each time, and the ratio of times is that of throughputs. Nothing is kept of
pages and prompts (--prefix-cache off). Told are the medians over rounds, of the time that they took and of the processor time that the
server took for them, with the range in which chance leaves each (95 %, by ranks). Traces go to files, or with --collector to a
collector over OTLP; every step of every request is traced.

The thread that makes and sends spans does so later, when another page is read. Its processor time comes on top, by
itself: the part of the cost that no other work disturbs. What a server pays for traces that nobody asks for is not in these
figures. --apart compares a server that traces with one that has no traces at all: two processes, with the luck of two.
"""

import argparse
import json
import math
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches"))

from server import Server  # noqa: E402

BINARY = ROOT / "target" / "release" / "tessera"  # Where --binary does not say otherwise.
# Spans wait for others to share their export.
EXPORT_S = 1.1
PAGES = sorted((ROOT / "models" / "tessera-tiny" / "samples").glob("receipt-*.png"))


def threads_s(server):
    """Processor time of a server's threads, and of the one among them that makes spans and hands them on."""
    total_ns = spans_ns = 0
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        try:
            name, took_ns = (task / "comm").read_text().strip(), int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue  # Another thread, which ended meanwhile.
        total_ns += took_ns
        spans_ns += took_ns if name == "spans" else 0
    return total_ns / 1e9, spans_ns / 1e9


def read(server, pages, level):
    """Has pages read, each by a client of its own. The time, and the processor time of the server but for its spans."""
    command = [server.command[0], "extract", "--json", "--type", "receipt", "--server", server.address]
    command += ["--trace-level", level] if level else []
    (all_s, spans_s), begin = threads_s(server), time.perf_counter()
    clients = [
        subprocess.Popen([*command, page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for page in pages
    ]
    if any([client.wait() for client in clients]):
        raise SystemExit("a client failed")
    took_s, (all_after_s, spans_after_s) = time.perf_counter() - begin, threads_s(server)
    return took_s, all_after_s - all_s - (spans_after_s - spans_s)


def spans_in(directory):
    return sum(
        len(scope["spans"])
        for file in pathlib.Path(directory).glob("*.jsonl")
        for line in file.read_text().splitlines()
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
    )


def told(what, ratios):
    """The median, and the ranks between which it lies with 95 %: so many of a coin's throws are heads."""
    ranked, count = sorted(ratios), len(ratios)
    reach = 0.98 * count**0.5
    low, high = max(math.floor(count / 2 - reach), 1), min(math.ceil(count / 2 + reach) + 1, count)
    first, _, third = statistics.quantiles(ratios, n=4)
    print(f"{what}, traced over plain: median {statistics.median(ratios):.4f} ({ranked[low - 1]:.4f} to {ranked[high - 1]:.4f}), quartiles {first:.4f} to {third:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--servers", type=int, default=3, help="one after the other; pairs of them with --apart")
    parser.add_argument("--level", default="2")
    parser.add_argument("--parallel", type=int, default=1, help="clients at once, each with the next page")
    parser.add_argument("--apart", action="store_true", help="beside a server without traces")
    parser.add_argument("--collector", help="URL of a collector to send traces to, instead of files")
    parser.add_argument("--serve", default="--devices cpu", help="options of the servers")
    parser.add_argument("--binary", type=pathlib.Path, default=BINARY)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        to = ["--otlp-endpoint", args.collector, "--otlp-signals", "traces"] if args.collector else None
        traced = ["--trace-level", args.level, *(to or ["--trace-dir", directory])]
        options = ["--prefix-cache", "off", *shlex.split(args.serve)]
        levels = [None, None] if args.apart else [args.level, "0"]
        times, cpus, total, making_s = [], [], [0.0, 0.0], 0.0
        for turn in range(args.servers):
            servers = [None, None]
            try:
                servers[0] = Server(args.binary, *options, *traced)
                servers[1] = Server(args.binary, *options) if args.apart else servers[0]
                for which in (0, 1):
                    read(servers[which], PAGES, levels[which])  # Warm up.
                before_s = threads_s(servers[0])[1]
                for number in range(turn, args.rounds, args.servers):
                    first = number // args.servers
                    pages = [PAGES[(first + client) % len(PAGES)] for client in range(args.parallel)]
                    took = [[0.0, 0.0], [0.0, 0.0]]
                    for which in (0, 1, 1, 0):
                        took_s, processor_s = read(servers[which], pages, levels[which])
                        took[which][0] += took_s
                        took[which][1] += processor_s
                        total[which] += processor_s
                    times.append(took[0][0] / took[1][0])
                    cpus.append(took[0][1] / took[1][1])
                time.sleep(EXPORT_S)
                making_s += threads_s(servers[0])[1] - before_s
            finally:
                for server in {id(server): server for server in servers if server}.values():
                    server.stop()
        spans = f", {spans_in(directory)} spans in the files that are left" if not args.collector else ""
    print(f"{args.rounds} rounds of {args.parallel} pages, four times each, level {args.level}{spans}")
    told("time", times)
    told("processor time of the server", cpus)
    print(f"processor time of all rounds: {total[0] / total[1]:.4f} ({total[0]:.2f} s over {total[1]:.2f} s)")
    print(f"making and sending spans, on top: {making_s:.3f} s, {making_s / total[1]:.4f} of what it takes without")


if __name__ == "__main__":
    main()
