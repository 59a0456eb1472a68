"""A batch for programs that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from tessera._batch import BatchEvent, BatchResult, BatchSource, Outcomes
from tessera._closing import Closing
from tessera._errors import left_by_caller
from tessera._ledger import Ledger, Role, Run, Wait
from tessera.v1 import extraction_pb2 as pb

if TYPE_CHECKING:
    from tessera._call import Call
    from tessera._client import Client

_T = TypeVar("_T")


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
    rpc = client.stub.BatchExtract(work.messages(), **client.arguments(call))
    try:
        work.begin(rpc)
        while (event := work.wait_for(Role.READ, work.event)) is not None:
            yield event
        work.check()
    finally:
        work.end()


class _Work(Run):
    """The roles of a batch, each on a thread: gRPC's own sends, and the caller's reads."""

    def __init__(self, documents: Iterator[BatchSource], ledger: Ledger) -> None:
        super().__init__(ledger)
        self._documents: Iterator[BatchSource] | None = documents
        # What ends it may run wherever Python collects garbage, here too.
        self._lock = threading.RLock()
        self._turns = {role: threading.Condition(self._lock) for role in Role}

    def look_again(self, *roles: Role) -> None:
        for role in roles:
            self._turns[role].notify_all()

    def wait_for(self, role: Role, look: Callable[[], _T | Wait]) -> _T:
        with self._lock:
            while isinstance(found := look(), Wait):
                self._turns[role].wait(found.seconds)
            return found

    def begin(self, rpc: Any) -> None:
        with self._lock:
            super().begin(rpc)
        for work in (self._take_all, self._receive_all):
            threading.Thread(target=work, name="tessera-batch", daemon=True).start()

    def end(self) -> None:
        with self._lock:
            super().end()

    def cancel_document(self, request_id: str) -> None:
        with self._lock:
            super().cancel_document(request_id)

    def messages(self) -> Iterator[pb.BatchExtractRequest]:
        """What is sent. gRPC asks for it on a thread of its own."""
        while (message := self.wait_for(Role.SEND, self.message)) is not None:
            yield message

    def _take_all(self) -> None:
        # When this ends, what the caller does not hold itself is closed.
        documents, self._documents = self._documents, None
        try:
            while documents is not None and self.wait_for(Role.TAKE, self.room):
                try:
                    source = next(documents)
                except StopIteration:
                    with self._lock:
                        return self.drained()
                prepared = self.prepare(source)
                with self._lock:
                    self.admit(prepared)
        except BaseException as error:
            with self._lock:
                self.broke(error)

    def _receive_all(self) -> None:
        failure: Exception | None = None
        try:
            for message in self._rpc:
                with self._lock:
                    self.received(message)
                self.wait_for(Role.RECEIVE, self.space)
        except Exception as error:
            failure = error
        with self._lock:
            self.ended(failure)


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
