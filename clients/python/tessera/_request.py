"""What to read, as people write it, turned into the request of the protocol."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, TypedDict, cast

import grpc

from tessera._channel import REQUEST_BYTES_MAX
from tessera._errors import FieldViolation, InvalidRequestError
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import schema_pb2


@dataclass(frozen=True, slots=True)
class Uri:
    """A file that the server fetches: `Uri("https://docs.example.com/receipt.png")`.

    Of an origin in `ModelInfo`'s `capabilities.uri_origins`; by default a server fetches nothing.
    """

    uri: str = field(repr=False)

    def __repr__(self) -> str:
        """Without what stands behind `?`: whoever has a signed URI has the file."""
        return f"Uri({self.uri.partition('?')[0]!r})"


#: A page file: a path, its bytes, an open file, or where the server finds it.
PageFile: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Uri"


@dataclass(frozen=True, slots=True)
class Pages:
    """Some pages of a PDF or multi-page TIFF: `Pages("statement.pdf", (1, 3), dpi=300)`."""

    file: PageFile
    #: In this order, each at most once; the first is 1. Empty: all.
    pages: tuple[int, ...] = ()
    #: At which pages of a PDF are rendered, 24 to 600. None: the server's choice, 200.
    dpi: int | None = None


Files: TypeAlias = "PageFile | Pages | Iterable[PageFile | Pages]"
EventKind: TypeAlias = Literal["tokens", "fields", "none"]
Priority: TypeAlias = Literal["interactive", "batch"]
AnswerStyle: TypeAlias = Literal["json", "key-value"]

_EVENT_KINDS = {
    "tokens": pb.EVENT_KIND_TOKENS,
    "fields": pb.EVENT_KIND_FIELDS,
    "none": pb.EVENT_KIND_NONE,
}

_ANSWER_STYLES = {
    "json": schema_pb2.ANSWER_STYLE_JSON,
    "key-value": schema_pb2.ANSWER_STYLE_KEY_VALUE,
}

_PRIORITIES = {
    "interactive": pb.PRIORITY_INTERACTIVE,
    "batch": pb.PRIORITY_BATCH,
}


class Task(TypedDict, total=False):
    """Keyword arguments of `stream` and `extract`: what is wanted of the document.

    One of `document_type`, `json_schema`, `schema` and `prompt` is required.
    """

    #: "receipt", "invoice", "bank-statement": its fields; "auto": the server finds out which.
    document_type: str
    #: JSON Schema of the document, as text or as what `json.dumps` takes.
    json_schema: str | Mapping[str, Any]
    #: The schema message itself, for what the others cannot say.
    schema: schema_pb2.ExtractionSchema
    #: Advice to the model about the whole document; with `document_type` or `json_schema`.
    instructions: str
    #: How the model writes, with `document_type` or `json_schema`: "json" (unset), or "key-value" for
    #: models that write lines better.
    answer_style: AnswerStyle
    #: Answer this text freely.
    prompt: str
    max_output_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop_sequences: list[str]
    max_tiles_per_page: int
    top_k: int
    min_p: float
    repetition_penalty: float
    #: Send `TokenDelta.logprobs`.
    logprobs: bool
    #: Hold the answer to the schema. Unset: where that can be.
    constrain: bool
    #: "interactive" (unset), or "batch": it takes what others leave.
    priority: Priority
    #: Unset: tokens, and fields where there is a schema.
    events: Iterable[EventKind]
    #: Names the call in logs and traces. Unset: the server makes one.
    request_id: str
    model: str


#: What a document is asked, of which a task has one; and what goes with the first two alone.
QUESTIONS = ("document_type", "json_schema", "schema", "prompt")
ADVICE = ("instructions", "answer_style")

#: What a message may have beside its files, and what a batch puts around it.
_AROUND_FILES = 1 << 20
_AROUND_MESSAGE = 16

_GENERATION = frozenset(pb.GenerationOptions.DESCRIPTOR.fields_by_name)


def build(files: Files, task: Task) -> pb.ExtractRequest:
    """The request. The server checks it: a wrong field fails the call and is named there."""
    unknown = set(task) - set(Task.__annotations__)
    if unknown:
        raise TypeError(f"unknown arguments: {', '.join(sorted(unknown))}")
    request = pb.ExtractRequest(
        request_id=task.get("request_id", ""),
        model=task.get("model", ""),
        files=[_input(file) for file in _many(files)],
        event_kinds=[_named(_EVENT_KINDS, "kind of event", kind) for kind in task.get("events", ())],
        priority=_named(_PRIORITIES, "priority", task["priority"]) if "priority" in task else None,
    )
    given = [name for name in QUESTIONS if name in task]
    if len(given) > 1:
        raise ValueError(f"give one of {' and '.join(given)}")
    advice = [name for name in ADVICE if task.get(name)]
    if advice and ("prompt" in task or "schema" in task):
        where = "the prompt itself" if "prompt" in task else "the schema's own fields"
        raise ValueError(f"{advice[0]} goes with document_type or json_schema: say it in {where}")
    if "prompt" in task:
        request.prompt = task["prompt"]
    elif "schema" in task:
        request.schema.CopyFrom(task["schema"])
    elif "json_schema" in task:
        schema = task["json_schema"]
        request.schema.json_schema = schema if isinstance(schema, str) else json.dumps(schema)
        _advise(request.schema, task)
    elif "document_type" in task:
        request.schema.document_type = _document_type(task["document_type"])
        _advise(request.schema, task)
    generation: dict[str, Any] = {name: task[name] for name in _GENERATION & set(task)}  # type: ignore[literal-required]
    if generation:
        request.generation.CopyFrom(pb.GenerationOptions(**generation))
    return request


def check_size(request: pb.ExtractRequest) -> None:
    """No server takes a larger message, and over a call that documents share it would end the call for all."""
    if sum(len(file.content) for file in request.files) < REQUEST_BYTES_MAX - _AROUND_FILES:
        return
    size = request.ByteSize()
    if size <= REQUEST_BYTES_MAX - _AROUND_MESSAGE:
        return
    wrong = f"{size} bytes are more than max_request_bytes, {REQUEST_BYTES_MAX}: send fewer pages, or smaller ones"
    raise InvalidRequestError(
        f"files: {wrong}",
        code=grpc.StatusCode.INVALID_ARGUMENT,
        reason="LIMIT_EXCEEDED",
        metadata={"limit": "max_request_bytes", "limit_value": str(REQUEST_BYTES_MAX), "value": str(size)},
        violations=(FieldViolation("files", wrong),),
    )


def _advise(schema: schema_pb2.ExtractionSchema, task: Task) -> None:
    schema.instructions = task.get("instructions", "")
    if "answer_style" in task:
        schema.answer_style = _named(_ANSWER_STYLES, "answer style", task["answer_style"])


def _many(files: Files) -> Iterable[PageFile | Pages]:
    one = isinstance(files, (str, bytes, bytearray, memoryview, os.PathLike, Pages, Uri))
    return [files] if one or hasattr(files, "read") else files  # type: ignore[list-item, return-value]


def _input(file: PageFile | Pages) -> pb.InputFile:
    if isinstance(file, Pages):
        whole = _input(file.file)
        whole.pages.extend(file.pages)
        if file.dpi is not None:
            whole.dpi = file.dpi
        return whole
    if isinstance(file, Uri):
        return pb.InputFile(uri=file.uri)
    return pb.InputFile(content=_content(file))


def _content(file: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO) -> bytes:
    if isinstance(file, (str, os.PathLike)):
        return Path(file).read_bytes()
    if isinstance(file, (bytes, bytearray, memoryview)):
        return bytes(file)
    return file.read()


def _document_type(name: str) -> schema_pb2.DocumentType:
    """By its name in the protocol, so that types of a newer protocol are known with it."""
    key = f"DOCUMENT_TYPE_{name.upper().replace('-', '_')}"
    values = schema_pb2.DocumentType.DESCRIPTOR.values_by_name
    if key not in values or values[key].number == 0:
        known = (value.name for value in values.values() if value.number != 0)
        names = (value.removeprefix("DOCUMENT_TYPE_").lower().replace("_", "-") for value in known)
        raise ValueError(f"unknown document type {name!r}: give one of {', '.join(names)}")
    return cast(schema_pb2.DocumentType, values[key].number)


def _named(known: Mapping[str, Any], what: str, name: str) -> Any:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}: give {', '.join(known)}")
    return known[name]
