"""A batch for programs that wait."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import grpc

from tessera._batch import AHEAD, BatchEvent, BatchResult, BatchSource, Ledger, Outcomes
from tessera._closing import Closing
from tessera._errors import IncompleteStreamError, from_rpc_error, left_by_caller
from tessera.v1 import extraction_pb2 as pb

if TYPE_CHECKING:
    from tessera._client import Call, Client


class BatchStream(Closing, Iterator[BatchEvent]):
    """The events of all documents of one call, as they come; documents are mixed.

    Documents are taken from their iterable as there is room for them, by another thread, which
    reads their files, too. Nothing waits for it: the iterable may be slow, or wait for the outcome
    of an earlier document. Leaving a `with` block, `close` and `cancel` end the call, and with it
    the work on every document. So does letting go of this.
    """

    def __init__(
        self, client: Client, documents: Iterable[BatchSource], ledger: Ledger, call: Call
    ) -> None:
        # Neither knows this object: when nobody else does, it is gone, and with its generator the call.
        self._work = _Work(iter(documents), ledger)
        self._events = _read(client, call, self._work)

    def __iter__(self) -> BatchStream:
        return self

    def __next__(self) -> BatchEvent:
        return next(self._events)

    def cancel_document(self, request_id: str) -> None:
        """Stops one document, from any thread: its outcome is a `CallCancelledError`. Nothing happens
        where it has its outcome."""
        self._work.cancel_document(request_id)

    def cancel(self) -> None:
        """Ends the call, from any thread: the thread that reads gets `CallCancelledError`."""
        self._work.end()

    def close(self) -> None:
        """Ends the call where it still runs, and the iterator."""
        self.cancel()
        self._events.close()


def _read(client: Client, call: Call, work: _Work) -> Generator[BatchEvent, None, None]:
    if work.closed:
        raise left_by_caller()
    rpc = client.stub.BatchExtract(
        work.messages(), timeout=call.left(), metadata=client.metadata(call)
    )
    try:
        work.begin(rpc)
        while (event := work.next_event()) is not None:
            yield event
    finally:
        work.end()


class _Work:
    """What the threads of a batch share: one takes documents, one of gRPC's asks for messages, one receives, and
    one reads. None waits for another's work."""

    def __init__(self, documents: Iterator[BatchSource], ledger: Ledger) -> None:
        self.closed = False
        self._documents: Iterator[BatchSource] | None = documents
        self._ledger = ledger
        # What ends it may run wherever Python collects garbage, here too.
        self._lock = threading.RLock()
        self._to_take = threading.Condition(self._lock)
        self._to_send = threading.Condition(self._lock)
        self._to_receive = threading.Condition(self._lock)
        self._to_read = threading.Condition(self._lock)
        self._inbox: deque[pb.BatchExtractResponse] = deque()
        self._rpc: Any = None
        self._is_over = False
        #: How the call ended. None: with OK.
        self._failure: Exception | None = None
        #: What the iterable of documents raised.
        self._broken: BaseException | None = None

    def begin(self, rpc: Any) -> None:
        with self._lock:
            self._rpc = rpc
            if self.closed:
                rpc.cancel()
        for work in (self._take_all, self._receive_all):
            threading.Thread(target=work, name="tessera-batch", daemon=True).start()

    def end(self) -> None:
        with self._lock:
            self.closed = True
            self._notify_all()
            if self._rpc is not None:
                self._rpc.cancel()  # No effect on a call that has ended.

    def cancel_document(self, request_id: str) -> None:
        with self._lock:
            self._ledger.cancel(request_id)
            self._to_send.notify_all()
            self._to_read.notify_all()

    def messages(self) -> Iterator[pb.BatchExtractRequest]:
        """What is sent. gRPC asks for it on a thread of its own."""
        while (message := self._next_message()) is not None:
            yield message

    def _next_message(self) -> pb.BatchExtractRequest | None:
        with self._lock:
            while not (self.closed or self._ledger.is_done):
                now = time.monotonic()
                message = self._ledger.message(now)
                if message is not None:
                    return message
                self._to_send.wait(self._ledger.wait(now))
        return None

    def _take_all(self) -> None:
        try:
            documents = self._documents
            # When it ends, what the caller does not hold itself is closed.
            self._documents = None
            while documents is not None and self._waits_for_room():
                try:
                    source = next(documents)
                except StopIteration:
                    self._ledger.drained = True
                    return
                prepared = self._ledger.prepare(source)
                with self._lock:
                    self._ledger.admit(prepared)
                    self._to_send.notify_all()
                    self._to_read.notify_all()
        except BaseException as error:  # The caller's own: it must reach the thread that reads.
            self._broken = error
            self._rpc.cancel()
        finally:
            with self._lock:
                self._notify_all()

    def _waits_for_room(self) -> bool:
        """False: there is nobody to take documents for."""
        with self._lock:
            while not (self.closed or self._ledger.has_room):
                self._to_take.wait()
            return not self.closed

    def _receive_all(self) -> None:
        failure: Exception | None = None
        try:
            for message in self._rpc:
                with self._lock:
                    self._inbox.append(message)
                    self._to_read.notify_all()
                    while len(self._inbox) >= AHEAD and not self.closed:
                        self._to_receive.wait()
        except Exception as error:
            failure = error
        finally:
            with self._lock:
                self._is_over, self._failure = True, failure
                self._notify_all()

    def next_event(self) -> BatchEvent | None:
        """For the reader; None at the end."""
        with self._lock:
            while True:
                if self._ledger.told:
                    self._to_take.notify_all()
                    return self._ledger.told.popleft()
                if self._inbox:
                    event = self._heard(self._inbox.popleft())
                    if event is not None:
                        return event
                elif self._broken is not None:
                    raise self._broken
                elif self._is_over:
                    break
                else:
                    self._to_read.wait()
        if isinstance(self._failure, grpc.RpcError):
            raise from_rpc_error(self._failure) from self._failure
        if self._failure is not None:
            raise self._failure
        if not self._ledger.is_done:
            raise IncompleteStreamError()
        return None

    def _heard(self, message: pb.BatchExtractResponse) -> BatchEvent | None:
        event = self._ledger.heard(message, time.monotonic())
        self._to_receive.notify_all()
        if event is None or event.is_outcome:
            self._to_send.notify_all()
            self._to_take.notify_all()
        return event

    def _notify_all(self) -> None:
        for each in (self._to_take, self._to_send, self._to_receive, self._to_read):
            each.notify_all()


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
