"""What a record of the module logging becomes."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType

from ._client import Client
from ._records import VALUE_BYTES_MAX, Severity, clean, cut, cut_front
from .v1 import log_pb2

# Whatever else a LogRecord has came with `extra`.
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_STANDARD_LEVELS = frozenset((0, 10, 20, 30, 40, 50))
_SEVERITIES = (Severity.TRACE, Severity.DEBUG, Severity.INFO, Severity.WARN, Severity.ERROR, Severity.FATAL)
# Set on every record by OpenTelemetry's instrumentation of logging.
_OTEL_FIELDS = ("otelTraceID", "otelSpanID", "otelServiceName", "otelTraceSampled")


def to_record(record: logging.LogRecord, client: Client) -> log_pb2.LogRecord:
    """`extra` becomes attributes; an exception the attributes exception.type, .message and .stacktrace."""
    fields = vars(record)
    attributes = {
        name: value for name, value in fields.items() if name not in _STANDARD_FIELDS and name not in _OTEL_FIELDS
    }
    if record.exc_info:
        attributes.update(_describe(record.exc_info))
    if record.stack_info:
        attributes["code.stacktrace"] = cut_front(clean(record.stack_info), VALUE_BYTES_MAX)
    made = client.make_record(
        record.getMessage(),
        severity=to_severity(record.levelno),
        logger=record.name,
        attributes=attributes,
        time_unix_nano=int(record.created * 1e9),
    )
    if record.levelno not in _STANDARD_LEVELS:
        made.severity_text = cut(clean(record.levelname), 256)
    made.trace_id = _from_hex(fields.get("otelTraceID"), 16)
    made.span_id = _from_hex(fields.get("otelSpanID"), 8)
    return made


def to_severity(level: int) -> int:
    """DEBUG, INFO, WARNING, ERROR and CRITICAL are OpenTelemetry's DEBUG, INFO, WARN, ERROR and FATAL; a level between
    two of them is a gradation of the lower one."""
    if level <= 0:
        return Severity.UNSPECIFIED
    step = min(level // 10, 5)
    gradation = min((level - 10 * step) * 4 // 10, 3)
    return _SEVERITIES[step] + gradation


_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def _describe(exc_info: _ExcInfo) -> dict[str, str]:
    kind, error, trace = exc_info
    if kind is None:
        return {}
    try:
        stacktrace = "".join(traceback.format_exception(kind, error, trace))
        message = str(error)
    except Exception as failure:  # a foreign __str__ may raise anything
        stacktrace, message = "", f"<no text: {type(failure).__name__}>"
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return {
        "exception.type": module + kind.__qualname__,
        "exception.message": message,
        "exception.stacktrace": cut_front(clean(stacktrace), VALUE_BYTES_MAX),
    }


def _from_hex(text: object, size: int) -> bytes:
    try:
        return bytes.fromhex(text) if isinstance(text, str) and len(text) == 2 * size else b""
    except ValueError:
        return b""
