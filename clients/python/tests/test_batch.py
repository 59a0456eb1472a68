"""Many documents over one call: bounds, retries and ends against a scripted server of real gRPC, and the
whole against a real one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from tessera import (
    AsyncClient,
    BatchEvent,
    BatchResult,
    CallCancelledError,
    Client,
    Completed,
    DeadlineExceededError,
    Document,
    FieldCompleted,
    IncompleteStreamError,
    InvalidRequestError,
    OverloadedError,
    TesseraError,
    TokenDelta,
    UnavailableError,
)
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import extraction_pb2_grpc

SAMPLES = Path(__file__).resolve().parents[3] / "models" / "tessera-tiny" / "samples"
PAGE = b"a page"

Answers = Iterator[pb.BatchExtractResponse]
Play = Callable[[Iterator[pb.BatchExtractRequest], grpc.ServicerContext], Answers]


class Script(extraction_pb2_grpc.ExtractionServiceServicer):
    def __init__(self, play: Play) -> None:
        self.play = play
        self.received: list[pb.BatchExtractRequest] = []
        self.metadata: list[dict[str, str]] = []
        self.ended = threading.Event()

    def BatchExtract(self, requests: Any, context: grpc.ServicerContext) -> Answers:
        context.add_callback(self.ended.set)
        self.metadata.append(dict(context.invocation_metadata()))
        yield from self.play(self._noted(requests), context)

    def _noted(self, requests: Iterator[Any]) -> Iterator[pb.BatchExtractRequest]:
        for request in requests:
            self.received.append(request)
            yield request

    @property
    def ids(self) -> list[str]:
        return [request.extract.request_id for request in self.received]


def says(request_id: str, sequence: int, **event: Any) -> pb.BatchExtractResponse:
    response = pb.ExtractResponse(sequence=sequence, **event)
    return pb.BatchExtractResponse(request_id=request_id, response=response)


def success(request_id: str) -> Answers:
    yield says(request_id, 1, accepted=pb.Accepted(request_id=request_id))
    yield says(request_id, 2, completed=pb.Completed(document_json='{"A": 1}'))


def failure(request_id: str, code: grpc.StatusCode, reason: str, retry_ms: int | None = None) -> Any:
    error = pb.ExtractError(code=code.value[0], reason=reason, message="said so")
    if retry_ms is not None:
        error.retry_after.CopyFrom(Duration(nanos=retry_ms * 1_000_000))
    return pb.BatchExtractResponse(request_id=request_id, error=error)


def all_succeed(requests: Iterator[pb.BatchExtractRequest], context: Any) -> Answers:
    for request in requests:
        yield from success(request.extract.request_id)


@pytest.fixture
def play() -> Iterator[Callable[[Play], tuple[Script, str]]]:
    servers = []

    def start(part: Play) -> tuple[Script, str]:
        script = Script(part)
        server = grpc.server(futures.ThreadPoolExecutor(4))
        extraction_pb2_grpc.add_ExtractionServiceServicer_to_server(script, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return script, f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None)


def read(address: str, documents: Iterable[Any], client: dict[str, Any] = {}, **task: Any) -> list[BatchResult]:  # noqa: B006
    with Client(address, **client) as connection:
        return list(connection.batch(documents, **{"prompt": "What?", **task}))


def read_async(address: str, documents: Iterable[Any], client: dict[str, Any] = {}, **task: Any) -> list[BatchResult]:  # noqa: B006
    async def run() -> list[BatchResult]:
        async with AsyncClient(address, **client) as connection:
            batch = connection.batch(documents, **{"prompt": "What?", **task})
            return [result async for result in batch]

    return asyncio.run(run())


both = pytest.mark.parametrize("read", [read, read_async])
Read = Callable[..., list[BatchResult]]
Start = Callable[[Play], tuple[Script, str]]


@both
def test_each_document_has_its_outcome(play: Start, read: Read) -> None:
    def part(requests: Iterator[pb.BatchExtractRequest], context: Any) -> Answers:
        for request in requests:
            name = request.extract.request_id
            if name == "bad":
                error = failure(name, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
                error.error.fields.append("files")
                error.error.violations.add(field="files", description="is empty")
                error.error.metadata["limit"] = "max_pages"
                yield error
            else:
                yield from success(name)

    script, address = play(part)
    own = Document([PAGE, PAGE], "bad", {"prompt": "And this?", "priority": "interactive"})
    request = pb.ExtractRequest(prompt="raw", files=[pb.InputFile(content=PAGE)])
    results = read(address, [PAGE, own, "no-such-file.png", request], client={"token": "secret"})
    by_index = {result.index: result for result in results}
    assert sorted(by_index) == [0, 1, 2, 3]
    assert by_index[0].unwrap().document == {"A": 1} and by_index[0].source == PAGE
    error = by_index[1].error
    assert isinstance(error, InvalidRequestError)
    assert (error.reason, error.message, error.retry_after) == ("INVALID_FIELD", "said so", None)
    assert [(each.field, each.description) for each in error.violations] == [("files", "is empty")]
    assert error.metadata == {"limit": "max_pages"}
    with pytest.raises(InvalidRequestError):
        by_index[1].unwrap()
    assert isinstance(by_index[2].error, FileNotFoundError)
    # The caller's own request is sent as it is, with a name, and stays the caller's.
    assert script.ids == ["document-1", "bad", "document-4"] and request.request_id == ""
    sent = [each.extract for each in script.received]
    assert [each.prompt for each in sent] == ["What?", "And this?", "raw"]
    assert [each.priority for each in sent] == [
        pb.PRIORITY_BATCH, pb.PRIORITY_INTERACTIVE, pb.PRIORITY_UNSPECIFIED
    ]
    assert list(sent[0].event_kinds) == [pb.EVENT_KIND_NONE]
    assert script.metadata[0]["authorization"] == "Bearer secret"


def test_a_documents_own_question_stands_for_that_of_the_batch(play: Start) -> None:
    script, address = play(all_succeed)
    given = [
        PAGE,
        Document(PAGE, task={"prompt": "Who?"}),
        Document(PAGE, task={"json_schema": "{}"}),
        Document(PAGE, task={"temperature": 0.5}),
    ]
    with Client(address) as client:
        batch = client.batch(given, document_type="receipt", instructions="read well", in_flight=1)
        assert [result.error for result in batch] == [None] * 4
    sent = [each.extract for each in script.received]
    assert [each.WhichOneof("task") for each in sent] == ["schema", "prompt", "schema", "schema"]
    assert [each.schema.instructions for each in sent] == ["read well", "", "read well", "read well"]
    assert sent[2].schema.json_schema == "{}" and sent[3].generation.temperature == 0.5


@both
def test_no_more_are_on_their_way_than_was_said(play: Start, read: Read) -> None:
    waiting: list[int] = []
    taken = 0

    def documents() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(12):
            taken += 1
            yield PAGE

    def part(requests: Iterator[pb.BatchExtractRequest], context: Any) -> Answers:
        open_: list[str] = []
        for request in requests:
            open_.append(request.extract.request_id)
            if len(open_) < 3 and taken < 12:
                continue
            # Room is full: whoever sends more now sends too much.
            time.sleep(0.05)
            waiting.append(taken - (len(script.ids) - len(open_)))
            for name in open_:
                yield from success(name)
            open_.clear()
        for name in open_:
            yield from success(name)

    script, address = play(part)
    results = read(address, documents(), in_flight=3)
    assert sorted(result.index for result in results) == list(range(12))
    assert waiting and max(waiting) <= 3, waiting


@both
def test_what_the_server_has_no_room_for_is_sent_again(play: Start, read: Read) -> None:
    def part(requests: Iterator[pb.BatchExtractRequest], context: Any) -> Answers:
        for request in requests:
            name = request.extract.request_id
            if name == "document-1" and script.ids.count(name) < 3:
                yield failure(name, grpc.StatusCode.RESOURCE_EXHAUSTED, "BATCH_FULL", 60)
            elif name == "document-2":
                yield failure(name, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", 1)
            elif name == "document-3":
                yield failure(name, grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE_FOR_MEMORY")
            elif name == "document-4":
                yield says(name, 1, accepted=pb.Accepted(request_id=name))
                yield failure(name, grpc.StatusCode.UNAVAILABLE, "DRAIN_TIMEOUT", 1)
            else:
                yield from success(name)

    script, address = play(part)
    begin = time.monotonic()
    results = read(address, [PAGE] * 5)
    assert time.monotonic() - begin >= 0.12
    errors = {result.index: result.error for result in results}
    assert errors[0] is None and errors[4] is None
    assert isinstance(errors[1], OverloadedError) and errors[1].reason == "QUEUE_FULL"
    assert isinstance(errors[2], OverloadedError) and isinstance(errors[3], UnavailableError)
    counts = {name: script.ids.count(name) for name in script.ids}
    # So often and no more; and never what would fail again, or what has answered.
    assert counts == {
        "document-1": 3, "document-2": 4, "document-3": 1, "document-4": 1, "document-5": 1
    }


@both
def test_a_document_that_no_server_takes_is_not_sent(play: Start, read: Read) -> None:
    """It would end the call for all."""
    script, address = play(all_succeed)
    large = bytes(64 << 20)
    request = pb.ExtractRequest(files=[pb.InputFile(content=large)], prompt="What?")
    results = {result.index: result.error for result in read(address, [PAGE, large, request, PAGE])}
    assert results[0] is None and results[3] is None
    for error in (results[1], results[2]):
        assert isinstance(error, InvalidRequestError) and error.reason == "LIMIT_EXCEEDED"
        assert [violation.field for violation in error.violations] == ["files"]
        assert error.metadata["limit"] == "max_request_bytes"
    assert script.ids == ["document-1", "document-4"]
    with Client(address) as client, pytest.raises(InvalidRequestError, match="max_request_bytes"):
        client.extract(large, prompt="What?")


@both
def test_a_failure_of_the_whole_call_is_raised(play: Start, read: Read) -> None:
    def part(requests: Iterator[pb.BatchExtractRequest], context: grpc.ServicerContext) -> Answers:
        yield from success(next(requests).extract.request_id)
        # The next document has come: no message is under way, which would hide the status from grpc.aio.
        next(requests)
        context.abort(grpc.StatusCode.INTERNAL, "broken")

    _, address = play(part)
    with pytest.raises(TesseraError) as caught:
        read(address, [PAGE] * 3, in_flight=1)
    assert caught.value.code == grpc.StatusCode.INTERNAL


@both
def test_ok_with_documents_left_is_a_failure(play: Start, read: Read) -> None:
    def part(requests: Iterator[pb.BatchExtractRequest], context: Any) -> Answers:
        yield from success(next(requests).extract.request_id)

    _, address = play(part)
    with pytest.raises(IncompleteStreamError):
        read(address, [PAGE] * 3)


@both
def test_the_deadline_bounds_the_whole_call(play: Start, read: Read) -> None:
    def part(requests: Iterator[pb.BatchExtractRequest], context: grpc.ServicerContext) -> Answers:
        yield from success(next(requests).extract.request_id)
        while context.is_active():
            time.sleep(0.01)

    script, address = play(part)
    with pytest.raises(DeadlineExceededError):
        read(address, [PAGE] * 3, timeout=0.3)
    assert script.ended.wait(5)


@both
def test_what_the_iterable_raises_reaches_the_caller(play: Start, read: Read) -> None:
    def documents() -> Iterator[bytes]:
        yield PAGE
        raise RuntimeError("the caller's own")

    script, address = play(all_succeed)
    with pytest.raises(RuntimeError, match="the caller's own"):
        # The second is asked for once the first has its outcome.
        read(address, documents(), in_flight=1)
    assert script.ended.wait(5)


def endless(requests: Iterator[pb.BatchExtractRequest], context: grpc.ServicerContext) -> Answers:
    name = next(requests).extract.request_id
    yield says(name, 1, accepted=pb.Accepted(request_id=name))
    while context.is_active():
        time.sleep(0.01)


def test_leaving_ends_the_call(play: Start) -> None:
    script, address = play(endless)
    with Client(address) as client, client.stream_batch([PAGE] * 3, prompt="?") as events:
        next(events)
    assert script.ended.wait(5)


def test_another_thread_can_cancel(play: Start) -> None:
    script, address = play(endless)
    with Client(address) as client:
        events = client.stream_batch([PAGE] * 3, prompt="?")
        next(events)
        threading.Timer(0.1, events.cancel).start()
        with pytest.raises(CallCancelledError):
            next(events)
    assert script.ended.wait(5)


def test_cancelling_a_task_ends_the_call(play: Start) -> None:
    script, address = play(endless)

    async def run() -> None:
        async with AsyncClient(address) as client:

            async def consume() -> None:
                async for _ in client.batch([PAGE] * 3, prompt="?"):
                    pass

            task = asyncio.create_task(consume())
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    assert script.ended.wait(5)


def test_a_name_that_is_taken_is_refused(play: Start) -> None:
    _, address = play(endless)
    twice = [Document(PAGE, "same"), Document(PAGE, "same")]
    with Client(address) as client, client.stream_batch(twice, prompt="?") as events:
        next(events)
    with Client(address) as client, pytest.raises(ValueError, match="in_flight is at least 1"):
        client.batch([], in_flight=0)


# Against a real server.


def check_documents(results: list[BatchResult]) -> None:
    by_index = {result.index: result for result in results}
    assert sorted(by_index) == [0, 1, 2, 3]
    totals = [by_index[index].unwrap().document for index in (0, 2)]
    assert [total and total["TOTAL_AMOUNT"] for total in totals] == ["$5976.93", "$5976.93"]
    bad, invoice = by_index[1].error, by_index[3].unwrap()
    assert isinstance(bad, InvalidRequestError) and bad.reason == "INVALID_FIELD"
    assert [violation.field for violation in bad.violations] == ["files[0].content"]
    assert invoice.document is not None and invoice.document["DOCUMENT_TYPE"] == "invoice"
    assert invoice.accepted.request_id == "the-invoice"


def documents() -> list[Any]:
    receipt = SAMPLES / "receipt-01.png"
    invoice = Document(SAMPLES / "invoice-01.png", "the-invoice", {"document_type": "invoice"})
    return [receipt, b"no image", receipt.read_bytes(), invoice]


def test_a_batch(client: Client) -> None:
    check_documents(list(client.batch(documents(), document_type="receipt", in_flight=2)))


def test_a_batch_in_asyncio(address: str) -> None:
    async def source() -> AsyncIterator[Any]:
        for document in documents():
            await asyncio.sleep(0)
            yield document

    async def run() -> list[BatchResult]:
        async with AsyncClient(address) as client:
            batch = client.batch(source(), document_type="receipt", in_flight=2)
            return [result async for result in batch]

    check_documents(asyncio.run(run()))


def test_events_of_a_batch_come_as_they_happen(client: Client) -> None:
    pages = [Document(SAMPLES / "receipt-01.png", "stop-me"), SAMPLES / "receipt-02.png"]
    seen: dict[str, list[BatchEvent]] = {}
    with client.stream_batch(pages, document_type="receipt") as events:
        for event in events:
            seen.setdefault(event.request_id, []).append(event)
            # One document is stopped in the middle; the other goes on.
            if event.request_id == "stop-me" and isinstance(event.event, FieldCompleted):
                events.cancel_document("stop-me")
                events.cancel_document("unknown")
    stopped, whole = seen["stop-me"], seen["document-2"]
    assert isinstance(stopped[-1].error, CallCancelledError)
    assert not any(isinstance(each.event, Completed) for each in stopped)
    assert isinstance(whole[-1].event, Completed)
    text = "".join(each.event.text for each in whole if isinstance(each.event, TokenDelta))
    assert text == whole[-1].event.text
    sequences = [each.event.sequence for each in whole if each.event is not None]
    assert sequences == list(range(1, len(sequences) + 1))


def test_leaving_a_batch_frees_the_slots(client: Client) -> None:
    pages = [SAMPLES / "receipt-01.png"] * 4
    with client.stream_batch(pages, document_type="receipt") as events:
        for event in events:
            if isinstance(event.event, FieldCompleted):
                break
    end = time.monotonic() + 10
    while True:
        load = client.model_info().load
        if load.running_requests + load.queued_requests == 0:
            return
        assert time.monotonic() < end, load
        time.sleep(0.02)
