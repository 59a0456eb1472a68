"""What traces cost: the same documents read in turns with every step traced and with nothing traced. Linux only:
processor time is read from /proc.

    cargo build --release
    python3 benches/telemetry/overhead.py [--rounds 200] [--servers 4] [--level 2] [--parallel 1] [--collector URL]
    python3 benches/telemetry/overhead.py --parallel 64 --serve "--model DIR --devices cuda:0 --slots 64"

A process may be lucky with its memory for as long as it lives, by several percent, and a machine that others use too is faster
or slower from one second to the next, by more. So both are asked of one server, which traces, by the level that a
request may name; a round is one page with traces and without, in the order on-off and then off-on; and there are many
rounds, shared between --servers servers, one after the other. Answers are greedy, so a page has the same tokens each
time, and the ratio of times is that of throughputs. Told are the medians over rounds of the ratios of the time that they
took and of the processor time that the server took for them, with the range in which chance leaves each (95 %, by ranks).
Traces go to files, or with --collector to a collector over OTLP; every step of every request is traced.

The thread that makes and sends spans does so later, when another page is read. Its processor time comes on top, by
itself: the part of the cost that no other work disturbs. What a server pays for traces that nobody asks for is not in these
figures. --apart compares a server that traces with one that has no traces at all: two processes, with the luck of two.
"""

import argparse
import json
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


def read(server, page, parallel, level):
    """Has a page read, by so many clients at once. The time, and the processor time of the server but for its spans."""
    command = [server.command[0], "extract", "--json", "--type", "receipt", "--server", server.address]
    command += [*(["--trace-level", level] if level else []), page]
    taken = lambda: server.processor_s() - spans_thread_s(server)
    processor_s, begin = taken(), time.perf_counter()
    clients = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(parallel)
    ]
    if any([client.wait() for client in clients]):
        raise SystemExit("a client failed")
    return time.perf_counter() - begin, taken() - processor_s


def spans_thread_s(server):
    """Processor time of the thread that makes spans and hands them on; 0 where nothing is traced."""
    nanos = 0
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        try:
            if (task / "comm").read_text().strip() == "spans":
                nanos += int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass  # Another thread, which ended meanwhile.
    return nanos / 1e9


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
    low, high = (ranked[min(max(round(count / 2 + side * reach), 0), count - 1)] for side in (-1, 1))
    first, _, third = statistics.quantiles(ratios, n=4)
    print(f"{what}, traced over plain: median {statistics.median(ratios):.4f} ({low:.4f} to {high:.4f}), quartiles {first:.4f} to {third:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--servers", type=int, default=4, help="one after the other; pairs of them with --apart")
    parser.add_argument("--level", default="2")
    parser.add_argument("--parallel", type=int, default=1, help="clients at once")
    parser.add_argument("--apart", action="store_true", help="beside a server without traces")
    parser.add_argument("--collector", help="URL of a collector to send traces to, instead of files")
    parser.add_argument("--serve", default="--devices cpu", help="options of the servers")
    parser.add_argument("--binary", type=pathlib.Path, default=BINARY)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        to = ["--otlp-endpoint", args.collector, "--otlp-signals", "traces"] if args.collector else None
        traced = ["--trace-level", args.level, *(to or ["--trace-dir", directory])]
        levels = [None, None] if args.apart else [args.level, "0"]
        times, cpus, total, making_s = [], [], [0.0, 0.0], 0.0
        for turn in range(args.servers):
            servers = [None, None]
            try:
                servers[0] = Server(args.binary, *shlex.split(args.serve), *traced)
                servers[1] = Server(args.binary, *shlex.split(args.serve)) if args.apart else servers[0]
                for which in (0, 1):
                    read(servers[which], PAGES[0], args.parallel, levels[which])  # Warm up.
                before_s = spans_thread_s(servers[0])
                for number in range(turn, args.rounds, args.servers):
                    took, page = {}, PAGES[number // args.servers % len(PAGES)]
                    for which in (0, 1) if number // args.servers % 2 == 0 else (1, 0):
                        took[which] = read(servers[which], page, args.parallel, levels[which])
                        total[which] += took[which][1]
                    times.append(took[0][0] / took[1][0])
                    cpus.append(took[0][1] / took[1][1])
                time.sleep(EXPORT_S)
                making_s += spans_thread_s(servers[0]) - before_s
            finally:
                for server in {id(server): server for server in servers if server}.values():
                    server.stop()
        spans = f", {spans_in(directory)} spans in the files that are left" if not args.collector else ""
    print(f"{args.rounds} rounds of {args.parallel} x one page, level {args.level}{spans}")
    told("time", times)
    told("processor time of the server", cpus)
    print(f"processor time of all rounds: {total[0] / total[1]:.4f} ({total[0]:.2f} s over {total[1]:.2f} s)")
    print(f"making and sending spans, on top: {making_s:.3f} s, {making_s / total[1]:.4f} of what it takes without")


if __name__ == "__main__":
    main()
