"""What the Python client costs beside a bare stub: per event, per request and per document of a batch, for
threads and for asyncio, in one run.

    ../python/.venv/bin/python python_overhead.py --events 2000 --requests 300
    ../python/.venv/bin/python python_overhead.py --address localhost:50051 --page receipt.png

The server is a real gRPC server on a thread of another process, which sends events that are ready: what is
measured is the client, not a model. `--address` takes a server that runs instead, such as `tessera serve
--weights fake:step=0ms,token=0us,tile=0ms`. Rounds alternate, so that a noisy machine is noisy for both; each figure
is the median of its rounds. CPU time is that of the client's process, all threads.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc

from tessera import AsyncClient, Client
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import extraction_pb2_grpc

ROUNDS = 7
IN_FLIGHT = 16


class Ready(extraction_pb2_grpc.ExtractionServiceServicer):
    """Answers with as many tokens as the request allows."""

    def BatchExtract(self, requests: Any, context: grpc.ServicerContext) -> Any:
        for each in requests:
            for response in self.Extract(each.extract, context):
                yield pb.BatchExtractResponse(request_id=each.extract.request_id, response=response)

    def Extract(self, request: Any, context: grpc.ServicerContext) -> Iterator[pb.ExtractResponse]:
        yield pb.ExtractResponse(sequence=1, accepted=pb.Accepted(request_id="r"))
        tokens = request.generation.max_output_tokens
        for sequence in range(2, tokens + 2):
            delta = pb.TokenDelta(text=" token", token_count=1)
            yield pb.ExtractResponse(sequence=sequence, token_delta=delta)
        completed = pb.Completed(text="done", finish_reason=pb.FINISH_REASON_STOP)
        yield pb.ExtractResponse(sequence=tokens + 2, completed=completed)


def serve(port: Any) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    extraction_pb2_grpc.add_ExtractionServiceServicer_to_server(Ready(), server)
    port.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()


def request(tokens: int, page: bytes, name: str = "") -> pb.ExtractRequest:
    message = pb.ExtractRequest(files=[pb.InputFile(content=page)], prompt="?", request_id=name)
    message.generation.max_output_tokens = tokens
    return message


def timed(work: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=2000, help="of one long stream")
    parser.add_argument("--requests", type=int, default=300, help="short ones, one after the other")
    parser.add_argument("--address", help="a server that runs; none: one that says what is ready")
    parser.add_argument("--page", type=Path, help="the page to send; none: 20 kB of nothing")
    args = parser.parse_args()
    page = args.page.read_bytes() if args.page else bytes(20_000)
    process = None
    if args.address is None:
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
        process.start()
        args.address = f"127.0.0.1:{ours.recv()}"
    long, short = request(args.events, page), [request(1, page)] * args.requests
    documents = [request(1, page, f"d{index}") for index in range(args.requests)]
    threads(args.address, args.events, long, short, documents)
    asyncio.run(tasks(args.address, args.events, long, short, documents))
    if process is not None:
        process.terminate()


def threads(address: str, events: int, long: Any, short: list[Any], documents: list[Any]) -> None:
    with Client(address) as client, grpc.insecure_channel(address) as channel:
        stub = extraction_pb2_grpc.ExtractionServiceStub(channel)

        def bare(messages: list[pb.ExtractRequest]) -> None:
            for message in messages:
                for response in stub.Extract(message, timeout=60):
                    response.WhichOneof("event")

        def whole(messages: list[pb.ExtractRequest]) -> None:
            for message in messages:
                for _ in client.stream_request(message, timeout=60):
                    pass

        def bare_batch(messages: list[pb.ExtractRequest]) -> None:
            # As many on their way as the client has; its window is what a bare stub leaves to the caller.
            window = threading.Semaphore(IN_FLIGHT)

            def say() -> Iterator[pb.BatchExtractRequest]:
                for message in messages:
                    window.acquire()
                    yield pb.BatchExtractRequest(extract=message)

            for answer in stub.BatchExtract(say(), timeout=60):
                if answer.response.WhichOneof("event") == "completed" or answer.HasField("error"):
                    window.release()

        def whole_batch(messages: list[pb.ExtractRequest]) -> None:
            for event in client.stream_batch(messages, in_flight=IN_FLIGHT, timeout=60):
                assert event.error is None, event.error

        report("threads, event", events, [long], bare, whole)
        report("threads, request", len(short), short, bare, whole)
        report("threads, batched", len(documents), documents, bare_batch, whole_batch)


async def tasks(
    address: str, events: int, long: Any, short: list[Any], documents: list[Any]
) -> None:
    async with AsyncClient(address) as client, grpc.aio.insecure_channel(address) as channel:
        stub = extraction_pb2_grpc.ExtractionServiceStub(channel)

        async def bare(messages: list[pb.ExtractRequest]) -> None:
            for message in messages:
                async for response in stub.Extract(message, timeout=60):
                    response.WhichOneof("event")

        async def whole(messages: list[pb.ExtractRequest]) -> None:
            for message in messages:
                async for _ in client.stream_request(message, timeout=60):
                    pass

        for unit, count, messages in (
            ("asyncio, event", events, [long]),
            ("asyncio, request", len(short), short),
        ):
            found: dict[str, list[tuple[float, float]]] = {"bare stub": [], "client": []}
            for _ in range(ROUNDS + 1):
                for name, read in (("bare stub", bare), ("client", whole)):
                    wall, cpu = time.perf_counter(), time.process_time()
                    await read(messages)
                    spent = time.perf_counter() - wall, time.process_time() - cpu
                    found[name].append(spent)
            say(unit, count, found)


def report(
    unit: str,
    count: int,
    messages: list[pb.ExtractRequest],
    bare: Callable[[list[pb.ExtractRequest]], None],
    whole: Callable[[list[pb.ExtractRequest]], None],
) -> None:
    found: dict[str, list[tuple[float, float]]] = {"bare stub": [], "client": []}
    for _ in range(ROUNDS + 1):
        for name, read in (("bare stub", bare), ("client", whole)):
            found[name].append(timed(lambda: read(messages)))
    say(unit, count, found)


def say(unit: str, count: int, found: dict[str, list[tuple[float, float]]]) -> None:
    for name, rounds in found.items():
        # The first round warms up.
        wall, cpu = (statistics.median(column) / count * 1e6 for column in zip(*rounds[1:]))
        print(f"{unit:17} {name:10} {wall:8.1f} us, of it CPU of the client {cpu:8.1f} us")


if __name__ == "__main__":
    main()
