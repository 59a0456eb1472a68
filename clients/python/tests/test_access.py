"""Certificates, API keys and tokens against a real server: the scenarios of `clients/conformance/access`, by
both clients."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tessera import (
    TLS,
    AsyncClient,
    AuthenticationError,
    BatchResult,
    Client,
    Extraction,
    TesseraError,
    UnavailableError,
)

REPOSITORY = Path(__file__).resolve().parents[3]
ACCESS = REPOSITORY / "clients" / "conformance" / "access"
RECEIPT = REPOSITORY / "models" / "tessera-tiny" / "samples" / "receipt-01.png"
SUITE: dict[str, Any] = json.loads((ACCESS / "scenarios.json").read_text())
LIMIT_S = 60.0

TYPES = {
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": AuthenticationError,
    "UNAVAILABLE": UnavailableError,
}


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not os.environ.get("TESSERA_BIN") or shutil.which("openssl") is None:
        pytest.skip("needs a server of its own and openssl: set TESSERA_BIN=path/to/tessera")
    found = tmp_path_factory.mktemp("access")
    binary = str(Path(os.environ["TESSERA_BIN"]).resolve())
    command = ["sh", str(ACCESS / "make-files.sh"), str(found)]
    subprocess.run(command, check=True, env={**os.environ, "TESSERA_BIN": binary})
    return found


def options(scenario: dict[str, Any], files: Path, address: str) -> dict[str, Any]:
    """Of a client."""
    token = scenario.get("token")
    found: dict[str, Any] = {
        "target": ("https://" if "ca" in scenario else "http://") + address,
        "attempts": 1,
        "token": None if token is None else (files / f"{token}.token").read_text(),
    }
    if "ca" in scenario:
        who = scenario.get("client")
        pair = {} if who is None else {"cert": files / f"{who}.pem", "key": files / f"{who}.key"}
        found["tls"] = TLS(ca=files / scenario["ca"], **pair)
    return found


def call(client: Client, what: str) -> None:
    match what:
        case "Extract":
            check(client.extract(RECEIPT, document_type="receipt", timeout=LIMIT_S))
        case "BatchExtract":
            results = client.batch([RECEIPT] * 2, document_type="receipt", timeout=LIMIT_S)
            check_batch(list(results))
        case "ModelInfo":
            assert client.model_info(timeout=LIMIT_S).model == "tessera-tiny"


async def call_async(client: AsyncClient, what: str) -> None:
    match what:
        case "Extract":
            check(await client.extract(RECEIPT, document_type="receipt", timeout=LIMIT_S))
        case "BatchExtract":
            results = client.batch([RECEIPT] * 2, document_type="receipt", timeout=LIMIT_S)
            check_batch([result async for result in results])
        case "ModelInfo":
            assert (await client.model_info(timeout=LIMIT_S)).model == "tessera-tiny"


def check_batch(results: list[BatchResult]) -> None:
    assert len(results) == 2
    for result in results:
        check(result.unwrap())


def check(answer: Extraction) -> None:
    assert answer.document is not None and answer.document["TOTAL_AMOUNT"] == "$30.00"


def by_sync(given: dict[str, Any], what: str) -> None:
    with Client(**given) as client:
        call(client, what)


def by_asyncio(given: dict[str, Any], what: str) -> None:
    async def run() -> None:
        async with AsyncClient(**given) as client:
            await call_async(client, what)

    asyncio.run(run())


def is_ready(files: Path) -> Callable[[str], None]:
    """Waits for a server that speaks TLS only; a client's certificate does no harm where none is wanted."""
    pair = (files / "billing.key").read_bytes(), (files / "billing.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials((files / "ca.pem").read_bytes(), *pair)

    def wait(address: str) -> None:
        request = health_pb2.HealthCheckRequest(service="tessera.v1.ExtractionService")
        end = time.monotonic() + LIMIT_S
        with grpc.secure_channel(address, credentials) as channel:
            while True:
                try:
                    stub = health_pb2_grpc.HealthStub(channel)
                    if stub.Check(request, timeout=2.0).status == 1:
                        return
                except grpc.RpcError as error:
                    assert time.monotonic() < end, error
                time.sleep(0.1)

    return wait


@pytest.mark.parametrize("run", [by_sync, by_asyncio])
@pytest.mark.parametrize("scenario", SUITE["scenarios"], ids=lambda each: each["name"])
def test_who_may_call(
    server: Callable[..., str], files: Path, scenario: dict[str, Any], run: Callable[..., None]
) -> None:
    flags = [each.replace("DIR", str(files)) for each in SUITE["servers"][scenario["server"]]]
    given = options(scenario, files, server(*flags, ready=is_ready(files)))
    expect = scenario.get("error")
    if expect is None:
        run(given, scenario["call"])
        return
    with pytest.raises(TYPES[expect["code"]]) as caught:
        run(given, scenario["call"])
    error = caught.value
    assert isinstance(error, TesseraError) and error.code.name == expect["code"], error
    assert error.reason == expect.get("reason", error.reason), error
    # What was sent is never said back.
    assert given["token"] is None or given["token"] not in str(error)
