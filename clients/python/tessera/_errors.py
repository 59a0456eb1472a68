"""Failures: the status of a call, with the details that Tessera sends beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from tessera.v1 import extraction_pb2 as pb

_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that is wrong, and how."""

    field: str
    description: str


class TesseraError(Exception):
    """A call that failed. Events that came before stay true."""

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        #: `ErrorInfo.reason`: "QUEUE_FULL", "INVALID_FIELD", … Empty: the server sent none.
        self.reason = reason
        #: `ErrorInfo.metadata`: limits, values, steps; `wrong_fields` where more are wrong than are named.
        self.metadata: dict[str, str] = dict(metadata or {})
        #: `BadRequest`: the fields that are wrong, at most 12.
        self.violations = violations
        #: `RetryInfo`, seconds: when the same call may succeed. None: it would fail again.
        self.retry_after = retry_after

    def __str__(self) -> str:
        name = self.code.name + (f" ({self.reason})" if self.reason else "")
        lines = [f"{name}: {self.message}"]
        said = (each.field + (f": {each.description}" if each.description else "") for each in self.violations)
        # The server's own message is its violations, joined.
        lines += [f"  {violation}" for violation in said if violation not in self.message]
        lines += [f"  {key}: {value}" for key, value in sorted(self.metadata.items())]
        if self.retry_after is not None:
            lines.append(f"  try again in {self.retry_after:g} s")
        return "\n".join(lines)


class InvalidRequestError(TesseraError):
    """The request is wrong, or beyond a limit: `violations` and `metadata` say where."""


class ModelNotFoundError(TesseraError):
    """The server has another model."""


class AuthenticationError(TesseraError):
    """There is no token, or one that may not do this."""


class OverloadedError(TesseraError):
    """A full queue (`retry_after` is set), a reader too slow, or no memory for this request."""


class UnavailableError(TesseraError):
    """Loading, draining, or not reached. Before the first event it was tried again already."""


class DeadlineExceededError(TesseraError):
    """The time that the caller gave is over; `metadata` names the phase."""


class CallCancelledError(TesseraError):
    """The caller, or somebody between, ended the call."""


class ServerError(TesseraError):
    """The model or the server failed: NON_FINITE_LOGITS, GIBBERISH, REPETITION, DEVICE_ERROR, …"""


class IncompleteStreamError(TesseraError):
    """The stream ended with OK but without `Completed`: the answer is not whole."""

    def __init__(self) -> None:
        super().__init__(
            "the stream ended without `completed`", code=grpc.StatusCode.DATA_LOSS
        )


def left_by_caller() -> CallCancelledError:
    """Of a call that its own caller ended."""
    return CallCancelledError("the call was ended by its caller", code=grpc.StatusCode.CANCELLED)


_CLASSES: dict[grpc.StatusCode, type[TesseraError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: ModelNotFoundError,
    grpc.StatusCode.UNAUTHENTICATED: AuthenticationError,
    grpc.StatusCode.PERMISSION_DENIED: AuthenticationError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.CANCELLED: CallCancelledError,
    grpc.StatusCode.INTERNAL: ServerError,
    grpc.StatusCode.UNKNOWN: ServerError,
    grpc.StatusCode.DATA_LOSS: ServerError,
}


def from_rpc_error(error: Any) -> TesseraError:
    """The exception for a failed call of `grpc` or `grpc.aio`."""
    code = error.code()
    reason, metadata, retry_after = "", {}, None
    violations: list[FieldViolation] = []
    for detail in _details(error.trailing_metadata() or ()):
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad_request):
            violations += [
                FieldViolation(each.field, each.description)
                for each in bad_request.field_violations
            ]
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return _CLASSES.get(code, TesseraError)(
        error.details() or "",
        code=code,
        reason=reason,
        metadata=metadata,
        violations=tuple(violations),
        retry_after=retry_after,
    )


_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def from_batch_error(error: pb.ExtractError) -> TesseraError:
    """The exception for a document of a batch: the same that a call of its own would have raised."""
    code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
    after = error.retry_after
    return _CLASSES.get(code, TesseraError)(
        error.message,
        code=code,
        reason=error.reason,
        metadata=error.metadata,
        violations=_violations(error),
        retry_after=after.seconds + after.nanos / 1e9 if error.HasField("retry_after") else None,
    )


def _violations(error: pb.ExtractError) -> tuple[FieldViolation, ...]:
    if error.violations:
        return tuple(FieldViolation(each.field, each.description) for each in error.violations)
    # An older server names the fields only; its message says what is wrong with them.
    return tuple(FieldViolation(field, "") for field in error.fields)


def _details(trailers: Any) -> list[Any]:
    """`google.rpc.Status.details` in the trailers; none where there is no such trailer."""
    for key, value in trailers:
        if key == _DETAILS_KEY:
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []
