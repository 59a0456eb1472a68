"""The rules of one call, for threads and for asyncio alike: what its messages mean, whether its answer is whole, and
when it is tried again. Nothing here waits or sends."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from dataclasses import dataclass
from typing import Any

import grpc

from tessera._channel import Metadata
from tessera._errors import IncompleteStreamError, OverloadedError, from_rpc_error
from tessera._events import Accepted, Completed, Event, Extraction, from_response
from tessera.v1 import extraction_pb2 as pb


@dataclass(frozen=True, slots=True)
class Call:
    """What belongs to one call beside its request."""

    end: float
    metadata: Metadata

    def left(self) -> float | None:
        """Seconds; None: there is no end."""
        return None if math.isinf(self.end) else max(0.001, self.end - time.monotonic())

    def has(self, seconds: float) -> bool:
        return time.monotonic() + seconds < self.end


class Current:
    """The call of gRPC that a stream reads, of several where it is tried again."""

    def __init__(self, closed: threading.Event | asyncio.Event) -> None:
        self._closed = closed
        self._rpc: Any = None

    def begin(self, rpc: Any) -> None:
        self._rpc = rpc
        if self._closed.is_set():
            rpc.cancel()

    def end(self) -> None:
        self._closed.set()
        if self._rpc is not None:
            self._rpc.cancel()  # No effect on a call that has ended.


class Attempts:
    """How far the answer to one request has come, and how often it may be asked for."""

    def __init__(self, call: Call, attempts: int) -> None:
        self._call = call
        self._attempts_left = attempts - 1
        self._answered = self._completed = False

    def heard(self, response: pb.ExtractResponse) -> Event | None:
        """None for an event of a newer server, which is to be skipped."""
        event = from_response(response)
        if event is not None:
            self._answered, self._completed = True, isinstance(event, Completed)
        return event

    def ended(self) -> None:
        """With OK, which alone is no success."""
        if not self._completed:
            raise IncompleteStreamError()

    def failed(self, cause: grpc.RpcError) -> float:
        """Seconds to wait before the call is tried again; raises where it must not be. UNAVAILABLE is tried
        again by gRPC itself; a full queue says when to come back."""
        error = from_rpc_error(cause)
        delay = error.retry_after
        final = self._answered or self._attempts_left < 1 or not isinstance(error, OverloadedError)
        if final or delay is None or not self._call.has(delay):
            raise error from cause
        self._attempts_left -= 1
        return delay


class Answer:
    """The whole answer about one document, of its events."""

    def __init__(self) -> None:
        self._accepted: Accepted | None = None
        self._completed: Completed | None = None

    def add(self, event: Event | None) -> None:
        if isinstance(event, Accepted):
            self._accepted = event
        elif isinstance(event, Completed):
            self._completed = event

    def whole(self) -> Extraction:
        if self._accepted is None or self._completed is None:
            raise IncompleteStreamError()
        return Extraction(self._accepted, self._completed)
