"""A batch for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio

from tessera._batch import BatchEvent, BatchResult, BatchSource, Outcomes
from tessera._closing import AsyncClosing
from tessera._errors import IncompleteStreamError, left_by_caller
from tessera._ledger import Ledger, Role, Run, Wait
from tessera.v1 import extraction_pb2 as pb

if TYPE_CHECKING:
    from tessera._aio import AsyncClient
    from tessera._call import Call

_T = TypeVar("_T")

#: Of grpc.aio, for a write to a call that has ended.
_FORGOTTEN = "Internal error from Core"
_STATUS_LIMIT_S = 2.0


class AsyncBatchStream(AsyncClosing, AsyncIterator[BatchEvent]):
    """The events of all documents of one call, as they come; documents are mixed.

    Documents are taken from their iterable as there is room for them, by a task that nothing else
    waits for: an asynchronous iterable may be slow, or wait for the outcome of an earlier document;
    another is asked on the event loop, and must not wait. Files are read on a thread. Leaving an
    `async with` block, `aclose` and `cancel` end the call, and with it the work on every document.
    So does cancelling the task that reads, or letting go of this.
    """

    def __init__(
        self,
        client: AsyncClient,
        documents: Iterable[BatchSource] | AsyncIterable[BatchSource],
        ledger: Ledger,
        call: Call,
    ) -> None:
        # Neither knows this object: when nobody else does, it is gone, and with its generator the call.
        self._work = _Work(_each(documents), ledger)
        self._events = _read(client, call, self._work)

    def __aiter__(self) -> AsyncBatchStream:
        return self

    async def __anext__(self) -> BatchEvent:
        return await anext(self._events)

    def cancel_document(self, request_id: str) -> None:
        """Stops one document: its outcome is a `CallCancelledError`. Nothing happens where it has its
        outcome."""
        self._work.cancel_document(request_id)

    def cancel(self) -> None:
        """Ends the call: who reads gets `CallCancelledError`."""
        self._work.end()

    async def aclose(self) -> None:
        """Ends the call where it still runs, and the iterator."""
        self.cancel()
        await self._events.aclose()


async def _read(client: AsyncClient, call: Call, work: _Work) -> AsyncGenerator[BatchEvent, None]:
    if work.closed:
        raise left_by_caller()
    rpc = client.stub.BatchExtract(work.messages(), **client.arguments(call))
    try:
        work.begin(rpc)
        while (event := await work.wait_for(Role.READ, work.event)) is not None:
            yield event
        failure = work.failure
        if isinstance(failure, grpc.RpcError) and failure.details() == _FORGOTTEN:
            if work.has_heard:
                # It was answered, then ended while a message was written, and how is not known any more.
                raise IncompleteStreamError() from failure
            work.failure = await _status(client, call, failure)
        work.check()
    finally:
        work.end()


async def _status(client: AsyncClient, call: Call, forgotten: grpc.RpcError) -> grpc.RpcError:
    """What a call failed with. grpc.aio forgets the status of one that ends while a message is
    written. Where nothing was answered yet the same call without messages fails alike, and says
    why."""
    arguments = {**client.arguments(call), "timeout": _STATUS_LIMIT_S}
    rpc = client.stub.BatchExtract(**arguments)
    try:
        await rpc.read()
    except grpc.RpcError as told:
        late = told.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        return forgotten if late else told
    finally:
        rpc.cancel()
    return forgotten


class _Work(Run):
    """The roles of a batch, each a task: gRPC's own sends, and the caller's reads."""

    def __init__(self, documents: AsyncIterator[BatchSource], ledger: Ledger) -> None:
        super().__init__(ledger)
        self._documents: AsyncIterator[BatchSource] | None = documents
        self._turns = {role: asyncio.Event() for role in Role}
        self._tasks: list[asyncio.Task[None]] = []

    def look_again(self, *roles: Role) -> None:
        for role in roles:
            self._turns[role].set()

    async def wait_for(self, role: Role, look: Callable[[], _T | Wait]) -> _T:
        while isinstance(found := look(), Wait):
            self._turns[role].clear()
            try:
                async with asyncio.timeout(found.seconds):
                    await self._turns[role].wait()
            except TimeoutError:
                pass
        return found

    def begin(self, rpc: Any) -> None:
        super().begin(rpc)
        works = (self._take_all(), self._receive_all())
        self._tasks = [asyncio.create_task(work, name="tessera-batch") for work in works]

    def end(self) -> None:
        super().end()
        for task in self._tasks[:1]:
            task.cancel()

    async def messages(self) -> AsyncIterator[pb.BatchExtractRequest]:
        """What is sent, as gRPC asks for it."""
        while (message := await self.wait_for(Role.SEND, self.message)) is not None:
            yield message

    async def _take_all(self) -> None:
        documents, self._documents = self._documents, None
        try:
            while documents is not None and await self.wait_for(Role.TAKE, self.room):
                try:
                    source = await anext(documents)
                except StopAsyncIteration:
                    return self.drained()
                self.admit(await asyncio.to_thread(self.prepare, source))
        except Exception as error:
            self.broke(error)

    async def _receive_all(self) -> None:
        failure: Exception | None = None
        try:
            async for message in self._rpc:
                self.received(message)
                await self.wait_for(Role.RECEIVE, self.space)
        except asyncio.CancelledError:
            # grpc.aio says this of a call that we ended.
            failure = left_by_caller()
        except Exception as error:
            failure = error
        self.ended(failure)


class AsyncBatch(AsyncClosing, AsyncIterator[BatchResult]):
    """The outcomes of all documents of one call, as they come. See `AsyncBatchStream`."""

    def __init__(self, stream: AsyncBatchStream) -> None:
        self._stream, self._outcomes = stream, Outcomes()

    def __aiter__(self) -> AsyncBatch:
        return self

    async def __anext__(self) -> BatchResult:
        async for event in self._stream:
            result = self._outcomes.result(event)
            if result is not None:
                return result
        raise StopAsyncIteration

    def cancel_document(self, request_id: str) -> None:
        """See `AsyncBatchStream.cancel_document`."""
        self._stream.cancel_document(request_id)

    def cancel(self) -> None:
        """See `AsyncBatchStream.cancel`."""
        self._stream.cancel()

    async def aclose(self) -> None:
        """See `AsyncBatchStream.aclose`."""
        await self._stream.aclose()


async def _each(
    documents: Iterable[BatchSource] | AsyncIterable[BatchSource],
) -> AsyncIterator[BatchSource]:
    if isinstance(documents, AsyncIterable):
        async for document in documents:
            yield document
    else:
        for document in documents:
            yield document
