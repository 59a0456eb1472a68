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
import http.client
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "models" / "tessera-tiny" / "samples"
READY_S_MAX = 60.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class Server:
    """A server of its own, which is ready."""

    def __init__(self, binary, options):
        self.port, admin = free_port(), free_port()
        addresses = ["--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{admin}"]
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [binary, "serve", "--devices", "cpu", *addresses, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not is_ready(admin):
            if self.process.poll() is not None:
                sys.exit(f"the server ended with {self.process.returncode}")
            if time.perf_counter() - began > READY_S_MAX:
                self.stop()
                sys.exit(f"the server was not ready after {READY_S_MAX} s")
            time.sleep(0.005)
        self.ready_s = time.perf_counter() - began

    def memory_mb(self, name):
        """A line of /proc/PID/status."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
        sys.exit(f"no {name} in /proc/PID/status")

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


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
        server = Server(a.binary, a.options)
        starts.append(server.ready_s)
        server.stop()
    server = Server(a.binary, a.options)
    try:
        starts.append(server.ready_s)
        idle = server.memory_mb("VmRSS")
        load = [
            a.binary, "bench", "serve", "--server", f"http://127.0.0.1:{server.port}", "--images", str(SAMPLES),
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
