"""The server under test: TESSERA_ADDR (a running one) or TESSERA_BIN (a binary to start)."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tessera import Client

SERVICE = "tessera.v1.ExtractionService"
START_LIMIT_S = 120.0
STOP_LIMIT_S = 30.0

# gRPC would send even loopback calls through a proxy that the environment names.
os.environ.setdefault("no_grpc_proxy", "localhost,127.0.0.1")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """`host:port` of a server that is ready, by its flags; each is started once."""
    running, binary = os.environ.get("TESSERA_ADDR"), os.environ.get("TESSERA_BIN")
    found: dict[tuple[str, ...], str] = {}
    with contextlib.ExitStack() as stack:

        def get(*flags: str, ready: Callable[[str], None] | None = None) -> str:
            if flags in found:
                return found[flags]
            if running and not flags:
                wait_until_serving(running)
                return found.setdefault(flags, running)
            if not binary:
                pytest.skip(
                    "needs a server: set TESSERA_BIN=path/to/tessera"
                    + ("" if flags else ", or TESSERA_ADDR=host:port")
                )
            log = tmp_path_factory.mktemp("server") / "log.txt"
            address = stack.enter_context(started(binary, log, *flags, ready=ready))
            return found.setdefault(flags, address)

        yield get


@pytest.fixture(scope="session")
def address(server: Callable[..., str]) -> str:
    """`host:port` of a server with the model in the binary."""
    return server()


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


@contextlib.contextmanager
def started(
    binary: str, log: Path, *flags: str, ready: Callable[[str], None] | None = None
) -> Iterator[str]:
    """`ready` waits for a server that `grpc.health.v1` in plaintext cannot ask."""
    address = f"127.0.0.1:{free_port()}"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [binary, "serve", "--listen", address, *flags], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            if ready is None:
                wait_until_serving(address, server, log)
            else:
                ready(address)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
                raise


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_serving(
    address: str, server: subprocess.Popen[bytes] | None = None, log: Path | None = None
) -> None:
    """Asks `grpc.health.v1` until the service is SERVING."""
    last = "no answer yet"
    end = time.monotonic() + START_LIMIT_S
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while time.monotonic() < end and (server is None or server.poll() is None):
            try:
                request = health_pb2.HealthCheckRequest(service=SERVICE)
                status = health.Check(request, timeout=2.0).status
                if status == health_pb2.HealthCheckResponse.SERVING:
                    return
                last = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
            except grpc.RpcError as error:
                last = f"{error.code().name}: {error.details()}"
            time.sleep(0.1)
    text = log.read_text(errors="replace") if log is not None else ""
    pytest.fail(f"{address} is not serving: {last}\n{text}", pytrace=False)
