"""What a stream says, as frozen data classes: made for `match`, with Python's own types inside."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict

from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import schema_pb2


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _name(enum: Any, value: int, prefix: str) -> str:
    """`STOP` for `FINISH_REASON_STOP`; a value of a newer server is its number."""
    known = enum.DESCRIPTOR.values_by_number.get(value)
    return known.name.removeprefix(prefix) if known is not None else str(value)


@dataclass(frozen=True, slots=True)
class PageSource:
    """Where a page of the document came from."""

    #: Index into the files of the request.
    file: int
    #: Number of the page in its file; the first is 1.
    page: int
    #: As decoded or rendered, upright.
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int
    #: The part of `input_tokens` that came from pages.
    image_tokens: int
    output_tokens: int
    #: The part of `input_tokens` that was not computed again: an earlier request began alike.
    cached_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """Always first: the request is valid and has its place in the queue."""

    sequence: int
    request_id: str
    model: str
    model_revision: str
    #: W3C trace id, 32 hex digits. Empty: not traced.
    trace_id: str
    tiles_per_page: tuple[int, ...]
    input_tokens: int
    #: One for each page: where it came from.
    pages: tuple[PageSource, ...]
    #: The template of the question and its version, "receipt.json@1". Empty: a prompt of the caller's.
    prompt_template: str
    proto: pb.Accepted = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class DocumentTypeFound:
    """What kind of document the pages are; its fields follow. Only for `document_type="auto"`."""

    sequence: int
    #: "receipt", "invoice", "bank-statement".
    document_type: str
    #: 0 to 1, not calibrated: among all that the model could have written.
    confidence: float | None
    #: Of the question for the kind; `Completed.usage` is that of the fields.
    usage: Usage
    #: Of the question for the fields; `Accepted.prompt_template` is that for the kind.
    prompt_template: str
    proto: pb.DocumentTypeFound = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """A change of phase, or a sign of life."""

    sequence: int
    #: QUEUED, VISION, PREFILL, DECODE.
    phase: str
    #: Seconds since the server received the request.
    elapsed: float
    #: Requests ahead of this one; only in QUEUED.
    queue_position: int | None
    encoded_tiles: int
    #: Of `input_tokens`.
    prefilled_tokens: int
    output_tokens: int
    #: Of the prompt: `Accepted.input_tokens`, and behind `DocumentTypeFound` those of the question for the
    #: fields. 0: not counted yet.
    input_tokens: int
    proto: pb.Progress = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class TokenDelta:
    """The next piece of the raw output. All pieces joined are the whole."""

    sequence: int
    text: str
    token_count: int
    #: Of each token, where they were asked for: natural logarithm of its probability.
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldDelta:
    """The next piece of a string that is still being written."""

    sequence: int
    #: JSON Pointer: "/SUPPLIER_NAME".
    pointer: str
    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """One leaf of the document."""

    #: JSON Pointer: "/TOTAL_AMOUNT", "/ITEMS/0/PRICE".
    pointer: str
    #: JSON text as the model wrote it, so numbers keep all digits.
    raw: str
    #: 0 to 1; None: the server has none.
    confidence: float | None
    #: Of the least probable token of the value.
    min_token_probability: float | None
    #: In one form where it is understood: "5976.93", "2017-12-11". None: not, or not on the page.
    normalized: Any
    #: Index into `Accepted.pages`. None: the document has several, and it is not known which of them the value is from.
    page: int | None
    #: How the page is known: "ONLY_PAGE", "TEXT" or "ATTENTION"; "UNSPECIFIED" without a page.
    page_evidence: str
    #: For "ATTENTION", 0 to 1: of the attention that fell on pages while the value was written.
    page_share: float | None
    proto: pb.ExtractedField = field(repr=False, compare=False)

    @property
    def value(self) -> Any:
        """`raw` as Python has it."""
        return json.loads(self.raw)


@dataclass(frozen=True, slots=True)
class FieldCompleted:
    """A field is whole. It does not change, and stays true if the call fails later."""

    sequence: int
    field: Field


@dataclass(frozen=True, slots=True)
class Check:
    """Whether values agree with one another."""

    #: ABN_CHECKSUM, LINE_ITEMS_SUM, …
    rule: str
    passed: bool
    message: str
    pointers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds."""

    queue: float
    preprocess: float
    vision: float
    prefill: float
    decode: float
    time_to_first_token: float
    total: float


@dataclass(frozen=True, slots=True)
class Completed:
    """Always last of a call that succeeded."""

    sequence: int
    #: STOP: the model ended its answer. LENGTH: it was cut.
    finish_reason: str
    text: str
    #: The first JSON object in the output, as generated; None: see `document_error`.
    document_json: str | None
    document_error: str
    usage: Usage
    timings: Timings
    fields: tuple[Field, ...]
    checks: tuple[Check, ...]
    #: QUOTES, TRAILING_COMMA, …: what was mended to read the answer, each once.
    repairs: tuple[str, ...]
    proto: pb.Completed = field(repr=False, compare=False)

    @property
    def document(self) -> dict[str, Any] | None:
        """`document_json` as Python has it."""
        return None if self.document_json is None else json.loads(self.document_json)


@dataclass(frozen=True, slots=True)
class Extraction:
    """The whole answer of a call that succeeded."""

    accepted: Accepted
    completed: Completed

    @property
    def document(self) -> dict[str, Any] | None:
        """The JSON object that the model wrote. None: `completed.document_error` says why."""
        return self.completed.document

    @property
    def fields(self) -> dict[str, Field]:
        """By JSON Pointer, in output order."""
        return {field.pointer: field for field in self.completed.fields}

    @property
    def text(self) -> str:
        return self.completed.text


Event: TypeAlias = (
    Accepted | DocumentTypeFound | Progress | TokenDelta | FieldDelta | FieldCompleted | Completed
)


def from_response(response: pb.ExtractResponse) -> Event | None:
    """The event of a message; None for one of a newer server, which is to be skipped."""
    kind = response.WhichOneof("event")
    read = _READERS.get(kind or "")
    if read is None:
        return None
    event: Event = read(response.sequence, getattr(response, kind))
    return event


def _accepted(sequence: int, m: pb.Accepted) -> Accepted:
    return Accepted(
        sequence=sequence,
        request_id=m.request_id,
        model=m.model,
        model_revision=m.model_revision,
        trace_id=m.trace_id,
        tiles_per_page=tuple(m.tiles_per_page),
        input_tokens=m.input_tokens,
        pages=tuple(
            PageSource(each.file, each.page, each.width_px, each.height_px) for each in m.pages
        ),
        prompt_template=m.prompt_template,
        proto=m,
    )


def _document_type(sequence: int, m: pb.DocumentTypeFound) -> DocumentTypeFound:
    name = _name(schema_pb2.DocumentType, m.document_type, "DOCUMENT_TYPE_")
    return DocumentTypeFound(
        sequence=sequence,
        document_type=name.lower().replace("_", "-"),
        confidence=m.confidence if m.HasField("confidence") else None,
        usage=_usage(m.usage),
        prompt_template=m.prompt_template,
        proto=m,
    )


def _usage(m: pb.Usage) -> Usage:
    return Usage(m.input_tokens, m.image_tokens, m.output_tokens, m.cached_input_tokens)


def _progress(sequence: int, m: pb.Progress) -> Progress:
    return Progress(
        sequence=sequence,
        phase=_name(pb.Phase, m.phase, "PHASE_"),
        elapsed=_seconds(m.elapsed),
        queue_position=m.queue_position if m.HasField("queue_position") else None,
        encoded_tiles=m.encoded_tiles,
        prefilled_tokens=m.prefilled_tokens,
        output_tokens=m.output_tokens,
        input_tokens=m.input_tokens,
        proto=m,
    )


def _token_delta(sequence: int, m: pb.TokenDelta) -> TokenDelta:
    return TokenDelta(sequence, m.text, m.token_count, tuple(m.logprobs))


def _field_delta(sequence: int, m: pb.FieldDelta) -> FieldDelta:
    return FieldDelta(sequence, m.pointer, m.text)


def _field(m: pb.ExtractedField) -> Field:
    return Field(
        pointer=m.pointer,
        raw=m.raw,
        confidence=m.confidence if m.HasField("confidence") else None,
        min_token_probability=(
            m.min_token_probability if m.HasField("min_token_probability") else None
        ),
        normalized=MessageToDict(m.normalized) if m.HasField("normalized") else None,
        page=m.page if m.HasField("page") else None,
        page_evidence=_name(pb.PageEvidence, m.page_evidence, "PAGE_EVIDENCE_"),
        page_share=m.page_share if m.HasField("page_share") else None,
        proto=m,
    )


def _field_completed(sequence: int, m: pb.ExtractedField) -> FieldCompleted:
    return FieldCompleted(sequence, _field(m))


def _completed(sequence: int, m: pb.Completed) -> Completed:
    times = m.timings
    return Completed(
        sequence=sequence,
        finish_reason=_name(pb.FinishReason, m.finish_reason, "FINISH_REASON_"),
        text=m.text,
        document_json=m.document_json if m.HasField("document_json") else None,
        document_error=m.document_error,
        usage=_usage(m.usage),
        timings=Timings(
            queue=_seconds(times.queue),
            preprocess=_seconds(times.preprocess),
            vision=_seconds(times.vision),
            prefill=_seconds(times.prefill),
            decode=_seconds(times.decode),
            time_to_first_token=_seconds(times.time_to_first_token),
            total=_seconds(times.total),
        ),
        fields=tuple(_field(each) for each in m.fields),
        checks=tuple(
            Check(
                rule=_name(pb.CheckRule, each.rule, "CHECK_RULE_"),
                passed=each.passed,
                message=each.message,
                pointers=tuple(each.pointers),
            )
            for each in m.checks
        ),
        repairs=tuple(_name(pb.Repair, each, "REPAIR_") for each in m.repairs),
        proto=m,
    )


_READERS: dict[str, Any] = {
    "accepted": _accepted,
    "document_type": _document_type,
    "progress": _progress,
    "token_delta": _token_delta,
    "field_delta": _field_delta,
    "field_completed": _field_completed,
    "completed": _completed,
}
