"""Client of Tessera, a gRPC server that reads documents with InternVL3.

    from tessera import Client

    with Client("localhost:50051") as client:
        print(client.extract("receipt.png", document_type="receipt").document)

`AsyncClient` is the same for asyncio. The messages of the protocol are in `tessera.v1`.
"""

from tessera._aio import AsyncClient, AsyncStream
from tessera._channel import TLS
from tessera._client import Client, Extraction, Stream
from tessera._errors import (
    AuthenticationError,
    CallCancelledError,
    DeadlineExceededError,
    FieldViolation,
    IncompleteStreamError,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    ServerError,
    TesseraError,
    UnavailableError,
)
from tessera._events import (
    Accepted,
    Check,
    Completed,
    DocumentTypeFound,
    Event,
    Field,
    FieldCompleted,
    FieldDelta,
    Progress,
    Timings,
    TokenDelta,
    Usage,
)

__all__ = [
    "TLS",
    "Accepted",
    "AsyncClient",
    "AsyncStream",
    "AuthenticationError",
    "CallCancelledError",
    "Check",
    "Client",
    "Completed",
    "DeadlineExceededError",
    "DocumentTypeFound",
    "Event",
    "Extraction",
    "Field",
    "FieldCompleted",
    "FieldDelta",
    "FieldViolation",
    "IncompleteStreamError",
    "InvalidRequestError",
    "ModelNotFoundError",
    "OverloadedError",
    "Progress",
    "ServerError",
    "Stream",
    "TesseraError",
    "Timings",
    "TokenDelta",
    "UnavailableError",
    "Usage",
]
