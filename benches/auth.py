#!/usr/bin/env python3
"""What it costs a server to know who calls: no check, an API key, a token, mutual TLS, in turn.

    cargo build --release --locked
    python3 benches/auth.py target/release/tessera [--streams 64] [--requests 640] [--rounds 3]

Needs Python and openssl. Each server has the fake model, so that nothing but serving is measured, and the same
options but for its access rules and certificates; all of them run through the same rounds one after the other, so
that a machine that gets busier does so for all. The first figure is processor time of the server for each call, which
other work on the machine changes little; the others are what `tessera bench serve` saw.
"""

import argparse
import base64
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

from server import Server

FAKE = "fake:step=2ms,token=0us,tile=0ms"
RULE = '\n[[rule]]\ncallers = ["*"]\nmethods = ["*"]\n'


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=True).stdout


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificates(at):
    """An authority, a server and a client of it."""
    (at / "server.ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    (at / "client.ext").write_text("subjectAltName=URI:spiffe://cluster.local/ns/billing/sa/reader\n")
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(*new, "-x509", "-subj", "/CN=authority", "-days", 30, "-keyout", at / "ca.key", "-out", at / "ca.pem")
    for name in ["server", "client"]:
        openssl(*new, "-subj", f"/CN={name}", "-keyout", at / f"{name}.key", "-out", at / f"{name}.csr")
        openssl(
            "x509", "-req", "-in", at / f"{name}.csr", "-CA", at / "ca.pem", "-CAkey", at / "ca.key", "-CAcreateserial",
            "-days", 30, "-extfile", at / f"{name}.ext", "-out", at / f"{name}.pem",
        )


def token(at):
    """A token by an RSA key of 2048 bits, whose public half is in jwks.json."""
    openssl("genrsa", "-out", at / "jwt.key", 2048)
    modulus = openssl("rsa", "-in", at / "jwt.key", "-modulus", "-noout").decode().strip().split("=")[1]
    key = {"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig", "n": url64(bytes.fromhex(modulus)), "e": "AQAB"}
    (at / "jwks.json").write_text(json.dumps({"keys": [key]}))
    claims = {"iss": "https://login.example", "aud": "tessera", "sub": "reader", "exp": int(time.time()) + 86_400}
    header = {"alg": "RS256", "kid": "1", "typ": "JWT"}
    signed = ".".join(url64(json.dumps(part).encode()) for part in [header, claims])
    return signed + "." + url64(openssl("dgst", "-sha256", "-sign", at / "jwt.key", data=signed.encode()))


def kinds(binary, at):
    """Name, options of the server, scheme, options of the client."""
    certificates(at)
    made = subprocess.run([binary, "key", "billing"], capture_output=True, text=True, check=True)
    (at / "keys.toml").write_text(made.stdout + RULE)
    key = re.search(r"tsr_\S+", made.stderr).group()
    jwt = token(at)
    section = '[jwt]\nissuers = ["https://login.example"]\naudiences = ["tessera"]\njwks-file = "jwks.json"\n'
    (at / "jwt.toml").write_text(section + RULE)
    tls = ["--tls-cert", at / "server.pem", "--tls-key", at / "server.key"]
    mutual = [*tls, "--tls-client-ca", at / "ca.pem"]
    trust = ["--ca", at / "ca.pem"]
    own = ["--client-cert", at / "client.pem", "--client-key", at / "client.key"]
    return [
        ("none", [], "http", []),
        ("API key", ["--access-file", at / "keys.toml"], "http", ["--api-key", key]),
        ("token (RS256)", ["--access-file", at / "jwt.toml"], "http", ["--token", jwt]),
        ("TLS", tls, "https", trust),
        ("mutual TLS", mutual, "https", [*trust, *own]),
    ]


def serve(binary, options, streams):
    model = ["--weights", FAKE, "--slots", streams, "--slot-tokens", 1024, "--max-output-tokens", 256, "--queue", 256]
    return Server(binary, *model, "--log-level", "warn", *options)


def ended_well(server):
    """Calls of Extract that ended well so far."""
    lines = server.answers("/metrics").splitlines()
    of = [line for line in lines if line.startswith("rpc_server_call_duration_seconds_count") and "/Extract\"" in line]
    return sum(int(line.rsplit(" ", 1)[1]) for line in of if '"OK"' in line)


def load(binary, server, scheme, options, a):
    """One round; milliseconds of the server for each call, and the table's last line."""
    before, calls = server.processor_s(), ended_well(server)
    command = [
        binary, "bench", "serve", "--server", f"{scheme}://{server.address}", "--concurrency", a.streams,
        "--requests", a.requests, "--warm-up", "1s", "--output-tokens", a.output_tokens, "--distinct", 1,
        "--prompt", "What is the total?", *options,
    ]
    report = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if report.returncode != 0:
        sys.exit(f"the load failed: {report.stderr}\n{report.stdout}")
    calls = ended_well(server) - calls
    if calls < a.requests:
        sys.exit(f"the server ended {calls} calls well of {a.requests}")
    rows = [line for line in report.stdout.splitlines() if re.match(rf"\|?\s*{a.streams}\b", line)]
    return (server.processor_s() - before) / calls * 1e3, rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--requests", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output-tokens", type=int, default=32)
    parser.add_argument("--show", action="store_true", help="show each round's table")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        all_kinds = kinds(a.binary, pathlib.Path(directory))
        servers = [serve(a.binary, options, a.streams) for _, options, _, _ in all_kinds]
        took = {name: [] for name, _, _, _ in all_kinds}
        try:
            for number in range(a.rounds):
                for (name, _, scheme, options), server in zip(all_kinds, servers):
                    ms, rows = load(a.binary, server, scheme, options, a)
                    took[name].append(ms)
                    if a.show:
                        print(f"{name}, round {number + 1}: {ms:.2f} ms; " + " ".join(rows))
        finally:
            for server in servers:
                server.stop()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {a.streams} streams, {a.requests} calls a round")
    print("| who calls is known by | ms of the server a call, median (all rounds) | more than without |")
    print("|---|---:|---:|")
    without = took["none"]
    for name, times in took.items():
        more = statistics.median(time - other for time, other in zip(times, without))
        rounds = ", ".join(f"{time:.2f}" for time in times)
        print(f"| {name} | {statistics.median(times):.2f} ({rounds}) | {'' if name == 'none' else f'{more:+.2f} ms'} |")


if __name__ == "__main__":
    main()
