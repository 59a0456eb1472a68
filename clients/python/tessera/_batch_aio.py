"""A batch for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from tessera._batch import BatchEvent, BatchResult, BatchSource, Ledger, Outcomes
from tessera._closing import AsyncClosing
from tessera._errors import CallCancelledError, IncompleteStreamError, from_rpc_error
from tessera.v1 import extraction_pb2 as pb

if TYPE_CHECKING:
    from tessera._aio import AsyncClient
    from tessera._client import Call


#: Of grpc.aio, for a write to a call that has ended.
_FORGOTTEN = "Internal error from Core"
_STATUS_LIMIT_S = 2.0


class AsyncBatchStream(AsyncClosing, AsyncIterator[BatchEvent]):
    """The events of all documents of one call, as they come; documents are mixed.

    Documents are taken from their iterable as there is room for them; files are read on a thread.
    Leaving an `async with` block, `aclose` and `cancel` end the call, and with it the work on every
    document. So does cancelling the task that reads.
    """

    def __init__(
        self,
        client: AsyncClient,
        documents: Iterable[BatchSource] | AsyncIterable[BatchSource],
        ledger: Ledger,
        call: Call,
    ) -> None:
        self._client, self._call, self._ledger = client, call, ledger
        self._documents = _each(documents)
        #: Set where `_messages` may have more to do.
        self._changed = asyncio.Event()
        self._outbox: deque[pb.BatchExtractRequest] = deque()
        #: Documents of which no request could be made.
        self._unsent: deque[BatchEvent] = deque()
        self._broken: BaseException | None = None
        self._closed = False
        self._rpc: Any = None
        self._events = self._run()

    def __aiter__(self) -> AsyncBatchStream:
        return self

    async def __anext__(self) -> BatchEvent:
        return await anext(self._events)

    def cancel_document(self, request_id: str) -> None:
        """Stops one document: its outcome is a `CallCancelledError`. Nothing happens where it has its
        outcome. Said to the server as soon as the iterable of documents is not waited for."""
        message = self._ledger.cancel(request_id)
        if message is not None:
            self._outbox.append(message)
            self._changed.set()

    def cancel(self) -> None:
        """Ends the call: who reads gets `CallCancelledError`."""
        self._closed = True
        self._changed.set()
        if self._rpc is not None:
            self._rpc.cancel()

    async def aclose(self) -> None:
        """Ends the call where it still runs, and the iterator."""
        self.cancel()
        await self._events.aclose()

    async def _run(self) -> Any:
        if self._closed:
            raise _cancelled()
        self._rpc = self._client.stub.BatchExtract(
            self._messages(),
            timeout=self._call.remaining(),
            metadata=self._client.metadata(self._call),
        )
        try:
            async for message in self._rpc:
                event = self._ledger.heard(message, time.monotonic())
                self._changed.set()
                for unsent in self._take_unsent():
                    yield unsent
                if event is not None:
                    yield event
        except grpc.RpcError as error:
            if self._broken is not None:
                raise self._broken from None
            if self._ledger.has_heard and error.details() == _FORGOTTEN:
                # It was answered, then ended while a message was written, and how is not known any more.
                raise IncompleteStreamError() from error
            raise from_rpc_error(await self._status(error)) from error
        except asyncio.CancelledError:
            # grpc.aio says this of a call that we ended; of our own task it must go on.
            task = asyncio.current_task()
            if task is not None and task.cancelling() > 0:
                raise
            if self._broken is not None:
                raise self._broken from None
            raise _cancelled() from None
        finally:
            self.cancel()
        for unsent in self._take_unsent():
            yield unsent
        if self._broken is not None:
            raise self._broken
        if not self._ledger.is_done:
            raise IncompleteStreamError()

    async def _status(self, error: Any) -> Any:
        """What a call failed with. grpc.aio forgets the status of one that ends while a message is
        written. Where nothing was answered yet the same call without messages fails alike, and says
        why."""
        if error.details() != _FORGOTTEN:
            return error
        rpc = self._client.stub.BatchExtract(
            timeout=_STATUS_LIMIT_S, metadata=self._client.metadata(self._call)
        )
        try:
            await rpc.read()
        except grpc.RpcError as told:
            late = told.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            return error if late else told
        finally:
            rpc.cancel()
        return error

    def _take_unsent(self) -> list[BatchEvent]:
        found = list(self._unsent)
        self._unsent.clear()
        return found

    async def _messages(self) -> AsyncIterator[pb.BatchExtractRequest]:
        """What is sent, as gRPC asks for it."""
        while True:
            ledger, now = self._ledger, time.monotonic()
            if self._closed or self._broken is not None or ledger.is_done:
                return
            message = self._outbox.popleft() if self._outbox else ledger.due(now)
            if message is None and ledger.has_room:
                message = await self._take()
                if message is None:
                    continue
            if message is not None:
                yield message
                continue
            self._changed.clear()
            try:
                async with asyncio.timeout(ledger.wait(now)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _take(self) -> pb.BatchExtractRequest | None:
        """The next document's message; None: it became none, or there is no more."""
        try:
            source = await anext(self._documents)
        except StopAsyncIteration:
            self._ledger.drained = True
            return None
        except Exception as error:  # The caller's own: it must reach who reads.
            self._broken = error
            self._rpc.cancel()
            return None
        prepared = await asyncio.to_thread(self._ledger.prepare, source)
        taken = self._ledger.admit(prepared)
        if isinstance(taken, BatchEvent):
            self._unsent.append(taken)
            return None
        return taken


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


def _cancelled() -> CallCancelledError:
    return CallCancelledError("the call was ended by its caller", code=grpc.StatusCode.CANCELLED)


async def _each(
    documents: Iterable[BatchSource] | AsyncIterable[BatchSource],
) -> AsyncIterator[BatchSource]:
    if isinstance(documents, AsyncIterable):
        async for document in documents:
            yield document
    else:
        for document in documents:
            yield document
