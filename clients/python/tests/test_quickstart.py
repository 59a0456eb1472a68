"""The quick start and the contract it relies on, against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

from extract import explain, extract, open_channel
from tessera.v1 import extraction_pb2, extraction_pb2_grpc, model_info_pb2, schema_pb2

HERE = Path(__file__).resolve().parents[1]
SAMPLE = HERE.parents[1] / "models" / "tessera-tiny" / "samples" / "receipt-01.png"
TIMEOUT_S = 120.0

Stub = extraction_pb2_grpc.ExtractionServiceStub
M = TypeVar("M", bound=Message)


def receipt() -> extraction_pb2.ExtractRequest:
    return extraction_pb2.ExtractRequest(
        request_id="python-quick-start",
        files=[extraction_pb2.InputFile(content=SAMPLE.read_bytes())],
        schema=schema_pb2.ExtractionSchema(document_type=schema_pb2.DOCUMENT_TYPE_RECEIPT),
    )


def refusal(stub: Stub, request: extraction_pb2.ExtractRequest) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        list(extract(stub, request, TIMEOUT_S))
    return caught.value


def error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    return detail(error, error_details_pb2.ErrorInfo())


def detail(error: grpc.RpcError, message: M) -> M:
    """The one detail of `message`'s type."""
    status = rpc_status.from_call(error)
    assert status is not None, "no google.rpc.Status in the trailers"
    found = [any_ for any_ in status.details if any_.Is(message.DESCRIPTOR)]
    assert len(found) == 1, status
    found[0].Unpack(message)
    return message


def test_the_example_prints_the_answer(address: str) -> None:
    result = subprocess.run(
        [sys.executable, HERE / "extract.py", SAMPLE, "--document-type", "receipt"]
        + ["--address", address],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert result.returncode == 0, result.stderr
    assert "DOCUMENT_TYPE" in result.stdout
    assert "output tokens" in result.stderr


def test_the_stream_keeps_the_contract(stub: Stub) -> None:
    responses = list(extract(stub, receipt(), TIMEOUT_S))

    assert [r.sequence for r in responses] == list(range(1, len(responses) + 1))
    events = [r.WhichOneof("event") for r in responses]
    assert events[0] == "accepted" and events.count("accepted") == 1
    assert events[-1] == "completed" and events.count("completed") == 1

    accepted = responses[0].accepted
    assert accepted.request_id == "python-quick-start"
    assert len(accepted.tiles_per_page) == 1 and accepted.input_tokens > 0

    completed = responses[-1].completed
    deltas = [r.token_delta for r in responses if r.WhichOneof("event") == "token_delta"]
    assert len(deltas) > 1, "the answer came in one piece"
    assert "".join(delta.text for delta in deltas) == completed.text
    assert completed.finish_reason == extraction_pb2.FINISH_REASON_STOP
    assert completed.usage.input_tokens == accepted.input_tokens
    assert sum(delta.token_count for delta in deltas) <= completed.usage.output_tokens

    assert completed.HasField("document_json"), completed.document_error
    assert json.loads(completed.document_json)["DOCUMENT_TYPE"] == "receipt"


def test_fields_complete_while_the_answer_is_written(stub: Stub) -> None:
    responses = list(extract(stub, receipt(), TIMEOUT_S))
    events = [r.WhichOneof("event") for r in responses]
    fields = {
        response.field_completed.pointer: index
        for index, response in enumerate(responses)
        if events[index] == "field_completed"
    }
    last_token = len(events) - 1 - events[::-1].index("token_delta")
    assert fields["/SUPPLIER_NAME"] < last_token, "the supplier comes before the rest is written"

    completed = responses[-1].completed
    assert {field.pointer for field in completed.fields} == set(fields)
    document = json.loads(completed.document_json)
    for field in completed.fields:
        assert field.value.string_value == document[field.pointer.removeprefix("/")]
        assert 0 < field.min_token_probability <= field.confidence <= 1, field
    assert responses[fields["/INVOICE_DATE"]].field_completed.normalized.string_value == "2017-12-11"


def test_greedy_answers_repeat(stub: Stub) -> None:
    first, second = (list(extract(stub, receipt(), TIMEOUT_S))[-1].completed for _ in range(2))
    assert first.text == second.text


def test_an_abandoned_call_leaves_the_server_working(stub: Stub) -> None:
    events = extract(stub, receipt(), TIMEOUT_S)
    assert next(events).WhichOneof("event") == "accepted"
    events.close()
    assert list(extract(stub, receipt(), TIMEOUT_S))[-1].HasField("completed")


def test_event_kind_none_sends_no_tokens(stub: Stub) -> None:
    request = receipt()
    request.event_kinds.append(extraction_pb2.EVENT_KIND_NONE)
    events = [r.WhichOneof("event") for r in extract(stub, request, TIMEOUT_S)]
    assert set(events) <= {"accepted", "progress", "completed"}


def test_an_empty_request_names_every_bad_field(stub: Stub) -> None:
    error = refusal(stub, extraction_pb2.ExtractRequest())
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    info = error_info(error)
    assert (info.domain, info.reason) == ("tessera", "INVALID_FIELD")
    violations = detail(error, error_details_pb2.BadRequest()).field_violations
    fields = {violation.field for violation in violations}
    assert {"files", "task"} <= fields, fields
    assert all(violation.description for violation in violations)


def test_an_unknown_model_is_not_found(stub: Stub) -> None:
    request = receipt()
    request.model = "no-such-model"
    error = refusal(stub, request)
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert error_info(error).reason == "MODEL_NOT_FOUND"


def test_a_file_that_is_no_image_is_refused(stub: Stub) -> None:
    request = receipt()
    request.files[0].content = b"not an image"
    error = refusal(stub, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(error).domain == "tessera"


def test_model_info_says_what_is_loaded(stub: Stub) -> None:
    status = stub.ModelInfo(extraction_pb2.ModelInfoRequest(), timeout=TIMEOUT_S).status
    assert status.state == model_info_pb2.SERVING_STATE_READY
    assert status.model and status.revision
    assert status.placements and status.limits.max_request_bytes > 0
    types = {schema.document_type for schema in status.capabilities.built_in_schemas}
    assert schema_pb2.DOCUMENT_TYPE_RECEIPT in types


def test_reflection_lists_the_service(address: str) -> None:
    with open_channel(address) as channel:
        services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert "tessera.v1.ExtractionService" in services


def test_explain_prints_the_details() -> None:
    """Needs no server."""
    status = status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="two fields are bad")
    details = [
        error_details_pb2.ErrorInfo(reason="INVALID_FIELD", domain="tessera", metadata={"n": "2"}),
        error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field="files", description="is empty")
            ]
        ),
    ]
    for message in details:
        status.details.add().Pack(message)
    text = explain(FakeError(status))
    assert text.splitlines() == [
        "INVALID_ARGUMENT: two fields are bad",
        "  reason INVALID_FIELD (tessera) n=2",
        "  files: is empty",
    ]


class FakeError(grpc.RpcError):
    """A failed call as the client library presents it."""

    def __init__(self, status: status_pb2.Status) -> None:
        self._status = status

    def code(self) -> grpc.StatusCode:
        return next(c for c in grpc.StatusCode if c.value[0] == self._status.code)

    def details(self) -> str:
        return self._status.message

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return (("grpc-status-details-bin", self._status.SerializeToString()),)
