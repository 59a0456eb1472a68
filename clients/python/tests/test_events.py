"""The typed events against the protocol: what a message says is there under the same name, and a field that is
added to the protocol is missed here."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

import tessera
from tessera import _events
from tessera._request import Pages, Task, Uri, build
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import schema_pb2

TYPED = [
    (pb.Accepted, tessera.Accepted),
    (pb.PageSource, tessera.PageSource),
    (pb.DocumentTypeFound, tessera.DocumentTypeFound),
    (pb.Progress, tessera.Progress),
    (pb.TokenDelta, tessera.TokenDelta),
    (pb.FieldDelta, tessera.FieldDelta),
    (pb.ExtractedField, tessera.Field),
    (pb.Completed, tessera.Completed),
    (pb.Check, tessera.Check),
    (pb.Usage, tessera.Usage),
    (pb.Timings, tessera.Timings),
]


@pytest.mark.parametrize(("message", "typed"), TYPED, ids=lambda each: each.DESCRIPTOR.name if hasattr(each, "DESCRIPTOR") else "")
def test_every_field_of_a_message_has_its_typed_one(message: Any, typed: type) -> None:
    names = {field.name for field in dataclasses.fields(typed)} | set(vars(typed))
    missing = set(message.DESCRIPTOR.fields_by_name) - names
    assert not missing, f"{typed.__name__} has not: {missing}"


def test_every_event_of_a_response_is_typed() -> None:
    kinds = {field.name for field in pb.ExtractResponse.DESCRIPTOR.oneofs_by_name["event"].fields}
    assert kinds == set(_events._READERS)


def test_every_option_of_a_request_is_an_argument() -> None:
    arguments = set(get_type_hints(Task))
    assert set(pb.GenerationOptions.DESCRIPTOR.fields_by_name) <= arguments
    # Lists of fields are said by the message itself, or as JSON Schema.
    schema = set(schema_pb2.ExtractionSchema.DESCRIPTOR.fields_by_name) - {"field_list"}
    assert schema <= arguments
    request = set(pb.ExtractRequest.DESCRIPTOR.fields_by_name)
    assert request - {"files", "generation", "event_kinds"} <= arguments
    file = set(pb.InputFile.DESCRIPTOR.fields_by_name) - {"content", "uri"}
    assert file <= {field.name for field in dataclasses.fields(Pages)}


def filled(descriptor: Descriptor) -> dict[str, Any]:
    """A value for each field that is none by default."""
    return {field.name: [one(field)] if field.is_repeated else one(field) for field in descriptor.fields}


def one(field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Value":
            return {"string_value": "2017-12-11"}
        return filled(field.message_type)
    if field.enum_type is not None:
        return 1
    if field.type == FieldDescriptor.TYPE_BOOL:
        return True
    if field.type == FieldDescriptor.TYPE_STRING:
        return '{"A": 1}'
    return 0.5 if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE) else 7


@pytest.mark.parametrize("kind", sorted(_events._READERS))
def test_what_a_message_says_comes_over(kind: str) -> None:
    message = getattr(pb.ExtractResponse(), kind).DESCRIPTOR
    response = pb.ExtractResponse(sequence=3, **{kind: filled(message)})
    event = _events.from_response(response)
    assert event is not None and event.sequence == 3
    typed = event.field if isinstance(event, tessera.FieldCompleted) else event
    for field in message.fields:
        value = getattr(typed, field.name)
        assert value or value == 0, f"{field.name} is {value!r}"
    if isinstance(event, tessera.Accepted):
        assert event.pages == (tessera.PageSource(7, 7, 7, 7),)
    if isinstance(event, tessera.Completed):
        assert event.usage == tessera.Usage(7, 7, 7, 7)
        assert event.repairs == ("QUOTES",)
        assert event.fields[0].page == 7
        assert event.timings.total == pytest.approx(7.000000007)


def test_pages_and_styles_are_said() -> None:
    task: Task = {"document_type": "receipt", "answer_style": "key-value"}
    request = build([Pages(b"a PDF", (3, 1), dpi=300), b"a page"], task)
    assert request.schema.answer_style == schema_pb2.ANSWER_STYLE_KEY_VALUE
    first, second = request.files
    assert (first.content, list(first.pages), first.dpi) == (b"a PDF", [3, 1], 300)
    assert (second.content, list(second.pages), second.HasField("dpi")) == (b"a page", [], False)
    assert build(Pages(b"alone"), {"prompt": "?"}).files[0].content == b"alone"
    uri = "https://docs.example.com/statement.pdf?signature=1"
    named, some = build([Uri(uri), Pages(Uri(uri), (2,), dpi=150)], task).files
    assert (named.uri, named.content, list(named.pages)) == (uri, b"", [])
    assert (some.uri, some.content, list(some.pages), some.dpi) == (uri, b"", [2], 150)
    assert build(Uri(uri), task).files[0].uri == uri
    assert repr(Uri(uri)) == "Uri('https://docs.example.com/statement.pdf')"
    with pytest.raises(ValueError, match="answer style 'yaml'"):
        build(b"", {"document_type": "receipt", "answer_style": "yaml"})  # type: ignore[typeddict-item]
