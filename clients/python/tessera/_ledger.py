"""The rules of a batch, for threads and for asyncio alike. Nothing here waits or sends."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Any

import grpc

from tessera._batch import BatchEvent, BatchSource, Document
from tessera._errors import (
    CallCancelledError,
    IncompleteStreamError,
    TesseraError,
    from_batch_error,
    from_rpc_error,
)
from tessera._events import Completed, Event, from_response
from tessera._request import ADVICE, QUESTIONS, build, check_size
from tessera.v1 import extraction_pb2 as pb

#: Messages that are received before they are read.
AHEAD = 8


@dataclass(slots=True)
class Entry:
    """A document without an outcome."""

    index: int
    source: Any
    request: pb.ExtractRequest
    attempt: int = 1
    answered: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that was taken from the caller: its request, or why there is none."""

    index: int
    request_id: str
    source: Any
    request: pb.ExtractRequest | None
    error: Exception | None


class Ledger:
    """Which documents are on their way, what is to be sent, and what each message means. Not for threads."""

    def __init__(
        self, task: Mapping[str, Any], attempts: int, in_flight: int, end: float = math.inf
    ) -> None:
        """No document is sent again at `end`, a time of `time.monotonic`, or later."""
        if in_flight < 1:
            raise ValueError("in_flight is at least 1")
        self.task = task
        self.attempts = attempts
        self.in_flight = in_flight
        self.end = end
        self.open: dict[str, Entry] = {}
        #: What is to be sent, in this order.
        self.outbox: deque[pb.BatchExtractRequest] = deque()
        #: Documents that the server says to send again, by time. The server does not have them.
        self.again: list[tuple[float, Entry]] = []
        #: Outcomes that are not of the server, until they are read.
        self.told: deque[BatchEvent] = deque()
        self.taken = 0
        #: Whether there are no more to take.
        self.drained = False
        #: Whether the server has said anything at all.
        self.has_heard = False

    @property
    def has_room(self) -> bool:
        # Outcomes that nobody has read yet take room, too.
        return len(self.open) + len(self.told) < self.in_flight and not self.drained

    @property
    def is_done(self) -> bool:
        return self.drained and not self.open

    def prepare(self, source: BatchSource) -> Prepared:
        """The request for the next document. Reads files: not for an event loop, or under a lock."""
        index, self.taken = self.taken, self.taken + 1
        name = f"document-{index + 1}"
        try:
            request = self._request(source)
            check_size(request)
        except Exception as error:  # Whatever a file says of itself: it is this document's alone.
            return Prepared(index, name, source, None, error)
        name = request.request_id = request.request_id or name
        return Prepared(index, name, source, request, None)

    def admit(self, prepared: Prepared) -> None:
        """A document is to be sent; one of which there is no request has its outcome."""
        name, error = prepared.request_id, prepared.error
        if name in self.open:
            error = ValueError(f"request_id {name!r} is on its way already: each needs its own")
        if error is not None or prepared.request is None:
            self.told.append(BatchEvent(prepared.index, name, prepared.source, None, error))
            return
        self.open[name] = Entry(prepared.index, prepared.source, prepared.request)
        self.outbox.append(pb.BatchExtractRequest(extract=prepared.request))

    def _request(self, source: BatchSource) -> pb.ExtractRequest:
        if isinstance(source, pb.ExtractRequest):
            request = pb.ExtractRequest()
            request.CopyFrom(source)
            return request
        document = source if isinstance(source, Document) else Document(source)
        shared = dict(self.task)
        if not document.task.keys().isdisjoint(QUESTIONS):
            # Its own question stands for that of the batch, and what goes with it.
            takes_advice = "document_type" in document.task or "json_schema" in document.task
            for name in QUESTIONS if takes_advice else QUESTIONS + ADVICE:
                shared.pop(name, None)
        task: Any = {**shared, **document.task}
        if document.request_id:
            task["request_id"] = document.request_id
        return build(document.files, task)

    def message(self, now: float) -> pb.BatchExtractRequest | None:
        """What is to be sent next; None: nothing yet."""
        if self.outbox:
            return self.outbox.popleft()
        if self.again and self.again[0][0] <= now:
            return pb.BatchExtractRequest(extract=self.again.pop(0)[1].request)
        return None

    def wait(self, now: float) -> float | None:
        """Seconds until a document is to be sent again; None: there is none."""
        return max(0.0, self.again[0][0] - now) if self.again else None

    def cancel(self, request_id: str) -> None:
        """Stops a document, where it has no outcome."""
        entry = self.open.get(request_id)
        if entry is None or entry.cancelled:
            return
        entry.cancelled = True
        waiting = [each for each in self.again if each[1] is not entry]
        if len(waiting) == len(self.again):
            self.outbox.append(pb.BatchExtractRequest(cancel_request_id=request_id))
            return
        # The server knows nothing of it.
        self.again = waiting
        stopped = CallCancelledError(
            "the document was stopped by its caller", code=grpc.StatusCode.CANCELLED
        )
        self.told.append(self._outcome(entry, None, stopped))

    def heard(self, message: pb.BatchExtractResponse, now: float) -> BatchEvent | None:
        """What a message says; None: nothing for the caller."""
        self.has_heard = True
        entry = self.open.get(message.request_id)
        if entry is None:
            return None
        kind = message.WhichOneof("outcome")
        if kind == "error":
            error = from_batch_error(message.error)
            if self._sends_again(entry, error, now):
                return None
            return self._outcome(entry, None, error)
        if kind != "response":
            return None
        event = from_response(message.response)
        if event is None:
            return None
        entry.answered = True
        if isinstance(event, Completed):
            return self._outcome(entry, event, None)
        return BatchEvent(entry.index, message.request_id, entry.source, event)

    def _sends_again(self, entry: Entry, error: TesseraError, now: float) -> bool:
        """As a call of its own would be: what has answered never is."""
        final = entry.answered or entry.cancelled or entry.attempt >= self.attempts
        again = error.code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
        if final or not again or error.retry_after is None:
            return False
        at = now + error.retry_after
        if at >= self.end:
            return False
        entry.attempt += 1
        self.again.append((at, entry))
        self.again.sort(key=lambda each: each[0])
        return True

    def _outcome(
        self, entry: Entry, event: Event | None, error: Exception | None
    ) -> BatchEvent:
        name = entry.request.request_id
        del self.open[name]
        return BatchEvent(entry.index, name, entry.source, event, error)


class Role(IntEnum):
    """Who works on a batch, each by itself: one takes documents from the caller, one sends, one receives, and one
    reads what the caller gets. None waits for another's work."""

    TAKE = auto()
    SEND = auto()
    RECEIVE = auto()
    READ = auto()


@dataclass(frozen=True, slots=True)
class Wait:
    """There is nothing to do until somebody says `look_again`, or so many seconds are over."""

    seconds: float | None = None


WAIT = Wait()


class Run:
    """A batch on its way. A role asks what there is for it (`room`, `message`, `space`, `event`) and waits where it
    hears `Wait`; what a role did it says (`admit`, `drained`, `broke`, `received`, `ended`). How to wait, and what
    keeps threads apart, is its owner's."""

    def __init__(self, ledger: Ledger) -> None:
        self.closed = False
        #: How the call ended. None: with OK.
        self.failure: Exception | None = None
        self._ledger = ledger
        self._inbox: deque[pb.BatchExtractResponse] = deque()
        self._rpc: Any = None
        self._is_over = False
        #: What the iterable of documents raised.
        self._broken: BaseException | None = None

    def look_again(self, *roles: Role) -> None:
        """There may be something for these."""
        raise NotImplementedError

    def begin(self, rpc: Any) -> None:
        self._rpc = rpc
        if self.closed:
            rpc.cancel()

    def end(self) -> None:
        self.closed = True
        self.look_again(*Role)
        if self._rpc is not None:
            self._rpc.cancel()  # No effect on a call that has ended.

    def cancel_document(self, request_id: str) -> None:
        self._ledger.cancel(request_id)
        self.look_again(Role.SEND, Role.READ)

    # Who takes documents.

    def room(self) -> bool | Wait:
        """False: there is nobody to take documents for."""
        if self.closed:
            return False
        return True if self._ledger.has_room else WAIT

    def prepare(self, source: BatchSource) -> Prepared:
        """See `Ledger.prepare`. One role alone calls it, and may do so while others work."""
        return self._ledger.prepare(source)

    def admit(self, prepared: Prepared) -> None:
        self._ledger.admit(prepared)
        self.look_again(Role.SEND, Role.READ)

    def drained(self) -> None:
        self._ledger.drained = True
        self.look_again(*Role)

    def broke(self, error: BaseException) -> None:
        """The caller's own error: it must reach who reads."""
        self._broken = error
        self.look_again(*Role)
        self._rpc.cancel()

    # Who sends.

    def message(self) -> pb.BatchExtractRequest | Wait | None:
        """None: there are no more."""
        if self.closed or self._ledger.is_done:
            return None
        now = time.monotonic()
        message = self._ledger.message(now)
        return Wait(self._ledger.wait(now)) if message is None else message

    # Who receives.

    def space(self) -> bool | Wait:
        """Whether a message more may wait to be read."""
        return True if self.closed or len(self._inbox) < AHEAD else WAIT

    def received(self, message: pb.BatchExtractResponse) -> None:
        self._inbox.append(message)
        self.look_again(Role.READ)

    def ended(self, failure: Exception | None) -> None:
        self._is_over, self.failure = True, failure
        self.look_again(*Role)

    # Who reads.

    def event(self) -> BatchEvent | Wait | None:
        """None: there are no more, and `check` says whether that is right."""
        if self._ledger.told:
            self.look_again(Role.TAKE)
            return self._ledger.told.popleft()
        while self._inbox:
            event = self._ledger.heard(self._inbox.popleft(), time.monotonic())
            self.look_again(Role.RECEIVE)
            if event is None or event.is_outcome:
                self.look_again(Role.SEND, Role.TAKE)
            if event is not None:
                return event
        if self._broken is not None:
            raise self._broken
        return None if self._is_over else WAIT

    @property
    def has_heard(self) -> bool:
        return self._ledger.has_heard

    def check(self) -> None:
        """Raises, unless the call ended with OK and each document has its outcome."""
        if isinstance(self.failure, grpc.RpcError):
            raise from_rpc_error(self.failure) from self.failure
        if self.failure is not None:
            raise self.failure
        if not self._ledger.is_done:
            raise IncompleteStreamError()
