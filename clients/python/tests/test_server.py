"""The client, the examples and the interop cases that apply, against a real server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tessera import AsyncClient, Client, DeadlineExceededError, FieldCompleted
from tessera.v1 import extraction_pb2 as pb
from tessera.v1 import extraction_pb2_grpc, model_info_pb2, schema_pb2

HERE = Path(__file__).resolve().parents[1]
SAMPLES = HERE.parents[1] / "models" / "tessera-tiny" / "samples"
RECEIPT = SAMPLES / "receipt-01.png"
TIMEOUT_S = 120.0


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args], cwd=HERE, capture_output=True, text=True, timeout=TIMEOUT_S
    )


def test_extract_returns_the_document(client: Client) -> None:
    answer = client.extract(RECEIPT, document_type="receipt")
    assert answer.document is not None
    assert answer.document["DOCUMENT_TYPE"] == "receipt"
    field = answer.fields["/TOTAL_AMOUNT"]
    assert (field.value, field.normalized) == ("$5976.93", "5976.93")
    assert field.confidence is not None and 0 < field.confidence <= 1
    assert answer.completed.usage.output_tokens > 0
    assert answer.completed.timings.total > answer.completed.timings.time_to_first_token > 0


def test_many_at_once_give_what_one_gives(address: str) -> None:
    async def read() -> list[str]:
        async with AsyncClient(address) as client:
            page = (SAMPLES / "receipt-02.png").read_bytes()
            reads = [client.extract(page, document_type="receipt") for _ in range(3)]
            return [answer.text for answer in await asyncio.gather(*reads)]

    assert len(set(asyncio.run(read()))) == 1


def test_model_info_says_what_is_loaded(client: Client) -> None:
    status = client.model_info()
    assert status.state == model_info_pb2.SERVING_STATE_READY
    assert status.model and status.revision
    assert status.placements and status.limits.max_request_bytes > 0
    types = {schema.document_type for schema in status.capabilities.built_in_schemas}
    assert schema_pb2.DOCUMENT_TYPE_RECEIPT in types
    assert next(iter(client.watch_model_info())).model == status.model


def test_reflection_lists_the_service(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert "tessera.v1.ExtractionService" in services


# The cases of gRPC's interop descriptions that apply, by the bare stub: what the library does about them
# is in test_conformance and test_client. cancel_after_begin and cancel_after_first_response are there.


@pytest.fixture
def stub(client: Client) -> extraction_pb2_grpc.ExtractionServiceStub:
    return client.stub


def test_large_unary(stub: extraction_pb2_grpc.ExtractionServiceStub) -> None:
    """A request far above 4 MiB arrives whole: the server counts its files."""
    page = RECEIPT.read_bytes()
    # Bytes after the end of a PNG are no part of the picture.
    request = pb.ExtractRequest(files=[pb.InputFile(content=page + bytes(20 << 20))], prompt="Who?")
    request.generation.max_output_tokens = 2
    responses = list(stub.Extract(request, timeout=TIMEOUT_S))
    assert responses[-1].HasField("completed")


def test_too_large(stub: extraction_pb2_grpc.ExtractionServiceStub, client: Client) -> None:
    limit = client.model_info().limits.max_request_bytes
    request = pb.ExtractRequest(files=[pb.InputFile(content=bytes(limit))], prompt="Who?")
    channel = grpc.insecure_channel(
        client.target.address, [("grpc.max_send_message_length", -1)]
    )
    with channel, pytest.raises(grpc.RpcError) as caught:
        list(extraction_pb2_grpc.ExtractionServiceStub(channel).Extract(request, timeout=TIMEOUT_S))
    assert caught.value.code() == grpc.StatusCode.OUT_OF_RANGE


def test_timeout_on_sleeping_server(client: Client) -> None:
    with pytest.raises(DeadlineExceededError):
        client.extract(RECEIPT, document_type="receipt", timeout=0.001)


def test_custom_metadata(stub: extraction_pb2_grpc.ExtractionServiceStub) -> None:
    """Unknown metadata, binary too, is no reason to fail; the server's own arrives."""
    metadata = (("x-grpc-test-echo-initial", "a value"), ("x-grpc-test-echo-trailing-bin", b"\xab\x00"))
    call = stub.Extract(pb.ExtractRequest(prompt="?"), timeout=TIMEOUT_S, metadata=metadata)
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    assert "grpc-status-details-bin" in {key for key, _ in caught.value.trailing_metadata()}


def test_status_code_and_message(stub: extraction_pb2_grpc.ExtractionServiceStub) -> None:
    name = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfo(pb.ModelInfoRequest(model=name), timeout=TIMEOUT_S)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert "☺" in caught.value.details() and "😈" in caught.value.details()


def test_unimplemented(client: Client) -> None:
    with grpc.insecure_channel(client.target.address) as channel:
        for path in ("/tessera.v1.ExtractionService/NoSuchMethod", "/no.such.Service/Method"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(path)(b"", timeout=TIMEOUT_S)
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


# The quick start and the examples.


def test_the_quick_start_prints_the_answer(address: str) -> None:
    result = run("extract.py", RECEIPT, "--document-type", "receipt", "--address", address)
    assert result.returncode == 0, result.stderr
    assert "DOCUMENT_TYPE" in result.stdout
    assert "output tokens" in result.stderr


def test_the_quick_start_explains_failures(address: str) -> None:
    result = run("extract.py", __file__, "--document-type", "receipt", "--address", address)
    assert result.returncode == 1
    assert "INVALID_FIELD" in result.stderr and "files[0].content" in result.stderr


def test_example_batch_folder(address: str, tmp_path: Path) -> None:
    for name in ("receipt-01.png", "receipt-02.png"):
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    (tmp_path / "broken.png").write_bytes(b"no image")
    result = run("examples/batch_folder.py", tmp_path, "--address", address)
    lines = {Path(line["file"]).name: line for line in map(json.loads, result.stdout.splitlines())}
    assert result.returncode == 1, result.stderr
    assert lines["broken.png"]["reason"] == "INVALID_FIELD"
    assert lines["receipt-01.png"]["document"]["TOTAL_AMOUNT"] == "$5976.93"
    assert lines["receipt-02.png"]["document"]["DOCUMENT_TYPE"] == "receipt"


def test_example_watch_fields(address: str) -> None:
    result = run("examples/watch_fields.py", RECEIPT, address)
    assert result.returncode == 0, result.stderr
    assert "/TOTAL_AMOUNT" in result.stdout


def test_example_cancel(address: str) -> None:
    result = run("examples/cancel.py", RECEIPT, "/SUPPLIER_NAME", address)
    assert (result.returncode, result.stdout.strip()) == (0, "Racheal"), result.stderr


def test_example_deadline(address: str) -> None:
    result = run("examples/deadline.py", SAMPLES / "bank-statement-01.png", "0.001", address)
    assert result.returncode == 0, result.stderr
    assert "out of time" in result.stderr and json.loads(result.stdout) == {}


def test_leaving_early_leaves_the_server_working(client: Client) -> None:
    with client.stream(RECEIPT, document_type="receipt") as events:
        for event in events:
            if isinstance(event, FieldCompleted):
                break
    assert client.extract(RECEIPT, document_type="receipt").document is not None
