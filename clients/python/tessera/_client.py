"""The client for programs that wait."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Unpack

import grpc

from tessera import _channel as channel_
from tessera._batch import BatchSource
from tessera._batch_sync import Batch, BatchStream
from tessera._call import Answer, Attempts, Call, Current
from tessera._closing import Closing
from tessera._errors import from_rpc_error, left_by_caller
from tessera._events import Event, Extraction
from tessera._ledger import Ledger
from tessera._request import Files, Task
from tessera._settings import ClientOptions, Settings, unseen
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import model_info_pb2
from tessera.v1.extraction_pb2_grpc import ExtractionServiceStub


class Stream(Closing, Iterator[Event]):
    """The events of one call; the last one is `Completed`.

    Leaving a `with` block, `close` and `cancel` end the call, and with it the work on the server. So
    does letting go of this.
    """

    def __init__(self, client: Client, request: pb.ExtractRequest, call: Call) -> None:
        # Neither knows this object: when nobody else does, it is gone, and with its generator the call.
        closed = threading.Event()
        self._current = Current(closed)
        self._events = _read(client, request, call, self._current, closed)

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def cancel(self) -> None:
        """Ends the call, from any thread: the thread that reads gets `CallCancelledError`."""
        self._current.end()

    def close(self) -> None:
        """Ends the call where it still runs, and the iterator."""
        self.cancel()
        self._events.close()


def _read(
    client: Client, request: pb.ExtractRequest, call: Call, current: Current, closed: threading.Event
) -> Generator[Event, None, None]:
    attempts = Attempts(call, client.attempts)
    try:
        while True:
            rpc = client.stub.Extract(request, **client.arguments(call))
            current.begin(rpc)
            try:
                for response in rpc:
                    event = attempts.heard(response)
                    if event is not None:
                        yield event
                attempts.ended()
                return
            except grpc.RpcError as error:
                delay = attempts.failed(error)
            if closed.wait(delay):
                raise left_by_caller()
    finally:
        current.end()


class Client(Closing, Settings[Stream, BatchStream, Batch, Iterable[BatchSource]]):
    """A connection to Tessera. Threads may share it."""

    def __init__(
        self,
        target: str = "localhost:50051",
        *,
        channel: grpc.Channel | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(target, **options)
        self._channel = channel or self._open()
        self.stub: Any = ExtractionServiceStub(self._channel)  # type: ignore[no-untyped-call]

    __init__.__doc__ = Settings.__init__.__doc__

    def _open(self) -> grpc.Channel:
        options = channel_.options(self.target, self.attempts, self.keepalive)
        if self.target.tls is None:
            return grpc.insecure_channel(self.target.address, options)
        return grpc.secure_channel(self.target.address, self.target.tls.credentials(), options)

    def extract(
        self,
        files: Files,
        *,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> Extraction:
        """Reads one document and returns the whole answer."""
        answer = Answer()
        with self.stream(files, timeout=timeout, metadata=metadata, **unseen(task)) as events:
            for event in events:
                answer.add(event)
        return answer.whole()

    def model_info(self, *, timeout: float | None = None) -> model_info_pb2.ModelStatus:
        """What is loaded, where, in which dtype, and every limit that a refusal names."""
        call = self.call(timeout, ())
        try:
            answer = self.stub.ModelInfo(pb.ModelInfoRequest(), **self.arguments(call))
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        status: model_info_pb2.ModelStatus = answer.status
        return status

    def watch_model_info(
        self, *, timeout: float | None = None
    ) -> Generator[model_info_pb2.ModelStatus, None, None]:
        """As `model_info`, again after each change, until the server drains. Without `timeout` it
        goes on for as long."""
        call = self.unbounded_call(timeout, ())
        rpc = self.stub.WatchModelInfo(pb.WatchModelInfoRequest(), **self.arguments(call))
        try:
            for answer in rpc:
                yield answer.status
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        finally:
            rpc.cancel()

    def close(self) -> None:
        """Ends every call and the connection."""
        self._channel.close()

    def _stream(self, request: pb.ExtractRequest, call: Call) -> Stream:
        return Stream(self, request, call)

    def _stream_batch(
        self, documents: Iterable[BatchSource], ledger: Ledger, call: Call
    ) -> BatchStream:
        return BatchStream(self, documents, ledger, call)

    def _batch(self, events: BatchStream) -> Batch:
        return Batch(events)
