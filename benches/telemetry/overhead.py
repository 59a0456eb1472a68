"""What traces cost: the same documents read in turns with every step traced and with nothing traced. Linux only:
processor time is read from /proc.

    cargo build --release
    python3 benches/telemetry/overhead.py [--rounds 20] [--servers 4] [--level 2] [--parallel 1] [--collector URL]
    python3 benches/telemetry/overhead.py --parallel 64 --serve "--model DIR --devices cuda:0 --slots 64"

A process may be lucky with its memory for as long as it lives, by several percent. So both are asked of one server, which
traces, by the level that a request may name; and the rounds are shared between --servers servers, one after the other. A
round gives both the same documents, in the order on-off and then off-on, so that a machine that becomes slower or
faster meanwhile hurts both. Answers are greedy, so a round has the same tokens each time, and the ratio of times is that of
throughputs. Two figures: the median over rounds of the ratio of the time that they took, which other work on the
machine disturbs, and of the processor time that the server took, which it disturbs little. Traces go to files, or with
--collector to a collector over OTLP; every step of every request is traced.

What a server pays for traces that nobody asks for is not in these figures. --apart compares a server that traces with one
that has no traces at all: two processes, with the luck of two. There, with --level 0, neither traces a request.
Last comes what the threads alone took that make and send spans: the part of the cost that no other work disturbs.
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
# Spans wait so long for others to share their export.
EXPORT_S = 1.1
PAGES = sorted((ROOT / "models" / "tessera-tiny" / "samples").glob("receipt-*.png"))


def read(server, parallel, level):
    """Has all pages read, by so many clients at once. The time, and the processor time of the server."""
    command = [server.command[0], "extract", "--json", "--type", "receipt", "--server", server.address]
    command += [*(["--trace-level", level] if level else []), *PAGES]
    processor_s, begin = server.processor_s(), time.perf_counter()
    clients = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(parallel)
    ]
    if any([client.wait() for client in clients]):
        raise SystemExit("a client failed")
    took_s = time.perf_counter() - begin
    time.sleep(EXPORT_S)
    return took_s, server.processor_s() - processor_s


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
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"{what}, traced over plain: median {middle:.4f}, quartiles {low:.4f} to {high:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
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
            order, servers = (0, 1) if turn % 2 == 0 else (1, 0), [None, None]
            try:
                for which in order if args.apart else (0,):
                    servers[which] = Server(args.binary, *shlex.split(args.serve), *(traced if which == 0 else []))
                one_or_both = servers if args.apart else [servers[0], servers[0]]
                for which in order:
                    read(one_or_both[which], args.parallel, levels[which])  # Warm up.
                before_s = spans_thread_s(servers[0])
                for number in range(turn, args.rounds, args.servers):
                    took = {}
                    for which in (0, 1) if number // args.servers % 2 == 0 else (1, 0):
                        took[which] = read(one_or_both[which], args.parallel, levels[which])
                        total[which] += took[which][1]
                    times.append(took[0][0] / took[1][0])
                    cpus.append(took[0][1] / took[1][1])
                making_s += spans_thread_s(servers[0]) - before_s
            finally:
                for server in filter(None, servers):
                    server.stop()
        spans = f", {spans_in(directory)} spans in the files that are left" if not args.collector else ""
    print(f"{args.rounds} rounds of {args.parallel} x {len(PAGES)} pages, level {args.level}{spans}")
    told("time", times)
    told("processor time of the server", cpus)
    print(f"processor time of all rounds: {total[0] / total[1]:.4f} ({total[0]:.2f} s over {total[1]:.2f} s)")
    print(f"making and sending spans: {making_s:.3f} s, {making_s / total[1]:.4f} of what it takes without")


if __name__ == "__main__":
    main()
