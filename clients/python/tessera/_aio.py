"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any, NoReturn, TypeAlias, Unpack

import grpc
import grpc.aio

from tessera import _channel as channel_
from tessera._batch import BatchSource
from tessera._batch_aio import AsyncBatch, AsyncBatchStream
from tessera._call import Answer, Attempts, Call, Current
from tessera._closing import AsyncClosing
from tessera._errors import from_rpc_error, left_by_caller
from tessera._events import Event, Extraction
from tessera._ledger import Ledger
from tessera._request import Files, Task
from tessera._settings import ClientOptions, Settings, unseen
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import model_info_pb2
from tessera.v1.extraction_pb2_grpc import ExtractionServiceStub

Documents: TypeAlias = Iterable[BatchSource] | AsyncIterable[BatchSource]


class AsyncStream(AsyncClosing, AsyncIterator[Event]):
    """The events of one call; the last one is `Completed`.

    Leaving an `async with` block, `aclose` and `cancel` end the call, and with it the work on the
    server. So does cancelling the task that reads, or letting go of this.
    """

    def __init__(self, client: AsyncClient, request: pb.ExtractRequest, call: Call) -> None:
        # Neither knows this object: when nobody else does, it is gone, and with its generator the call.
        closed = asyncio.Event()
        self._current = Current(closed)
        self._events = _read(client, request, call, self._current, closed)

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


async def _read(
    client: AsyncClient, request: pb.ExtractRequest, call: Call, current: Current, closed: asyncio.Event
) -> AsyncGenerator[Event, None]:
    attempts = Attempts(call, client.attempts)
    try:
        while True:
            rpc = client.stub.Extract(request, **client.arguments(call))
            current.begin(rpc)
            try:
                async for response in rpc:
                    event = attempts.heard(response)
                    if event is not None:
                        yield event
                attempts.ended()
                return
            except grpc.RpcError as error:
                delay = attempts.failed(error)
            except asyncio.CancelledError:
                _raise_unless_of_call()
            if await _is_set_within(closed, delay):
                raise left_by_caller()
    finally:
        current.end()


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


def _raise_unless_of_call() -> NoReturn:
    """Where a `CancelledError` is handled: grpc.aio says this of a call that was ended, also by closing
    the client; of our own task it must go on."""
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise
    raise left_by_caller() from None


class AsyncClient(AsyncClosing, Settings[AsyncStream, AsyncBatchStream, AsyncBatch, Documents]):
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

    async def extract(
        self,
        files: Files,
        *,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> Extraction:
        """Reads one document and returns the whole answer."""
        answer = Answer()
        async with self.stream(files, timeout=timeout, metadata=metadata, **unseen(task)) as events:
            async for event in events:
                answer.add(event)
        return answer.whole()

    async def model_info(self, *, timeout: float | None = None) -> model_info_pb2.ModelStatus:
        """What is loaded, where, in which dtype, and every limit that a refusal names."""
        call = self.call(timeout, ())
        try:
            answer = await self.stub.ModelInfo(pb.ModelInfoRequest(), **self.arguments(call))
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
        rpc = self.stub.WatchModelInfo(pb.WatchModelInfoRequest(), **self.arguments(call))
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

    def _stream(self, request: pb.ExtractRequest, call: Call) -> AsyncStream:
        return AsyncStream(self, request, call)

    def _stream_batch(
        self, documents: Documents, ledger: Ledger, call: Call
    ) -> AsyncBatchStream:
        return AsyncBatchStream(self, documents, ledger, call)

    def _batch(self, events: AsyncBatchStream) -> AsyncBatch:
        return AsyncBatch(events)
