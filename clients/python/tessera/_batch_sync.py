"""A batch for programs that wait."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import grpc

from tessera._batch import BatchEvent, BatchResult, BatchSource, Ledger, Outcomes
from tessera._closing import Closing
from tessera._errors import CallCancelledError, IncompleteStreamError, from_rpc_error
from tessera.v1 import extraction_pb2 as pb

if TYPE_CHECKING:
    from tessera._client import Call, Client


class BatchStream(Closing, Iterator[BatchEvent]):
    """The events of all documents of one call, as they come; documents are mixed.

    Documents are taken from their iterable as there is room for them, by another thread, which
    reads their files, too. Leaving a `with` block, `close` and `cancel` end the call, and with it
    the work on every document.
    """

    def __init__(
        self, client: Client, documents: Iterable[BatchSource], ledger: Ledger, call: Call
    ) -> None:
        self._client, self._call = client, call
        self._documents = iter(documents)
        self._ledger = ledger
        #: Guards the ledger and all below, which the sending thread shares.
        self._changed = threading.Condition()
        self._outbox: deque[pb.BatchExtractRequest] = deque()
        #: Documents of which no request could be made.
        self._unsent: deque[BatchEvent] = deque()
        self._broken: BaseException | None = None
        self._closed = False
        self._rpc: Any = None
        self._events = self._run()

    def __iter__(self) -> BatchStream:
        return self

    def __next__(self) -> BatchEvent:
        return next(self._events)

    def cancel_document(self, request_id: str) -> None:
        """Stops one document, from any thread: its outcome is a `CallCancelledError`. Nothing happens
        where it has its outcome. Said to the server as soon as the iterable of documents is not
        waited for."""
        with self._changed:
            message = self._ledger.cancel(request_id)
            if message is not None:
                self._outbox.append(message)
                self._changed.notify_all()

    def cancel(self) -> None:
        """Ends the call, from any thread: the thread that reads gets `CallCancelledError`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._rpc is not None:
            self._rpc.cancel()

    def close(self) -> None:
        """Ends the call where it still runs, and the iterator."""
        self.cancel()
        self._events.close()

    def _run(self) -> Generator[BatchEvent, None, None]:
        if self._closed:
            raise CallCancelledError(
                "the call was ended by its caller", code=grpc.StatusCode.CANCELLED
            )
        self._rpc = self._client.stub.BatchExtract(
            self._messages(),
            timeout=self._call.remaining(),
            metadata=self._client.metadata(self._call),
        )
        # The sending thread may have been quicker.
        if self._closed or self._broken is not None:
            self._rpc.cancel()
        try:
            for message in self._rpc:
                with self._changed:
                    event = self._ledger.heard(message, time.monotonic())
                    unsent = self._take_unsent()
                    self._changed.notify_all()
                yield from unsent
                if event is not None:
                    yield event
        except grpc.RpcError as error:
            # Stopped by us, because the caller's own iterable failed.
            if self._broken is not None:
                raise self._broken from None
            raise from_rpc_error(error) from error
        finally:
            self.cancel()
        yield from self._take_unsent()
        if self._broken is not None:
            raise self._broken
        if not self._ledger.is_done:
            raise IncompleteStreamError()

    def _take_unsent(self) -> list[BatchEvent]:
        found = list(self._unsent)
        self._unsent.clear()
        return found

    def _messages(self) -> Iterator[pb.BatchExtractRequest]:
        """What is sent. gRPC asks for it on a thread of its own."""
        while True:
            message, take = self._next()
            if message is not None:
                yield message
            elif not take:
                return
            else:
                message = self._take()
                if message is not None:
                    yield message

    def _next(self) -> tuple[pb.BatchExtractRequest | None, bool]:
        """A message that waits, or whether to take a document; neither: the end."""
        with self._changed:
            while True:
                ledger, now = self._ledger, time.monotonic()
                if self._closed or self._broken is not None or ledger.is_done:
                    return None, False
                if self._outbox:
                    return self._outbox.popleft(), False
                message = ledger.due(now)
                if message is not None:
                    return message, False
                if ledger.has_room:
                    return None, True
                self._changed.wait(ledger.wait(now))

    def _take(self) -> pb.BatchExtractRequest | None:
        """The next document's message; None: it became none, or there is no more."""
        try:
            source = next(self._documents)
        except StopIteration:
            with self._changed:
                self._ledger.drained = True
            return None
        except BaseException as error:  # The caller's own: it must reach the thread that reads.
            self._broken = error
            if self._rpc is not None:
                self._rpc.cancel()
            return None
        prepared = self._ledger.prepare(source)
        with self._changed:
            taken = self._ledger.admit(prepared)
            if isinstance(taken, BatchEvent):
                self._unsent.append(taken)
                return None
            return taken


class Batch(Closing, Iterator[BatchResult]):
    """The outcomes of all documents of one call, as they come. See `BatchStream`."""

    def __init__(self, stream: BatchStream) -> None:
        self._stream, self._outcomes = stream, Outcomes()

    def __iter__(self) -> Batch:
        return self

    def __next__(self) -> BatchResult:
        for event in self._stream:
            result = self._outcomes.result(event)
            if result is not None:
                return result
        raise StopIteration

    def cancel_document(self, request_id: str) -> None:
        """See `BatchStream.cancel_document`."""
        self._stream.cancel_document(request_id)

    def cancel(self) -> None:
        """See `BatchStream.cancel`."""
        self._stream.cancel()

    def close(self) -> None:
        """See `BatchStream.close`."""
        self._stream.close()
