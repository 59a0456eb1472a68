"""Client of Tessera, a gRPC server that reads documents with InternVL3.

    from tessera import Client

    with Client("localhost:50051") as client:
        print(client.extract("receipt.png", document_type="receipt").document)

`AsyncClient` is the same for asyncio. The messages of the protocol are in `tessera.v1`.
"""

from tessera._aio import AsyncClient, AsyncStream
from tessera._batch import BatchEvent, BatchResult, BatchSource, Document
from tessera._batch_aio import AsyncBatch, AsyncBatchStream
from tessera._batch_sync import Batch, BatchStream
from tessera._channel import TLS
from tessera._client import Client, Stream
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
    Extraction,
    Field,
    FieldCompleted,
    FieldDelta,
    PageSource,
    Progress,
    Timings,
    TokenDelta,
    Usage,
)
from tessera._request import Files, PageFile, Pages, Task, Uri
from tessera._settings import ClientOptions

__all__ = [
    "TLS",
    "Accepted",
    "AsyncBatch",
    "AsyncBatchStream",
    "AsyncClient",
    "AsyncStream",
    "AuthenticationError",
    "Batch",
    "BatchEvent",
    "BatchResult",
    "BatchSource",
    "BatchStream",
    "CallCancelledError",
    "Check",
    "Client",
    "ClientOptions",
    "Completed",
    "DeadlineExceededError",
    "Document",
    "DocumentTypeFound",
    "Event",
    "Extraction",
    "Field",
    "FieldCompleted",
    "FieldDelta",
    "FieldViolation",
    "Files",
    "IncompleteStreamError",
    "InvalidRequestError",
    "ModelNotFoundError",
    "OverloadedError",
    "PageFile",
    "PageSource",
    "Pages",
    "Progress",
    "ServerError",
    "Stream",
    "Task",
    "TesseraError",
    "Timings",
    "TokenDelta",
    "UnavailableError",
    "Uri",
    "Usage",
]
