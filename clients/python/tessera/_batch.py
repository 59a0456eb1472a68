"""Many documents over one call: what both clients take and give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tessera._call import Answer
from tessera._errors import TesseraError
from tessera._events import Completed, Event, Extraction
from tessera._request import Files, Task
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


class Outcomes:
    """Makes outcomes of events."""

    def __init__(self) -> None:
        self._answers: dict[int, Answer] = {}

    def result(self, happened: BatchEvent) -> BatchResult | None:
        """None: the document goes on."""
        answer = self._answers.setdefault(happened.index, Answer())
        answer.add(happened.event)
        if not happened.is_outcome:
            return None
        del self._answers[happened.index]
        whole, error = None, happened.error
        if error is None:
            try:
                whole = answer.whole()
            except TesseraError as incomplete:
                error = incomplete
        return BatchResult(happened.index, happened.request_id, happened.source, whole, error)
