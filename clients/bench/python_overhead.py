"""What the Python client costs beside a bare stub: per event and per request, in one run.

    ../python/.venv/bin/python python_overhead.py --events 2000 --requests 300

The server is a real gRPC server on a thread of another process, which sends events that are ready: what is
measured is the client, not a model. Rounds alternate, so that a noisy machine is noisy for both; each figure
is the median of its rounds. CPU time is that of the client's process, all threads.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc

from tessera import Client
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import extraction_pb2_grpc

ROUNDS = 7


class Ready(extraction_pb2_grpc.ExtractionServiceServicer):
    """Answers with as many tokens as the request allows."""

    def Extract(self, request: Any, context: grpc.ServicerContext) -> Iterator[pb.ExtractResponse]:
        yield pb.ExtractResponse(sequence=1, accepted=pb.Accepted(request_id="r"))
        tokens = request.generation.max_output_tokens
        for sequence in range(2, tokens + 2):
            delta = pb.TokenDelta(text=" token", token_count=1)
            yield pb.ExtractResponse(sequence=sequence, token_delta=delta)
        yield pb.ExtractResponse(sequence=tokens + 2, completed=pb.Completed(text="done"))


def serve(port: Any) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    extraction_pb2_grpc.add_ExtractionServiceServicer_to_server(Ready(), server)
    port.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()


def request(tokens: int) -> pb.ExtractRequest:
    message = pb.ExtractRequest(files=[pb.InputFile(content=bytes(20_000))], prompt="?")
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
    args = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    address = f"127.0.0.1:{ours.recv()}"
    with Client(address) as client, grpc.insecure_channel(address) as channel:
        stub = extraction_pb2_grpc.ExtractionServiceStub(channel)

        def bare(message: pb.ExtractRequest) -> None:
            for response in stub.Extract(message, timeout=60):
                response.WhichOneof("event")

        def whole(message: pb.ExtractRequest) -> None:
            for _ in client.stream_request(message, timeout=60):
                pass

        report("event", args.events, bare, whole, request(args.events), 1)
        report("request", args.requests, bare, whole, request(1), args.requests)
    process.terminate()


def report(
    unit: str,
    count: int,
    bare: Callable[[pb.ExtractRequest], None],
    whole: Callable[[pb.ExtractRequest], None],
    message: pb.ExtractRequest,
    times: int,
) -> None:
    found: dict[str, list[tuple[float, float]]] = {"bare stub": [], "client": []}
    for _ in range(ROUNDS + 1):
        for name, read in (("bare stub", bare), ("client", whole)):
            found[name].append(timed(lambda: [read(message) for _ in range(times)] and None))
    for name, rounds in found.items():
        # The first round warms up.
        wall, cpu = (statistics.median(column) / count * 1e6 for column in zip(*rounds[1:]))
        print(f"{name:10} {wall:8.1f} us/{unit}, of it CPU of the client {cpu:8.1f} us")


if __name__ == "__main__":
    main()
