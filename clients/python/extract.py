"""Reads one document with Tessera and prints the answer while it is written.

    python extract.py receipt.png --document-type receipt
    python extract.py page-1.png page-2.png --prompt 'Who sent this?'

The answer goes to standard output, everything else to standard error. Several files are the
pages of one document. Ctrl-C ends the call, and with it the work on the server.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tessera.v1 import extraction_pb2, extraction_pb2_grpc, schema_pb2

DOCUMENT_TYPES = {
    "receipt": schema_pb2.DOCUMENT_TYPE_RECEIPT,
    "invoice": schema_pb2.DOCUMENT_TYPE_INVOICE,
    "bank-statement": schema_pb2.DOCUMENT_TYPE_BANK_STATEMENT,
}

# The server's `Limits.max_request_bytes` of a default configuration.
REQUEST_BYTES_MAX = 64 << 20
RESPONSE_BYTES_MAX = 16 << 20

# UNAVAILABLE (loading, draining) before the first message is safe to try again. gRPC never
# repeats a call that has answered, so tokens do not come twice.
SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "tessera.v1.ExtractionService"}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.5s",
                "maxBackoff": "5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


class IncompleteStream(Exception):
    """The stream ended with OK but without `completed`: the answer is not whole."""


def open_channel(address: str) -> grpc.Channel:
    """A plaintext channel to `host:port`, with the limits and retries that Tessera asks for."""
    return grpc.insecure_channel(
        address,
        options=[
            ("grpc.max_send_message_length", REQUEST_BYTES_MAX),
            ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
            # A request larger than this is not tried again; the default is 256 KiB.
            ("grpc.per_rpc_retry_buffer_size", REQUEST_BYTES_MAX),
            ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ],
    )


def extract(
    stub: extraction_pb2_grpc.ExtractionServiceStub,
    request: extraction_pb2.ExtractRequest,
    timeout_s: float,
) -> Iterator[extraction_pb2.ExtractResponse]:
    """Yields the events of one call; the last one is `completed`.

    The deadline bounds the whole stream. Closing the iterator early cancels the call.
    """
    call = stub.Extract(request, timeout=timeout_s)
    completed = False
    try:
        for response in call:
            completed = response.WhichOneof("event") == "completed"
            yield response
        if not completed:
            raise IncompleteStream("the stream ended without `completed`")
    finally:
        call.cancel()  # No effect on a call that has ended.


def explain(error: grpc.RpcError) -> str:
    """The status of a failed call and its details, as text for people."""
    lines = [f"{error.code().name}: {error.details()}"]
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            metadata = "".join(f" {key}={value}" for key, value in sorted(info.metadata.items()))
            lines.append(f"  reason {info.reason} ({info.domain}){metadata}")
        elif detail.Unpack(bad_request):
            lines += [f"  {v.field}: {v.description}" for v in bad_request.field_violations]
        elif detail.Unpack(retry):
            lines.append(f"  try again in {retry.retry_delay.ToTimedelta().total_seconds():g} s")
    return "\n".join(lines)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "files", nargs="+", type=Path, help="PNG, JPEG, WebP or TIFF, in page order"
    )
    parser.add_argument("--address", default="localhost:50051", help="host:port (%(default)s)")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds (%(default)s)")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--document-type", choices=DOCUMENT_TYPES, help="extract this type's fields")
    task.add_argument("--prompt", help="ask this instead")
    return parser.parse_args()


def build_request(args: argparse.Namespace) -> extraction_pb2.ExtractRequest:
    request = extraction_pb2.ExtractRequest(
        files=[extraction_pb2.InputFile(content=file.read_bytes()) for file in args.files]
    )
    if args.prompt is not None:
        request.prompt = args.prompt
    else:
        request.schema.document_type = DOCUMENT_TYPES[args.document_type]
    return request


def main() -> int:
    args = parse_args()
    request = build_request(args)
    with open_channel(args.address) as channel:
        stub = extraction_pb2_grpc.ExtractionServiceStub(channel)
        try:
            for response in extract(stub, request, args.timeout):
                show(response)
        except grpc.RpcError as error:
            print(explain(error), file=sys.stderr)
            return 1
        except IncompleteStream as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


def show(response: extraction_pb2.ExtractResponse) -> None:
    event = response.WhichOneof("event")
    if event == "accepted":
        accepted = response.accepted
        print(
            f"{accepted.model}: {len(accepted.tiles_per_page)} page(s),"
            f" {accepted.input_tokens} input tokens, request {accepted.request_id}",
            file=sys.stderr,
        )
    elif event == "token_delta":
        print(response.token_delta.text, end="", flush=True)
    elif event == "completed":
        print(flush=True)
        completed = response.completed
        timings = completed.timings
        print(
            f"{extraction_pb2.FinishReason.Name(completed.finish_reason)}:"
            f" {completed.usage.output_tokens} output tokens,"
            f" first after {timings.time_to_first_token.ToTimedelta().total_seconds():.3f} s,"
            f" all after {timings.total.ToTimedelta().total_seconds():.3f} s",
            file=sys.stderr,
        )
        if completed.document_error:
            print(f"not a document: {completed.document_error}", file=sys.stderr)
    # Any other event, a newer server's included, is skipped.


if __name__ == "__main__":
    sys.exit(main())
