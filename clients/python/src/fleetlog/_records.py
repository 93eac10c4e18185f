"""Makes records that a server accepts."""

from __future__ import annotations

import enum
import json
import numbers
from collections.abc import Mapping

from .v1 import log_pb2

MESSAGE_BYTES_MAX = 64 * 1024
LOGGER_BYTES_MAX = 256
ATTRIBUTES_MAX = 64
KEY_BYTES_MAX = 128
VALUE_BYTES_MAX = 8 * 1024
DEVICE_BYTES_MAX = 256
_INT_MAX = 2**63 - 1


class Severity(enum.IntEnum):
    """The severities without their gradations, which are the numbers in between."""

    UNSPECIFIED = 0
    TRACE = 1
    DEBUG = 5
    INFO = 9
    WARN = 13
    ERROR = 17
    FATAL = 21


def make_record(
    message: str,
    *,
    severity: int = Severity.INFO,
    logger: str = "",
    attributes: Mapping[str, object] | None = None,
    time_unix_nano: int = 0,
    uptime_nano: int = 0,
    event_name: str = "",
    trace_id: bytes = b"",
    span_id: bytes = b"",
) -> log_pb2.LogRecord:
    """Makes a record within the limits: what is too long is cut, and NUL becomes U+FFFD. An attribute
    `fleetlog.cut_bytes` says how much of the message is missing."""
    text = clean(message)
    extra = dict(attributes or {})
    if (size := len(text.encode())) > MESSAGE_BYTES_MAX:
        text = cut(text, MESSAGE_BYTES_MAX)
        extra["fleetlog.cut_bytes"] = size - len(text.encode())
    return log_pb2.LogRecord(
        time_unix_nano=time_unix_nano,
        uptime_nano=uptime_nano,
        severity=severity,  # type: ignore[arg-type]
        logger=cut(clean(logger), LOGGER_BYTES_MAX),
        message=text,
        attributes=make_attributes(extra),
        event_name=cut(clean(event_name), LOGGER_BYTES_MAX),
        trace_id=trace_id,
        span_id=span_id,
    )


def make_device(firmware: str, hardware: str, site: str, attributes: Mapping[str, object]) -> log_pb2.DeviceInfo:
    """Makes a DeviceInfo. Raises ValueError for an invalid text, which would refuse the batch that carries it."""
    for name, text in (("firmware", firmware), ("hardware", hardware), ("site", site)):
        if text != clean(text):
            raise ValueError(f"{name}: {text[:64]!r} has a NUL or half a surrogate pair")
        if (size := len(text.encode())) > DEVICE_BYTES_MAX:
            raise ValueError(f"{name}: {size} bytes, the limit is {DEVICE_BYTES_MAX}")
    return log_pb2.DeviceInfo(
        firmware=firmware, hardware=hardware, site=site, attributes=make_attributes(attributes)
    )


def make_attributes(values: Mapping[str, object]) -> list[log_pb2.Attribute]:
    """Makes at most 64 attributes, by name: texts, booleans, integers and numbers keep their type, None is null, lists
    and mappings become JSON, anything else its str(). Beyond 64 the last one says how many are missing."""
    named = sorted(((str(name), value) for name, value in values.items()), key=lambda each: each[0])
    made = [_attribute(name, value) for name, value in named if name]
    if len(made) > ATTRIBUTES_MAX:
        lost = len(made) - ATTRIBUTES_MAX + 1
        made[ATTRIBUTES_MAX - 1 :] = [_attribute("fleetlog.cut_attributes", lost)]
    return made


def clean(text: str) -> str:
    """Replaces what no server stores: NUL, and the halves of surrogate pairs."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in text)
    return text


def cut(text: str, bytes_max: int) -> str:
    encoded = text.encode()
    return text if len(encoded) <= bytes_max else encoded[:bytes_max].decode("utf-8", "ignore")


def cut_front(text: str, bytes_max: int) -> str:
    """Keeps the end, where a traceback has its error."""
    encoded = text.encode()
    return text if len(encoded) <= bytes_max else encoded[-bytes_max:].decode("utf-8", "ignore")


def _attribute(name: str, value: object) -> log_pb2.Attribute:
    key = cut(clean(name), KEY_BYTES_MAX)
    if value is None:
        return log_pb2.Attribute(key=key)
    if isinstance(value, bool):
        return log_pb2.Attribute(key=key, bool_value=value)
    if isinstance(value, str):
        return log_pb2.Attribute(key=key, string_value=cut(clean(value), VALUE_BYTES_MAX))
    if isinstance(value, numbers.Integral) and -_INT_MAX - 1 <= int(value) <= _INT_MAX:
        return log_pb2.Attribute(key=key, int_value=int(value))
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        return log_pb2.Attribute(key=key, double_value=float(value))
    return log_pb2.Attribute(key=key, string_value=cut(clean(_to_text(value)), VALUE_BYTES_MAX))


def _to_text(value: object) -> str:
    """JSON for lists and objects, else str(); never raises."""
    try:
        return json.dumps(value, default=str) if isinstance(value, (dict, list, tuple)) else str(value)
    except Exception as error:  # a foreign __str__ may raise anything
        return f"<{type(value).__name__} without text: {type(error).__name__}>"
