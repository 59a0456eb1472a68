"""The client for programs that wait."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import grpc

from tessera import _channel as channel_
from tessera._batch import IN_FLIGHT, BatchSource, Ledger, batch_task
from tessera._batch_sync import Batch, BatchStream
from tessera._closing import Closing
from tessera._errors import (
    IncompleteStreamError,
    OverloadedError,
    TesseraError,
    from_rpc_error,
    left_by_caller,
)
from tessera._events import Accepted, Completed, Event, Extraction, from_response
from tessera._request import Files, Task, build
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
        self._current = _Current()
        self._events = _read(client, request, call, self._current)

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


class _Current:
    """The call of gRPC that a stream reads, of several where it is tried again."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._rpc: Any = None

    def begin(self, rpc: Any) -> None:
        self._rpc = rpc
        if self.closed.is_set():
            rpc.cancel()

    def end(self) -> None:
        self.closed.set()
        if self._rpc is not None:
            self._rpc.cancel()  # No effect on a call that has ended.


def _read(
    client: Client, request: pb.ExtractRequest, call: Call, current: _Current
) -> Generator[Event, None, None]:
    try:
        for attempt in range(1, client.attempts + 1):
            answered = False
            try:
                for event in _once(client, request, call, current):
                    answered = True
                    yield event
                return
            except OverloadedError as error:
                delay = client.again(error, attempt, answered)
                if delay is None or not call.has(delay):
                    raise
            if current.closed.wait(delay):
                raise left_by_caller()
    finally:
        current.end()


def _once(
    client: Client, request: pb.ExtractRequest, call: Call, current: _Current
) -> Iterator[Event]:
    completed = False
    rpc = client.stub.Extract(request, timeout=call.left(), metadata=client.metadata(call))
    current.begin(rpc)
    try:
        for response in rpc:
            event = from_response(response)
            if event is not None:
                completed = isinstance(event, Completed)
                yield event
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    if not completed:
        raise IncompleteStreamError()


@dataclass(frozen=True, slots=True)
class Call:
    """What belongs to one call beside its request."""

    end: float
    metadata: channel_.Metadata

    def left(self) -> float | None:
        """Seconds; None: there is no end."""
        return None if math.isinf(self.end) else max(0.001, self.end - time.monotonic())

    def has(self, seconds: float) -> bool:
        return time.monotonic() + seconds < self.end


class ClientOptions(TypedDict, total=False):
    """Keyword arguments of `Client` and `AsyncClient`, which say what they mean."""

    token: channel_.Token | None
    tls: channel_.TLS | bool | None
    timeout: float
    attempts: int
    metadata: channel_.Metadata
    keepalive: float


class Settings:
    """What both clients are made of."""

    def __init__(
        self,
        target: str = "localhost:50051",
        *,
        token: channel_.Token | None = None,
        tls: channel_.TLS | bool | None = None,
        timeout: float = channel_.TIMEOUT_S,
        attempts: int = channel_.ATTEMPTS,
        metadata: channel_.Metadata = (),
        keepalive: float = channel_.KEEPALIVE_S,
    ) -> None:
        """
        `target` is `host:port`, or a URL, where `https` means TLS. `token` is a bearer token, or how
        to get one for each call. `timeout`, in seconds, bounds calls that name none; `math.inf` is no
        bound. A call that
        fails before its first event, and that the server says may be tried again, is tried up to
        `attempts` times. `metadata` goes with every call. After `keepalive` seconds of silence the
        server is asked whether it is still there.
        """
        self.target = channel_.Target.parse(target, tls)
        self.timeout = timeout
        self.attempts = max(1, attempts)
        self.keepalive = keepalive
        self._token = token
        self._own_metadata = metadata

    def call(self, timeout: float | None, metadata: channel_.Metadata) -> Call:
        return Call(time.monotonic() + (self.timeout if timeout is None else timeout), metadata)

    def unbounded_call(self, timeout: float | None, metadata: channel_.Metadata) -> Call:
        """Of a call that is as long as its caller makes it: without `timeout` it has no end."""
        return Call(math.inf if timeout is None else time.monotonic() + timeout, metadata)

    def metadata(self, call: Call) -> list[tuple[str, str]]:
        return channel_.call_metadata(self._token, [*self._own_metadata, *call.metadata])

    def again(self, error: TesseraError, attempt: int, final: bool) -> float | None:
        """Seconds to wait before the call is tried again; None: it must not be. UNAVAILABLE is tried
        again by gRPC itself; a full queue says when to come back."""
        return None if final or attempt >= self.attempts else error.retry_after


class Client(Closing, Settings):
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

    def stream(
        self,
        files: Files,
        *,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> Stream:
        """Reads one document; its events come as they happen. `files` are its pages, in order."""
        return self.stream_request(build(files, task), timeout=timeout, metadata=metadata)

    def stream_request(
        self,
        request: pb.ExtractRequest,
        *,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
    ) -> Stream:
        """As `stream`, for a request of the protocol itself."""
        return Stream(self, request, self.call(timeout, metadata))

    def extract(
        self,
        files: Files,
        *,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> Extraction:
        """Reads one document and returns the whole answer."""
        # Nobody sees the pieces: they need not be sent.
        task.setdefault("events", ("none",))
        accepted = completed = None
        with self.stream(files, timeout=timeout, metadata=metadata, **task) as events:
            for event in events:
                if isinstance(event, Accepted):
                    accepted = event
                elif isinstance(event, Completed):
                    completed = event
        if accepted is None or completed is None:
            raise IncompleteStreamError()
        return Extraction(accepted, completed)

    def batch(
        self,
        documents: Iterable[BatchSource],
        *,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> Batch:
        """Reads many documents over one call and returns each outcome as it comes, in no order.

        `documents` are taken as there is room: at most `in_flight` are on their way. Keywords are
        those of `stream`, for all of them. A document that fails is a result with `error`, and the
        others go on; only a failure of the whole call is raised. `timeout` bounds the whole call.
        """
        call = self.unbounded_call(timeout, metadata)
        ledger = Ledger(batch_task(task, pieces=False), self.attempts, in_flight, call.end)
        return Batch(BatchStream(self, documents, ledger, call))

    def stream_batch(
        self,
        documents: Iterable[BatchSource],
        *,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> BatchStream:
        """As `batch`, with all events of every document as they happen."""
        call = self.unbounded_call(timeout, metadata)
        ledger = Ledger(batch_task(task, pieces=True), self.attempts, in_flight, call.end)
        return BatchStream(self, documents, ledger, call)

    def model_info(self, *, timeout: float | None = None) -> model_info_pb2.ModelStatus:
        """What is loaded, where, in which dtype, and every limit that a refusal names."""
        call = self.call(timeout, ())
        try:
            request = pb.ModelInfoRequest()
            answer = self.stub.ModelInfo(
                request, timeout=call.left(), metadata=self.metadata(call)
            )
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
        rpc = self.stub.WatchModelInfo(
            pb.WatchModelInfoRequest(), timeout=call.left(), metadata=self.metadata(call)
        )
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
