"""What the client does by itself: retries, tokens, trace context, types of failures. The other side is a
scripted server of real gRPC, since a real Tessera is never in these states on demand."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import tessera
from tessera import (
    TLS,
    AsyncClient,
    CallCancelledError,
    Client,
    DeadlineExceededError,
    Event,
    FieldViolation,
    IncompleteStreamError,
    InvalidRequestError,
    OverloadedError,
    TesseraError,
    UnavailableError,
)
from tessera._request import Task, build
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import extraction_pb2_grpc, schema_pb2

PAGE = b"a page"
ACCEPTED = pb.ExtractResponse(sequence=1, accepted=pb.Accepted(request_id="r"))
COMPLETED = pb.ExtractResponse(sequence=2, completed=pb.Completed(document_json='{"A": 1}'))

Play = Callable[[grpc.ServicerContext], Iterator[pb.ExtractResponse]]


class Script(extraction_pb2_grpc.ExtractionServiceServicer):
    """Plays one part for each call, the last one again and again."""

    def __init__(self, *parts: Play) -> None:
        self.parts = list(parts)
        self.metadata: list[dict[str, str]] = []
        self.ended = threading.Event()

    def Extract(self, request: Any, context: grpc.ServicerContext) -> Iterator[pb.ExtractResponse]:
        self.metadata.append(dict(context.invocation_metadata()))
        context.add_callback(self.ended.set)
        part = self.parts[min(len(self.metadata), len(self.parts)) - 1]
        yield from part(context)


def success(context: grpc.ServicerContext) -> Iterator[pb.ExtractResponse]:
    yield ACCEPTED
    yield COMPLETED


def endless(context: grpc.ServicerContext) -> Iterator[pb.ExtractResponse]:
    yield ACCEPTED
    while context.is_active():
        time.sleep(0.01)


def failing(code: grpc.StatusCode, *details: Message, after: int = 0) -> Play:
    def part(context: grpc.ServicerContext) -> Iterator[pb.ExtractResponse]:
        yield from [ACCEPTED][:after]
        status = status_pb2.Status(code=code.value[0], message="said so")
        for detail in details:
            status.details.add().Pack(detail)
        context.abort_with_status(rpc_status.to_status(status))

    return part


def info(reason: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain="tessera", metadata={"limit": "64"})


def retry(ms: int) -> error_details_pb2.RetryInfo:
    found = error_details_pb2.RetryInfo()
    found.retry_delay.FromMilliseconds(ms)
    return found


@pytest.fixture
def play() -> Iterator[Callable[..., tuple[Script, str]]]:
    servers = []

    def start(*parts: Play) -> tuple[Script, str]:
        script = Script(*parts)
        server = grpc.server(futures.ThreadPoolExecutor(4))
        extraction_pb2_grpc.add_ExtractionServiceServicer_to_server(script, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return script, f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None)


def read(address: str, **options: Any) -> list[Event]:
    with Client(address, **options) as client:
        return list(client.stream(PAGE, prompt="What?"))


def read_async(address: str, **options: Any) -> list[Event]:
    async def run() -> list[Event]:
        async with AsyncClient(address, **options) as client:
            return [event async for event in client.stream(PAGE, prompt="What?")]

    return asyncio.run(run())


both = pytest.mark.parametrize("read", [read, read_async])
Read = Callable[..., list[Event]]
Start = Callable[..., tuple[Script, str]]


@both
def test_a_full_queue_is_tried_again_when_it_says(play: Start, read: Read) -> None:
    full = failing(grpc.StatusCode.RESOURCE_EXHAUSTED, info("QUEUE_FULL"), retry(100))
    script, address = play(full, full, success)
    begin = time.monotonic()
    assert len(read(address)) == 2
    assert len(script.metadata) == 3
    assert time.monotonic() - begin >= 0.2


@both
def test_attempts_are_bounded(play: Start, read: Read) -> None:
    full = failing(grpc.StatusCode.RESOURCE_EXHAUSTED, info("QUEUE_FULL"), retry(1))
    script, address = play(full)
    with pytest.raises(OverloadedError) as caught:
        read(address, attempts=2)
    assert len(script.metadata) == 2
    assert (caught.value.reason, caught.value.metadata) == ("QUEUE_FULL", {"limit": "64"})
    assert caught.value.retry_after == pytest.approx(0.001)


@both
def test_a_wait_beyond_the_deadline_is_not_begun(play: Start, read: Read) -> None:
    full = failing(grpc.StatusCode.RESOURCE_EXHAUSTED, info("QUEUE_FULL"), retry(60_000))
    script, address = play(full)
    with pytest.raises(OverloadedError):
        read(address, timeout=5.0)
    assert len(script.metadata) == 1


@both
def test_what_fails_again_anywhere_is_not_tried_again(play: Start, read: Read) -> None:
    large = failing(grpc.StatusCode.RESOURCE_EXHAUSTED, info("REQUEST_TOO_LARGE_FOR_MEMORY"))
    script, address = play(large, success)
    with pytest.raises(OverloadedError):
        read(address)
    assert len(script.metadata) == 1


@both
def test_unavailable_before_the_first_event_is_tried_again(play: Start, read: Read) -> None:
    script, address = play(failing(grpc.StatusCode.UNAVAILABLE, info("MODEL_LOADING")), success)
    assert len(read(address)) == 2
    assert len(script.metadata) == 2


@both
def test_a_stream_that_began_is_not_tried_again(play: Start, read: Read) -> None:
    cut = failing(grpc.StatusCode.UNAVAILABLE, info("DRAIN_TIMEOUT"), retry(1), after=1)
    script, address = play(cut, success)
    with pytest.raises(UnavailableError):
        read(address)
    assert len(script.metadata) == 1


@both
def test_ok_without_completed_is_a_failure(play: Start, read: Read) -> None:
    _, address = play(lambda context: iter([ACCEPTED]))
    with pytest.raises(IncompleteStreamError):
        read(address)


@both
def test_events_of_a_newer_server_are_skipped(play: Start, read: Read) -> None:
    newer = pb.ExtractResponse(sequence=2)
    _, address = play(lambda context: iter([ACCEPTED, newer, COMPLETED]))
    assert [type(event) for event in read(address)] == [tessera.Accepted, tessera.Completed]


@both
def test_the_deadline_ends_the_call_on_both_sides(play: Start, read: Read) -> None:
    script, address = play(endless)
    with pytest.raises(DeadlineExceededError):
        read(address, timeout=0.2)
    assert script.ended.wait(5)


@both
def test_tokens_and_trace_context_travel(play: Start, read: Read) -> None:
    script, address = play(success)
    tracer = TracerProvider().get_tracer("test")
    tokens = iter(["one", "two"])
    with tracer.start_as_current_span("caller") as span:
        read(address, token=lambda: next(tokens), metadata=[("x-team", "books")])
    sent = script.metadata[0]
    assert (sent["authorization"], sent["x-team"]) == ("Bearer one", "books")
    assert trace.format_trace_id(span.get_span_context().trace_id) in sent["traceparent"]


def test_leaving_a_stream_ends_the_call(play: Start) -> None:
    script, address = play(endless)
    with Client(address) as client, client.stream(PAGE, prompt="What?") as events:
        next(events)
    assert script.ended.wait(5)


def test_another_thread_can_cancel(play: Start) -> None:
    script, address = play(endless)
    with Client(address) as client:
        stream = client.stream(PAGE, prompt="What?")
        next(stream)
        threading.Timer(0.1, stream.cancel).start()
        with pytest.raises(CallCancelledError):
            next(stream)
    assert script.ended.wait(5)


def test_cancelling_a_task_ends_the_call(play: Start) -> None:
    script, address = play(endless)

    async def run() -> None:
        async with AsyncClient(address) as client:
            task = asyncio.create_task(client.extract(PAGE, prompt="What?"))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert script.ended.wait(5)


def test_a_wait_for_a_full_queue_is_cancelled_at_once(play: Start) -> None:
    full = failing(grpc.StatusCode.RESOURCE_EXHAUSTED, info("QUEUE_FULL"), retry(60_000))
    script, address = play(full)
    begin = time.monotonic()
    with Client(address) as client:
        stream = client.stream(PAGE, prompt="What?")
        threading.Timer(0.3, stream.cancel).start()
        with pytest.raises(CallCancelledError):
            next(stream)

    async def run() -> None:
        async with AsyncClient(address) as client:
            stream = client.stream(PAGE, prompt="What?")
            asyncio.get_running_loop().call_later(0.3, stream.cancel)
            with pytest.raises(CallCancelledError):
                await anext(stream)

    asyncio.run(run())
    assert time.monotonic() - begin < 20
    assert len(script.metadata) == 2


@both
def test_a_client_may_have_no_deadline(play: Start, read: Read) -> None:
    def part(context: grpc.ServicerContext) -> Iterator[pb.ExtractResponse]:
        assert context.time_remaining() is None or context.time_remaining() > 1e6
        yield from success(context)

    _, address = play(part)
    assert len(read(address, timeout=math.inf)) == 2


def silent_after(address: str, quiet: threading.Event) -> Iterator[str]:
    """Passes on what both sides say, until `quiet`: then nothing, as a machine that lost its power."""
    host, port = address.split(":")
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = [listener]

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not quiet.is_set():
                    sink.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection((host, int(port)))
                ends.extend([near, far])
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    for end in ends:
        end.close()


def test_a_server_that_is_gone_without_a_word_is_found(play: Start) -> None:
    _, address = play(endless)
    quiet = threading.Event()
    for through in silent_after(address, quiet):
        begin = time.monotonic()
        with Client(through, keepalive=1.0, timeout=60.0) as client:
            stream = client.stream(PAGE, prompt="What?")
            next(stream)
            quiet.set()
            with pytest.raises(UnavailableError):
                next(stream)
        assert time.monotonic() - begin < 20


def test_failures_say_all_that_the_server_said(play: Start) -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="files", description="is empty")
    bad = error_details_pb2.BadRequest(field_violations=[violation])
    _, address = play(failing(grpc.StatusCode.INVALID_ARGUMENT, info("INVALID_FIELD"), bad))
    with pytest.raises(InvalidRequestError) as caught:
        read(address)
    assert caught.value.violations == (FieldViolation("files", "is empty"),)
    assert isinstance(caught.value.__cause__, grpc.RpcError)
    assert str(caught.value).splitlines() == [
        "INVALID_ARGUMENT (INVALID_FIELD): said so",
        "  files: is empty",
        "  limit: 64",
    ]


def test_details_that_are_none_do_not_hide_the_status(play: Start) -> None:
    def part(context: grpc.ServicerContext) -> Iterator[pb.ExtractResponse]:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(grpc.StatusCode.INTERNAL, "broken")
        yield ACCEPTED

    _, address = play(part)
    with pytest.raises(TesseraError) as caught:
        read(address)
    assert (caught.value.code, caught.value.message) == (grpc.StatusCode.INTERNAL, "broken")


def test_every_keyword_reaches_the_request() -> None:
    request = build(
        [PAGE, io.BytesIO(b"another")],
        {
            "json_schema": {"type": "object"},
            "instructions": "read well",
            "events": ("fields",),
            "priority": "batch",
            "temperature": 0.5,
            "constrain": True,
            "stop_sequences": ["x"],
        },
    )
    assert [file.content for file in request.files] == [PAGE, b"another"]
    assert request.schema.json_schema == '{"type": "object"}'
    assert request.schema.instructions == "read well"
    assert list(request.event_kinds) == [pb.EVENT_KIND_FIELDS]
    assert request.priority == pb.PRIORITY_BATCH
    assert (request.generation.temperature, request.generation.constrain) == (0.5, True)
    assert list(request.generation.stop_sequences) == ["x"]
    # Every option of the protocol is a keyword, so a new one is not forgotten here.
    assert set(pb.GenerationOptions.DESCRIPTOR.fields_by_name) <= set(Task.__annotations__)


def test_requests_are_checked_where_the_server_cannot() -> None:
    with Client("127.0.0.1:1") as client:
        with pytest.raises(ValueError, match="unknown document type 'receit'"):
            client.stream(PAGE, document_type="receit")
        with pytest.raises(ValueError, match="give one of"):
            client.stream(PAGE, document_type="receipt", prompt="What?")
        for question in ({"prompt": "What?"}, {"schema": schema_pb2.ExtractionSchema()}):
            with pytest.raises(ValueError, match="instructions goes with document_type or json_schema"):
                client.stream(PAGE, instructions="read well", **question)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="unknown arguments: promt"):
            client.stream(PAGE, promt="What?")  # type: ignore[call-arg]
        with pytest.raises(FileNotFoundError):
            client.stream("no-such-file.png", prompt="What?")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl for a certificate")
@both
def test_both_sides_of_tls_prove_who_they_are(read: Read, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    names = "subjectAltName=DNS:tessera.test"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", "/CN=tessera.test", "-addext", names, "-days", "1"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    pair = ((key.read_bytes(), cert.read_bytes()),)
    credentials = grpc.ssl_server_credentials(pair, cert.read_bytes(), require_client_auth=True)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    script = Script(success)
    extraction_pb2_grpc.add_ExtractionServiceServicer_to_server(script, server)
    address = f"https://127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"
    server.start()
    try:
        tls = TLS(ca=cert, cert=cert, key=key, server_name="tessera.test")
        assert len(read(address, tls=tls, token="secret")) == 2
        assert script.metadata[0]["authorization"] == "Bearer secret"
        with pytest.raises(UnavailableError):
            read(address, tls=TLS(ca=cert, server_name="tessera.test"), attempts=1, timeout=5)
        with pytest.raises(UnavailableError):
            read(address, tls=TLS(cert=cert, key=key), attempts=1, timeout=5)
    finally:
        server.stop(None)


@pytest.mark.parametrize(
    ("target", "address", "secure"),
    [
        ("localhost:50051", "localhost:50051", False),
        ("http://localhost:50051/", "localhost:50051", False),
        ("https://tessera.example:443", "tessera.example:443", True),
        ("dns:///tessera.example:50051", "dns:///tessera.example:50051", False),
    ],
)
def test_targets(target: str, address: str, secure: bool) -> None:
    with Client(target) as client:
        assert (client.target.address, client.target.tls is not None) == (address, secure)
