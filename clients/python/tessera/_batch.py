"""Many documents over one call: what both clients share."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from tessera._errors import TesseraError, from_batch_error
from tessera._events import Accepted, Completed, Event, Extraction, from_response
from tessera._request import Files, Task, build
from tessera.v1 import extraction_pb2 as pb

#: Documents on their way at once. `Limits.max_batch_in_flight` of a server is the most that it takes.
IN_FLIGHT = 16


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a batch, where it needs more than its files."""

    #: Its pages, in order.
    files: Files
    #: Names it in logs, traces and its events. Empty: `document-1`, `document-2`, …
    request_id: str = ""
    #: Keywords of `stream` that are its own, before those of the batch.
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
    #: A `TesseraError`; OSError, ValueError or TypeError where no request could be made of it.
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
    accepted: Accepted | None = None
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
    """Which documents are on their way, and what each message means for them. Not for threads."""

    def __init__(self, task: Mapping[str, Any], attempts: int, in_flight: int) -> None:
        if in_flight < 1:
            raise ValueError("in_flight is at least 1")
        self.task, self.attempts, self.in_flight = task, attempts, in_flight
        self.open: dict[str, Entry] = {}
        #: Documents that the server says to send again, with the time for it.
        self.again: deque[tuple[float, str]] = deque()
        self.taken = 0
        #: Nothing more comes from the caller.
        self.drained = False
        #: The server has said something.
        self.has_heard = False

    @property
    def has_room(self) -> bool:
        return len(self.open) < self.in_flight and not self.drained

    @property
    def is_done(self) -> bool:
        return self.drained and not self.open

    def prepare(self, source: BatchSource) -> Prepared:
        """The request for the next document. Reads files: not for an event loop, or under a lock."""
        index, self.taken = self.taken, self.taken + 1
        name = f"document-{index + 1}"
        try:
            request = self._request(source)
        except (OSError, ValueError, TypeError) as error:
            return Prepared(index, name, source, None, error)
        name = request.request_id = request.request_id or name
        return Prepared(index, name, source, request, None)

    def admit(self, prepared: Prepared) -> BatchEvent | pb.BatchExtractRequest:
        """The message for a document; an event where there is none."""
        name, error = prepared.request_id, prepared.error
        if name in self.open:
            error = ValueError(f"request_id {name!r} is on its way already: each needs its own")
        if error is not None or prepared.request is None:
            return BatchEvent(prepared.index, name, prepared.source, None, error)
        self.open[name] = Entry(prepared.index, prepared.source, prepared.request)
        return pb.BatchExtractRequest(extract=prepared.request)

    def _request(self, source: BatchSource) -> pb.ExtractRequest:
        if isinstance(source, pb.ExtractRequest):
            request = pb.ExtractRequest()
            request.CopyFrom(source)
            return request
        document = source if isinstance(source, Document) else Document(source)
        task: Any = {**self.task, **document.task}
        if document.request_id:
            task["request_id"] = document.request_id
        return build(document.files, task)

    def due(self, now: float) -> pb.BatchExtractRequest | None:
        """The message for a document whose time to be sent again has come."""
        while self.again and self.again[0][0] <= now:
            entry = self.open.get(self.again.popleft()[1])
            if entry is not None:
                return pb.BatchExtractRequest(extract=entry.request)
        return None

    def wait(self, now: float) -> float | None:
        """Seconds until `due` has something; None: nothing waits."""
        return max(0.0, self.again[0][0] - now) if self.again else None

    def cancel(self, request_id: str) -> pb.BatchExtractRequest | None:
        """The message that stops a document; None: it has its outcome."""
        entry = self.open.get(request_id)
        if entry is None:
            return None
        entry.cancelled = True
        return pb.BatchExtractRequest(cancel_request_id=request_id)

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
        if isinstance(event, Accepted):
            entry.accepted = event
        if isinstance(event, Completed):
            return self._outcome(entry, event, None)
        return BatchEvent(entry.index, message.request_id, entry.source, event)

    def _sends_again(self, entry: Entry, error: TesseraError, now: float) -> bool:
        """As a call of its own would be: what has answered never is."""
        final = entry.answered or entry.cancelled or entry.attempt >= self.attempts
        again = error.code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
        if final or not again or error.retry_after is None:
            return False
        entry.attempt += 1
        self.again.append((now + error.retry_after, entry.request.request_id))
        self.again = deque(sorted(self.again))
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
        answer = None
        if accepted is not None and isinstance(happened.event, Completed):
            answer = Extraction(accepted, happened.event)
        return BatchResult(
            happened.index, happened.request_id, happened.source, answer, happened.error
        )


def batch_task(task: Mapping[str, Any], *, pieces: bool) -> dict[str, Any]:
    """Keywords of all documents of a batch: nobody waits for one of them."""
    found = {"priority": "batch", **task}
    if not pieces:
        # Nobody sees the pieces: they need not be sent.
        found.setdefault("events", ("none",))
    return found
