"""Reads one page with a gRPC client that OpenTelemetry's own instrumentation wraps, sends the client's spans to a
collector, and prints the trace's id: what a Python service does that calls Tessera.

    traced_client.py SERVER COLLECTOR PAGE
"""

import pathlib
import sys

import grpc
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tessera.v1 import extraction_pb2, extraction_pb2_grpc, schema_pb2


def main():
    server, collector, page = sys.argv[1:]
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector, insecure=True)))
    trace.set_tracer_provider(provider)
    GrpcInstrumentorClient().instrument()
    request = extraction_pb2.ExtractRequest(
        files=[extraction_pb2.InputFile(content=pathlib.Path(page).read_bytes())],
        schema=schema_pb2.ExtractionSchema(document_type=schema_pb2.DOCUMENT_TYPE_RECEIPT),
    )
    with trace.get_tracer("traced_client").start_as_current_span("read a page") as span:
        with grpc.insecure_channel(server) as channel:
            for _ in extraction_pb2_grpc.ExtractionServiceStub(channel).Extract(request, timeout=60):
                pass
    provider.shutdown()
    # Exporting is traced too where it is a gRPC call; the id is that of the page's own trace.
    print(f"{span.get_span_context().trace_id:032x}")


if __name__ == "__main__":
    main()
