"""How a gRPC call ends."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

OK = 0
UNKNOWN = 2
INVALID_ARGUMENT = 3
PERMISSION_DENIED = 7
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16

# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_HTTP_CODES = {400: INTERNAL, 401: UNAUTHENTICATED, 403: PERMISSION_DENIED, 404: UNIMPLEMENTED}
_HTTP_UNAVAILABLE = (429, 502, 503, 504)


class CallEnd(Exception):
    """A call ended. `retry_delay` is the RetryInfo of its status in seconds, if there is one. `is_clean`: the peer sent
    a status, so that its connection can carry further calls."""

    def __init__(
        self, code: int, message: str, retry_delay: float | None = None, is_clean: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_delay = retry_delay
        self.is_clean = is_clean


def end_by_trailers(trailers: Mapping[str, str]) -> CallEnd:
    text = trailers.get("grpc-status", "")
    code = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else UNKNOWN
    message = trailers.get("grpc-message") or f"the server ended the call with status {code}"
    return CallEnd(code, message, _retry_delay(trailers.get("grpc-status-details-bin")), is_clean=True)


def end_by_http(status: int, content_type: str) -> CallEnd:
    """For a response that is not of gRPC, such as a proxy's error page."""
    code = UNAVAILABLE if status in _HTTP_UNAVAILABLE else _HTTP_CODES.get(status, UNKNOWN)
    return CallEnd(code, f"the server answered with HTTP status {status} and content type {content_type!r}")


def _retry_delay(details: str | None) -> float | None:
    """Details are optional: malformed ones count as none."""
    if not details:
        return None
    try:
        status = status_pb2.Status.FromString(base64.b64decode(details + "=" * (-len(details) % 4)))
        for detail in status.details:
            info = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                seconds = float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
                return seconds if seconds > 0 else None
    except (DecodeError, binascii.Error, ValueError):
        pass
    return None
