"""Sources of documents that wait, fail or never end, and what is left of a call that nobody reads any more."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from test_batch import PAGE, SAMPLES, Play, Script, Start, all_succeed, endless, failure, play, success

from tessera import (
    AsyncClient,
    BatchResult,
    CallCancelledError,
    Client,
    DeadlineExceededError,
    Document,
    OverloadedError,
)
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import extraction_pb2_grpc, model_info_pb2

__all__ = ["play"]  # A fixture.

LIMIT_S = 20.0
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED


def within_limit(work: Callable[[], Any]) -> Any:
    """Fails, where it would hang."""
    found: queue.Queue[Any] = queue.Queue()

    def run() -> None:
        try:
            found.put((work(), None))
        except BaseException as error:  # It is the test's.
            found.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = found.get(timeout=LIMIT_S)
    except queue.Empty:
        pytest.fail("it waits", pytrace=False)
    if error is not None:
        raise error
    return value


def one_by_one(address: str, documents: list[Any], **options: Any) -> list[BatchResult]:
    """Each document is given once the one before has its outcome."""
    heard: queue.Queue[None] = queue.Queue()

    def source() -> Iterator[Any]:
        for document in documents:
            yield document
            heard.get()

    with Client(address) as client:
        results = []
        for result in client.batch(source(), prompt="What?", **options):
            results.append(result)
            heard.put(None)
        return results


def one_by_one_async(address: str, documents: list[Any], **options: Any) -> list[BatchResult]:
    async def run() -> list[BatchResult]:
        heard: asyncio.Queue[None] = asyncio.Queue()

        async def source() -> AsyncIterator[Any]:
            for document in documents:
                yield document
                await heard.get()

        async with AsyncClient(address) as client:
            results = []
            async for result in client.batch(source(), prompt="What?", **options):
                results.append(result)
                heard.put_nowait(None)
            return results

    return asyncio.run(run())


both_one_by_one = pytest.mark.parametrize("read", [one_by_one, one_by_one_async])
OneByOne = Callable[..., list[BatchResult]]


@both_one_by_one
def test_a_source_may_wait_for_outcomes_of_what_is_sent_again(play: Start, read: OneByOne) -> None:
    def part(requests: Iterator[pb.BatchExtractRequest], context: Any) -> Iterator[Any]:
        for request in requests:
            name = request.extract.request_id
            if script.ids.count(name) < 2:
                yield failure(name, FULL, "BATCH_FULL", 10)
            else:
                yield from success(name)

    script, address = play(part)
    results = within_limit(lambda: read(address, [PAGE] * 3))
    assert [(result.index, result.error) for result in results] == [(0, None), (1, None), (2, None)]


class Broken:
    """A file of a library that raises what it likes."""

    def read(self) -> bytes:
        raise RuntimeError("no such bucket")


@both_one_by_one
def test_a_source_may_wait_for_outcomes_of_what_became_none(play: Start, read: OneByOne) -> None:
    _, address = play(all_succeed)
    wrong = Document(PAGE, "", {"events": ("everything",)})  # type: ignore[typeddict-item]
    given = ["no-such-file.png", wrong, Broken(), PAGE]
    results = within_limit(lambda: read(address, given))
    assert [result.index for result in results] == [0, 1, 2, 3]
    errors = [type(result.error) for result in results]
    assert errors == [FileNotFoundError, ValueError, RuntimeError, type(None)]


@both_one_by_one
def test_a_real_server_and_a_source_that_waits(server: Callable[..., str], read: OneByOne) -> None:
    address = server("--weights", "fake:step=1ms")
    receipt = SAMPLES / "receipt-01.png"
    results = within_limit(lambda: read(address, [receipt, "no-such-file.png", receipt, b"none", receipt]))
    assert [result.index for result in results if result.error is not None] == [1, 3]
    assert len(results) == 5


def silent(address: str, ends: str) -> None:
    release = threading.Event()

    def source() -> Iterator[bytes]:
        yield PAGE
        release.wait(60)

    timeout = 0.3 if ends == "deadline" else None
    with Client(address) as client:
        events = client.stream_batch(source(), prompt="What?", timeout=timeout)
        for event in events:
            if ends == "stopped":
                events.cancel_document(event.request_id)
            if ends == "left" or event.error is not None:
                break
        events.close()
        release.set()


def silent_async(address: str, ends: str) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield PAGE
        await asyncio.sleep(60)

    async def run() -> None:
        timeout = 0.3 if ends == "deadline" else None
        async with AsyncClient(address) as client:
            events = client.stream_batch(source(), prompt="What?", timeout=timeout)
            async for event in events:
                if ends == "stopped":
                    events.cancel_document(event.request_id)
                if ends == "left" or event.error is not None:
                    break
            await events.aclose()

    asyncio.run(run())


def stoppable(requests: Iterator[pb.BatchExtractRequest], context: Any) -> Iterator[Any]:
    for request in requests:
        if request.WhichOneof("message") == "cancel_request_id":
            yield failure(request.cancel_request_id, grpc.StatusCode.CANCELLED, "CANCELLED")
        else:
            yield next(success(request.extract.request_id))


@pytest.mark.parametrize("read", [silent, silent_async])
@pytest.mark.parametrize("ends", ["left", "stopped", "deadline"])
def test_a_source_that_does_not_answer_is_not_waited_for(
    play: Start, read: Callable[[str, str], None], ends: str
) -> None:
    script, address = play(stoppable)
    try:
        within_limit(lambda: read(address, ends))
    except DeadlineExceededError:
        assert ends == "deadline"
    assert script.ended.wait(5)


def refuse_once(script: Callable[[], Script], refused: Callable[[], None]) -> Play:
    def part(requests: Iterator[pb.BatchExtractRequest], context: Any) -> Iterator[Any]:
        for request in requests:
            name = request.extract.request_id
            if name == "stopped" and script().ids.count(name) == 1:
                yield failure(name, FULL, "BATCH_FULL", 900)
                refused()
            else:
                yield from success(name)

    return part


def stop_while_it_waits(address: str, documents: list[Any], refused: threading.Event) -> list[BatchResult]:
    with Client(address) as client:
        batch = client.batch(iter(documents), prompt="What?", in_flight=1)

        def stop() -> None:
            refused.wait(5)
            time.sleep(0.1)  # The refusal is on its way.
            batch.cancel_document("stopped")

        threading.Thread(target=stop).start()
        return list(batch)


def stop_while_it_waits_async(address: str, documents: list[Any], refused: threading.Event) -> list[BatchResult]:
    async def run() -> list[BatchResult]:
        async with AsyncClient(address) as client:
            batch = client.batch(documents, prompt="What?", in_flight=1)

            async def stop() -> None:
                await asyncio.to_thread(refused.wait, 5)
                await asyncio.sleep(0.1)
                batch.cancel_document("stopped")

            stopping = asyncio.create_task(stop())
            results = [result async for result in batch]
            await stopping
            return results

    return asyncio.run(run())


@pytest.mark.parametrize("read", [stop_while_it_waits, stop_while_it_waits_async])
def test_a_document_is_stopped_while_it_waits_to_be_sent_again(play: Start, read: Any) -> None:
    refused = threading.Event()
    script, address = play(refuse_once(lambda: script, refused.set))
    # Its name is free then.
    given = [Document(PAGE, "stopped"), Document(PAGE, "stopped"), PAGE]
    results = within_limit(lambda: read(address, given, refused))
    assert isinstance(results[0].error, CallCancelledError)
    assert [result.error for result in results[1:]] == [None, None]
    assert script.ids == ["stopped", "stopped", "document-3"]


@both_one_by_one
def test_nothing_is_sent_again_behind_the_deadline(play: Start, read: OneByOne) -> None:
    def part(requests: Iterator[pb.BatchExtractRequest], context: Any) -> Iterator[Any]:
        for request in requests:
            yield failure(request.extract.request_id, FULL, "BATCH_FULL", 990)

    _, address = play(part)
    [result] = within_limit(lambda: read(address, [PAGE], timeout=0.9))
    assert isinstance(result.error, OverloadedError)


def test_outcomes_that_nobody_reads_take_room(play: Start) -> None:
    _, address = play(all_succeed)
    taken = read = most = 0

    def source() -> Iterator[str]:
        nonlocal taken, most
        for _ in range(200):
            taken += 1
            most = max(most, taken - read)
            yield "no-such-file.png"

    with Client(address) as client:
        for result in client.batch(source(), prompt="What?", in_flight=4):
            assert isinstance(result.error, FileNotFoundError)
            if read < 3:
                time.sleep(0.05)
            read += 1
    # Four that wait, and the one in the loop.
    assert read == 200 and most <= 5, (read, most)


# Nobody reads any more.


class Everything(Script):
    def Extract(self, request: Any, context: grpc.ServicerContext) -> Iterator[pb.ExtractResponse]:
        context.add_callback(self.ended.set)
        yield pb.ExtractResponse(sequence=1, accepted=pb.Accepted(request_id="r"))
        while context.is_active():
            time.sleep(0.01)

    def WatchModelInfo(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        context.add_callback(self.ended.set)
        yield pb.WatchModelInfoResponse(status=model_info_pb2.ModelStatus())
        while context.is_active():
            time.sleep(0.01)


@pytest.fixture
def everything() -> Iterator[tuple[Everything, str]]:
    script = Everything(endless)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    extraction_pb2_grpc.add_ExtractionServiceServicer_to_server(script, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield script, f"127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is let go of must not wait for Python to look for cycles."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def forever() -> Iterator[bytes]:
    while True:
        yield PAGE


CALLS: dict[str, Callable[[Any], Any]] = {
    "stream": lambda client: client.stream(PAGE, prompt="What?"),
    "stream_batch": lambda client: client.stream_batch(forever(), prompt="What?", in_flight=2),
    "watch_model_info": lambda client: client.watch_model_info(),
}
calls = pytest.mark.parametrize("call", CALLS)


@calls
def test_letting_go_of_a_call_ends_it(
    everything: tuple[Everything, str], no_collector: None, call: str
) -> None:
    script, address = everything
    before = set(threading.enumerate())
    with Client(address) as client:
        for _ in CALLS[call](client):
            break
        assert script.ended.wait(5)
        end = time.monotonic() + 5
        while any(each.name == "tessera-batch" for each in set(threading.enumerate()) - before):
            assert time.monotonic() < end
            time.sleep(0.01)


@calls
def test_letting_go_of_a_call_in_asyncio_ends_it(
    everything: tuple[Everything, str], no_collector: None, call: str
) -> None:
    script, address = everything

    async def run() -> None:
        async with AsyncClient(address) as client:
            async for _ in CALLS[call](client):
                break
            assert await asyncio.to_thread(script.ended.wait, 5)
            end = time.monotonic() + 5
            while any(task.get_name() == "tessera-batch" for task in asyncio.all_tasks()):
                assert time.monotonic() < end
                await asyncio.sleep(0.01)

    asyncio.run(run())


def test_a_real_server_stops_when_its_calls_are_let_go_of(
    server: Callable[..., str], no_collector: None
) -> None:
    # Each document would take a minute.
    address = server("--weights", "fake:step=500ms")
    page = SAMPLES / "receipt-01.png"

    async def run() -> None:
        async with AsyncClient(address) as client:
            async for _ in client.stream(page, document_type="receipt"):
                break
            async for _ in client.stream_batch([page] * 3, document_type="receipt"):
                break
            await asyncio.sleep(0)

    with Client(address) as client:
        for _ in client.stream(page, document_type="receipt"):
            break
        for _ in client.stream_batch([page] * 3, document_type="receipt"):
            break
        within_limit(lambda: asyncio.run(run()))
        end = time.monotonic() + 10
        load = client.model_info().load
        while load.running_requests + load.queued_requests > 0:
            assert time.monotonic() < end, load
            time.sleep(0.05)
            load = client.model_info().load


@calls
def test_closing_an_asyncio_client_ends_its_calls(everything: tuple[Everything, str], call: str) -> None:
    script, address = everything

    async def run() -> None:
        client = AsyncClient(address)
        events = CALLS[call](client)
        await anext(events)
        asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(client.close()))
        # Of grpc.aio this would be a CancelledError, as if the task were cancelled.
        with pytest.raises(CallCancelledError):
            while True:
                await anext(events)

    within_limit(lambda: asyncio.run(run()))
    assert script.ended.wait(5)


def test_a_batch_that_nobody_reads_begins_nothing() -> None:
    before = threading.active_count()
    with Client("127.0.0.1:1") as client:
        client.batch(forever(), prompt="What?")
        client.stream_batch(forever(), prompt="What?").close()
    assert threading.active_count() <= before
