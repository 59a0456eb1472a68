"""What both clients are made of: options, and what they make of the keywords of a call."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, Generic, TypedDict, TypeVar, Unpack, cast

from tessera import _channel as channel_
from tessera._batch import IN_FLIGHT
from tessera._call import Call
from tessera._ledger import Ledger
from tessera._request import Files, Task, build, check_size
from tessera.v1 import extraction_pb2 as pb

#: What the client gives for `stream`, `stream_batch` and `batch`, and what documents it takes.
StreamT = TypeVar("StreamT")
BatchStreamT = TypeVar("BatchStreamT")
BatchT = TypeVar("BatchT")
DocumentsT = TypeVar("DocumentsT")


class ClientOptions(TypedDict, total=False):
    """Keyword arguments of `Client` and `AsyncClient`, which say what they mean."""

    token: channel_.Token | None
    tls: channel_.TLS | bool | None
    timeout: float
    attempts: int
    metadata: channel_.Metadata
    keepalive: float


class Settings(Generic[StreamT, BatchStreamT, BatchT, DocumentsT]):
    """A client, but for what waits."""

    def __init__(
        self,
        target: str = "localhost:50051",
        *,
        token: channel_.Token | None = None,
        tls: channel_.TLS | bool | None = None,
        timeout: float = channel_.TIMEOUT_S,
        attempts: int = channel_.ATTEMPTS,
        metadata: channel_.Metadata = (),
        keepalive: float = channel_.KEEPALIVE_S,
    ) -> None:
        """
        `target` is `host:port`, or a URL, where `https` means TLS. `token` is a bearer token, or how
        to get one for each call. `timeout`, in seconds, bounds calls that name none; `math.inf` is no
        bound. A call that fails before its first event, and that the server says may be tried again,
        is tried up to `attempts` times. `metadata` goes with every call. After `keepalive` seconds of
        silence the server is asked whether it is still there.
        """
        self.target = channel_.Target.parse(target, tls)
        self.timeout = timeout
        self.attempts = max(1, attempts)
        self.keepalive = keepalive
        self._token = token
        self._own_metadata = metadata

    def stream(
        self,
        files: Files,
        *,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> StreamT:
        """Reads one document; its events come as they happen. `files` are its pages, in order."""
        return self.stream_request(build(files, task), timeout=timeout, metadata=metadata)

    def stream_request(
        self,
        request: pb.ExtractRequest,
        *,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
    ) -> StreamT:
        """As `stream`, for a request of the protocol itself."""
        check_size(request)
        return self._stream(request, self.call(timeout, metadata))

    def batch(
        self,
        documents: DocumentsT,
        *,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> BatchT:
        """Reads many documents over one call and returns each outcome as it comes, in no order.

        `documents` are taken as there is room: at most `in_flight` are on their way. Keywords are
        those of `stream`, for all of them. A document that fails is a result with `error`, and the
        others go on; only a failure of the whole call is raised. `timeout` bounds the whole call.
        """
        events = self.stream_batch(
            documents, in_flight=in_flight, timeout=timeout, metadata=metadata, **unseen(task)
        )
        return self._batch(events)

    def stream_batch(
        self,
        documents: DocumentsT,
        *,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
        metadata: channel_.Metadata = (),
        **task: Unpack[Task],
    ) -> BatchStreamT:
        """As `batch`, with all events of every document as they happen."""
        call = self.unbounded_call(timeout, metadata)
        # Nobody waits for one of them.
        shared: Mapping[str, Any] = {"priority": "batch", **task}
        return self._stream_batch(documents, Ledger(shared, self.attempts, in_flight, call.end), call)

    def call(self, timeout: float | None, metadata: channel_.Metadata) -> Call:
        return Call(time.monotonic() + (self.timeout if timeout is None else timeout), metadata)

    def unbounded_call(self, timeout: float | None, metadata: channel_.Metadata) -> Call:
        """Of a call that is as long as its caller makes it: without `timeout` it has no end."""
        return Call(math.inf if timeout is None else time.monotonic() + timeout, metadata)

    def arguments(self, call: Call) -> dict[str, Any]:
        """Of the stub's methods, beside the request."""
        metadata = channel_.call_metadata(self._token, [*self._own_metadata, *call.metadata])
        return {"timeout": call.left(), "metadata": metadata}

    def _stream(self, request: pb.ExtractRequest, call: Call) -> StreamT:
        raise NotImplementedError

    def _stream_batch(self, documents: DocumentsT, ledger: Ledger, call: Call) -> BatchStreamT:
        raise NotImplementedError

    def _batch(self, events: BatchStreamT) -> BatchT:
        raise NotImplementedError


def unseen(task: Task) -> Task:
    """Of an answer that is wanted as a whole: nobody sees the pieces, and they need not be sent."""
    return cast(Task, {"events": ("none",), **task})
