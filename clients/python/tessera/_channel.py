"""The connection: limits, retries, keepalive, TLS, tokens and trace context, the same for both clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc

#: `Limits.max_request_bytes` of a server: 64 MiB of pages and a little.
REQUEST_BYTES_MAX = 64 << 20
RESPONSE_BYTES_MAX = 16 << 20

#: Of a call that names none, in seconds.
TIMEOUT_S = 300.0
ATTEMPTS = 4
KEEPALIVE_S = 30.0
KEEPALIVE_TIMEOUT_MS = 20_000

Token: TypeAlias = str | Callable[[], str]
Metadata: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class TLS:
    """Files in PEM. Without any: the authorities that gRPC knows, and no certificate of our own."""

    #: Authorities to trust.
    ca: str | Path | None = None
    #: Certificate chain and key of this client, for mutual TLS.
    cert: str | Path | None = None
    key: str | Path | None = None
    #: Name to expect in the server's certificate, where it is not that of the address.
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        ca, key, cert = (
            None if path is None else Path(path).read_bytes()
            for path in (self.ca, self.key, self.cert)
        )
        return grpc.ssl_channel_credentials(ca, key, cert)


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how to connect."""

    address: str
    tls: TLS | None

    @classmethod
    def parse(cls, target: str, tls: TLS | bool | None) -> Target:
        """`host:port`, `http://host:port`, `https://host:port`, or a name that gRPC resolves."""
        secure = TLS() if tls is True else tls or None
        if target.startswith("https://"):
            return cls(target.removeprefix("https://").rstrip("/"), secure or TLS())
        return cls(target.removeprefix("http://").rstrip("/"), secure)


def options(target: Target, attempts: int, keepalive: float) -> list[tuple[str, Any]]:
    """Options of a channel."""
    patience_ms = min(KEEPALIVE_TIMEOUT_MS, int(keepalive * 1000))
    found: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", REQUEST_BYTES_MAX),
        ("grpc.max_receive_message_length", RESPONSE_BYTES_MAX),
        # A request larger than this is not tried again; the default is 256 KiB, and pages are larger.
        ("grpc.per_rpc_retry_buffer_size", REQUEST_BYTES_MAX),
        ("grpc.service_config", json.dumps(service_config(attempts))),
        # Finds a server that is gone without a word while it is silent.
        ("grpc.keepalive_time_ms", int(keepalive * 1000)),
        ("grpc.keepalive_timeout_ms", patience_ms),
        # gRPC pings for other reasons, too, and waits for one at a time, by default for a minute.
        ("grpc.http2.ping_timeout_ms", patience_ms),
        # A long answer sends nothing up for longer than two pings take, where gRPC would stop to ask.
        ("grpc.http2.max_pings_without_data", 0),
    ]
    if target.tls is not None and target.tls.server_name is not None:
        found.append(("grpc.ssl_target_name_override", target.tls.server_name))
    return found


def service_config(attempts: int) -> dict[str, Any]:
    """UNAVAILABLE (loading, draining) before the first message is safe to try again, anywhere. gRPC
    never repeats a call that has answered, so events do not come twice."""
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if attempts > 1:
        policy = {
            "maxAttempts": min(attempts, 5),
            "initialBackoff": "0.5s",
            "maxBackoff": "5s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        name = {"service": "tessera.v1.ExtractionService"}
        config["methodConfig"] = [{"name": [name], "retryPolicy": policy}]
    return config


def call_metadata(token: Token | None, extra: Metadata) -> list[tuple[str, str]]:
    """The caller's metadata, a bearer token, and the trace context of the caller's span."""
    metadata = list(extra)
    names = {key for key, _ in metadata}
    if token is not None and "authorization" not in names:
        value = token if isinstance(token, str) else token()
        metadata.append(("authorization", f"Bearer {value}"))
    for key, value in _trace_context().items():
        if key.lower() not in names:
            metadata.append((key.lower(), value))
    return metadata


def _trace_context() -> dict[str, str]:
    """Of the current OpenTelemetry span; empty where the caller has no OpenTelemetry."""
    try:
        from opentelemetry import propagate
    except ImportError:
        return {}
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier
