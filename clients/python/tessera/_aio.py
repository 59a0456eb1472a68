"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any, NoReturn, Unpack

import grpc
import grpc.aio

from tessera import _channel as channel_
from tessera._batch import IN_FLIGHT, BatchSource, Ledger, batch_task
from tessera._batch_aio import AsyncBatch, AsyncBatchStream
from tessera._client import Call, ClientOptions, Settings
from tessera._closing import AsyncClosing
from tessera._errors import (
    IncompleteStreamError,
    OverloadedError,
    from_rpc_error,
    left_by_caller,
)
from tessera._events import Accepted, Completed, Event, Extraction, from_response
from tessera._request import Files, Task, build
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import model_info_pb2
from tessera.v1.extraction_pb2_grpc import ExtractionServiceStub


class AsyncStream(AsyncClosing, AsyncIterator[Event]):
    """The events of one call; the last one is `Completed`.

    Leaving an `async with` block, `aclose` and `cancel` end the call, and with it the work on the
    server. So does cancelling the task that reads, or letting go of this.
    """

    def __init__(self, client: AsyncClient, request: pb.ExtractRequest, call: Call) -> None:
        # Neither knows this object: when nobody else does, it is gone, and with its generator the call.
        self._current = _Current()
        self._events = _read(client, request, call, self._current)

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)

    def cancel(self) -> None:
        """Ends the call: who reads gets `CallCancelledError`."""
        self._current.end()

    async def aclose(self) -> None:
        """Ends the call where it still runs, and the iterator."""
        self.cancel()
        await self._events.aclose()


class _Current:
    """The call of gRPC that a stream reads, of several where it is tried again."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()
        self._rpc: Any = None

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def begin(self, rpc: Any) -> None:
        self._rpc = rpc
        if self.is_closed:
            rpc.cancel()

    def end(self) -> None:
        self._closed.set()
        if self._rpc is not None:
            self._rpc.cancel()  # No effect on a call that has ended.

    async def pause(self, seconds: float) -> None:
        """Raises where the caller ends the call meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return
        raise left_by_caller()


async def _read(
    client: AsyncClient, request: pb.ExtractRequest, call: Call, current: _Current
) -> AsyncGenerator[Event, None]:
    try:
        for attempt in range(1, client.attempts + 1):
            answered = False
            try:
                async for event in _once(client, request, call, current):
                    answered = True
                    yield event
                return
            except OverloadedError as error:
                delay = client.again(error, attempt, answered)
                if delay is None or not call.has(delay):
                    raise
            await current.pause(delay)
    finally:
        current.end()


async def _once(
    client: AsyncClient, request: pb.ExtractRequest, call: Call, current: _Current
) -> AsyncGenerator[Event, None]:
    completed = False
    rpc = client.stub.Extract(request, timeout=call.left(), metadata=client.metadata(call))
    current.begin(rpc)
    try:
        async for response in rpc:
            event = from_response(response)
            if event is not None:
                completed = isinstance(event, Completed)
                yield event
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error
    except asyncio.CancelledError:
        _raise_unless_of_call()
    if not completed:
        raise IncompleteStreamError()


def _raise_unless_of_call() -> NoReturn:
    """Where a `CancelledError` is handled: grpc.aio says this of a call that was ended, also by closing
    the client; of our own task it must go on."""
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise
    raise left_by_caller() from None


class AsyncClient(AsyncClosing, Settings):
    """A connection to Tessera, for one event loop."""

    def __init__(
        self,
        target: str = "localhost:50051",
        *,
        channel: grpc.aio.Channel | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(target, **options)
        self._channel = channel or self._open()
        self.stub: Any = ExtractionServiceStub(self._channel)  # type: ignore[no-untyped-call]

    __init__.__doc__ = Settings.__init__.__doc__

    def _open(self) -> grpc.aio.Channel:
        options = channel_.options(self.target, self.attempts, self.keepalive)
        if self.target.tls is None:
            return grpc.aio.insecure_channel(self.target.address, options)
        return grpc.aio.secure_channel(
            self.target.address, self.target.tls.credentials(), options
        )

    def stream(
        self,
        files: Files,
        *,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> AsyncStream:
        """Reads one document; its events come as they happen. `files` are its pages, in order."""
        return self.stream_request(build(files, task), timeout=timeout, metadata=metadata)

    def stream_request(
        self,
        request: pb.ExtractRequest,
        *,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
    ) -> AsyncStream:
        """As `stream`, for a request of the protocol itself."""
        return AsyncStream(self, request, self.call(timeout, metadata))

    async def extract(
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
        async with self.stream(files, timeout=timeout, metadata=metadata, **task) as events:
            async for event in events:
                if isinstance(event, Accepted):
                    accepted = event
                elif isinstance(event, Completed):
                    completed = event
        if accepted is None or completed is None:
            raise IncompleteStreamError()
        return Extraction(accepted, completed)

    def batch(
        self,
        documents: Iterable[BatchSource] | AsyncIterable[BatchSource],
        *,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> AsyncBatch:
        """Reads many documents over one call and returns each outcome as it comes, in no order.

        `documents` are taken as there is room: at most `in_flight` are on their way. Keywords are
        those of `stream`, for all of them. A document that fails is a result with `error`, and the
        others go on; only a failure of the whole call is raised. `timeout` bounds the whole call.
        """
        call = self.unbounded_call(timeout, metadata)
        ledger = Ledger(batch_task(task, pieces=False), self.attempts, in_flight, call.end)
        return AsyncBatch(AsyncBatchStream(self, documents, ledger, call))

    def stream_batch(
        self,
        documents: Iterable[BatchSource] | AsyncIterable[BatchSource],
        *,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> AsyncBatchStream:
        """As `batch`, with all events of every document as they happen."""
        call = self.unbounded_call(timeout, metadata)
        ledger = Ledger(batch_task(task, pieces=True), self.attempts, in_flight, call.end)
        return AsyncBatchStream(self, documents, ledger, call)

    async def model_info(self, *, timeout: float | None = None) -> model_info_pb2.ModelStatus:
        """What is loaded, where, in which dtype, and every limit that a refusal names."""
        call = self.call(timeout, ())
        try:
            answer = await self.stub.ModelInfo(
                pb.ModelInfoRequest(), timeout=call.left(), metadata=self.metadata(call)
            )
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        except asyncio.CancelledError:
            _raise_unless_of_call()
        status: model_info_pb2.ModelStatus = answer.status
        return status

    async def watch_model_info(
        self, *, timeout: float | None = None
    ) -> AsyncGenerator[model_info_pb2.ModelStatus, None]:
        """As `model_info`, again after each change, until the server drains. Without `timeout` it
        goes on for as long."""
        call = self.unbounded_call(timeout, ())
        rpc = self.stub.WatchModelInfo(
            pb.WatchModelInfoRequest(), timeout=call.left(), metadata=self.metadata(call)
        )
        try:
            async for answer in rpc:
                yield answer.status
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        except asyncio.CancelledError:
            _raise_unless_of_call()
        finally:
            rpc.cancel()

    async def close(self) -> None:
        """Ends every call and the connection."""
        await self._channel.close()

    async def aclose(self) -> None:
        """As `close`, which is what a channel of grpc.aio has."""
        await self.close()
