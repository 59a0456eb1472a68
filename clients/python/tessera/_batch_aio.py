"""A batch for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from tessera._batch import AHEAD, BatchEvent, BatchResult, BatchSource, Ledger, Outcomes
from tessera._closing import AsyncClosing
from tessera._errors import IncompleteStreamError, from_rpc_error, left_by_caller
from tessera.v1 import extraction_pb2 as pb

if TYPE_CHECKING:
    from tessera._aio import AsyncClient
    from tessera._client import Call


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
    rpc = client.stub.BatchExtract(
        work.messages(), timeout=call.left(), metadata=client.metadata(call)
    )
    try:
        work.begin(rpc)
        while (event := await work.next_event()) is not None:
            yield event
        failure = work.failure
        if isinstance(failure, grpc.RpcError):
            if work.has_heard and failure.details() == _FORGOTTEN:
                # It was answered, then ended while a message was written, and how is not known any more.
                raise IncompleteStreamError() from failure
            raise from_rpc_error(await _status(client, call, failure)) from failure
        if failure is not None:
            raise failure
        if not work.is_done:
            raise IncompleteStreamError()
    finally:
        work.end()


async def _status(client: AsyncClient, call: Call, error: Any) -> Any:
    """What a call failed with. grpc.aio forgets the status of one that ends while a message is
    written. Where nothing was answered yet the same call without messages fails alike, and says
    why."""
    if error.details() != _FORGOTTEN:
        return error
    rpc = client.stub.BatchExtract(timeout=_STATUS_LIMIT_S, metadata=client.metadata(call))
    try:
        await rpc.read()
    except grpc.RpcError as told:
        late = told.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        return error if late else told
    finally:
        rpc.cancel()
    return error


class _Work:
    """What the tasks of a batch share: one takes documents, one of gRPC's asks for messages, one receives, and
    one reads. None waits for another's work."""

    def __init__(self, documents: AsyncIterator[BatchSource], ledger: Ledger) -> None:
        self.closed = False
        #: How the call ended. None: with OK.
        self.failure: Exception | None = None
        self._documents: AsyncIterator[BatchSource] | None = documents
        self._ledger = ledger
        self._to_take = asyncio.Event()
        self._to_send = asyncio.Event()
        self._to_receive = asyncio.Event()
        self._to_read = asyncio.Event()
        self._inbox: deque[pb.BatchExtractResponse] = deque()
        self._rpc: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False
        #: What the iterable of documents raised.
        self._broken: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self._ledger.is_done

    @property
    def has_heard(self) -> bool:
        return self._ledger.has_heard

    def begin(self, rpc: Any) -> None:
        self._rpc = rpc
        works = (self._take_all(), self._receive_all())
        self._tasks = [asyncio.create_task(work, name="tessera-batch") for work in works]

    def end(self) -> None:
        self.closed = True
        if self._rpc is not None:
            self._rpc.cancel()  # No effect on a call that has ended.
        for task in self._tasks[:1]:
            task.cancel()
        self._notify_all()

    def cancel_document(self, request_id: str) -> None:
        self._ledger.cancel(request_id)
        self._to_send.set()
        self._to_read.set()

    async def messages(self) -> AsyncIterator[pb.BatchExtractRequest]:
        """What is sent, as gRPC asks for it."""
        while not (self.closed or self._ledger.is_done):
            now = time.monotonic()
            message = self._ledger.message(now)
            if message is not None:
                yield message
                continue
            self._to_send.clear()
            try:
                async with asyncio.timeout(self._ledger.wait(now)):
                    await self._to_send.wait()
            except TimeoutError:
                pass

    async def _take_all(self) -> None:
        documents, self._documents = self._documents, None
        try:
            while documents is not None and await self._waits_for_room():
                try:
                    source = await anext(documents)
                except StopAsyncIteration:
                    self._ledger.drained = True
                    return
                prepared = await asyncio.to_thread(self._ledger.prepare, source)
                self._ledger.admit(prepared)
                self._to_send.set()
                self._to_read.set()
        except Exception as error:  # The caller's own: it must reach who reads.
            self._broken = error
            self._rpc.cancel()
        finally:
            self._notify_all()

    async def _waits_for_room(self) -> bool:
        """False: there is nobody to take documents for."""
        while not (self.closed or self._ledger.has_room):
            self._to_take.clear()
            await self._to_take.wait()
        return not self.closed

    async def _receive_all(self) -> None:
        try:
            async for message in self._rpc:
                self._inbox.append(message)
                self._to_read.set()
                while len(self._inbox) >= AHEAD and not self.closed:
                    self._to_receive.clear()
                    await self._to_receive.wait()
        except asyncio.CancelledError:
            # grpc.aio says this of a call that we ended.
            self.failure = left_by_caller()
        except Exception as error:
            self.failure = error
        finally:
            self._is_over = True
            self._notify_all()

    async def next_event(self) -> BatchEvent | None:
        """For the reader; None at the end."""
        while True:
            if self._ledger.told:
                self._to_take.set()
                return self._ledger.told.popleft()
            if self._inbox:
                event = self._heard(self._inbox.popleft())
                if event is not None:
                    return event
            elif self._broken is not None:
                raise self._broken
            elif self._is_over:
                return None
            else:
                self._to_read.clear()
                await self._to_read.wait()

    def _heard(self, message: pb.BatchExtractResponse) -> BatchEvent | None:
        event = self._ledger.heard(message, time.monotonic())
        self._to_receive.set()
        if event is None or event.is_outcome:
            self._to_send.set()
            self._to_take.set()
        return event

    def _notify_all(self) -> None:
        for each in (self._to_take, self._to_send, self._to_receive, self._to_read):
            each.set()


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
