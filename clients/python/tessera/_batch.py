"""Many documents over one call: what both clients share."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from tessera._errors import (
    CallCancelledError,
    IncompleteStreamError,
    TesseraError,
    from_batch_error,
)
from tessera._events import Accepted, Completed, Event, Extraction, from_response
from tessera._request import ADVICE, QUESTIONS, Files, Task, build
from tessera.v1 import extraction_pb2 as pb

#: Documents on their way at once. `Limits.max_batch_in_flight` of a server is the most that it takes.
IN_FLIGHT = 16
#: Messages that are received before they are read.
AHEAD = 8


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a batch, where it needs more than its files."""

    #: Its pages, in order.
    files: Files
    #: Names it in logs, traces and its events. Empty: `document-1`, `document-2`, …
    request_id: str = ""
    #: Keywords of `stream` that are its own, before those of the batch; a `prompt`, say, before its
    #: `document_type`.
    task: Task = field(default_factory=lambda: Task())


#: What a batch is made of: the pages of a document, or more about it, or the request itself.
BatchSource: TypeAlias = "Document | pb.ExtractRequest | Files"


@dataclass(frozen=True, slots=True)
class BatchEvent:
    """What happened to one document. `Completed` or an error is its last."""

    #: Which one it was of those given, from 0.
    index: int
    request_id: str
    #: What was given.
    source: Any = field(repr=False, compare=False)
    event: Event | None
    #: A `TesseraError`. Where no request could be made of it: what reading its files raised, ValueError
    #: or TypeError.
    error: Exception | None = None

    @property
    def is_outcome(self) -> bool:
        """Whether nothing follows for this document."""
        return self.error is not None or isinstance(self.event, Completed)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outcome of one document: `answer`, or `error`."""

    index: int
    request_id: str
    source: Any = field(repr=False, compare=False)
    answer: Extraction | None
    error: Exception | None

    def unwrap(self) -> Extraction:
        """The answer; raises the error where there is none."""
        if self.answer is None:
            raise self.error or RuntimeError("neither an answer nor an error")
        return self.answer


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


class Outcomes:
    """Makes outcomes of events."""

    def __init__(self) -> None:
        self._accepted: dict[int, Accepted] = {}

    def result(self, happened: BatchEvent) -> BatchResult | None:
        """None: the document goes on."""
        if isinstance(happened.event, Accepted):
            self._accepted[happened.index] = happened.event
        if not happened.is_outcome:
            return None
        accepted = self._accepted.pop(happened.index, None)
        answer, error = None, happened.error
        if accepted is not None and isinstance(happened.event, Completed):
            answer = Extraction(accepted, happened.event)
        elif error is None:
            error = IncompleteStreamError()
        return BatchResult(happened.index, happened.request_id, happened.source, answer, error)


def batch_task(task: Mapping[str, Any], *, pieces: bool) -> dict[str, Any]:
    """Keywords of all documents of a batch: nobody waits for one of them."""
    found = {"priority": "batch", **task}
    if not pieces:
        # Nobody sees the pieces: they need not be sent.
        found.setdefault("events", ("none",))
    return found
