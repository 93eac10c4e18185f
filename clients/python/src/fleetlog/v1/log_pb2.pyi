from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_TRACE: _ClassVar[Severity]
    SEVERITY_TRACE2: _ClassVar[Severity]
    SEVERITY_TRACE3: _ClassVar[Severity]
    SEVERITY_TRACE4: _ClassVar[Severity]
    SEVERITY_DEBUG: _ClassVar[Severity]
    SEVERITY_DEBUG2: _ClassVar[Severity]
    SEVERITY_DEBUG3: _ClassVar[Severity]
    SEVERITY_DEBUG4: _ClassVar[Severity]
    SEVERITY_INFO: _ClassVar[Severity]
    SEVERITY_INFO2: _ClassVar[Severity]
    SEVERITY_INFO3: _ClassVar[Severity]
    SEVERITY_INFO4: _ClassVar[Severity]
    SEVERITY_WARN: _ClassVar[Severity]
    SEVERITY_WARN2: _ClassVar[Severity]
    SEVERITY_WARN3: _ClassVar[Severity]
    SEVERITY_WARN4: _ClassVar[Severity]
    SEVERITY_ERROR: _ClassVar[Severity]
    SEVERITY_ERROR2: _ClassVar[Severity]
    SEVERITY_ERROR3: _ClassVar[Severity]
    SEVERITY_ERROR4: _ClassVar[Severity]
    SEVERITY_FATAL: _ClassVar[Severity]
    SEVERITY_FATAL2: _ClassVar[Severity]
    SEVERITY_FATAL3: _ClassVar[Severity]
    SEVERITY_FATAL4: _ClassVar[Severity]
SEVERITY_UNSPECIFIED: Severity
SEVERITY_TRACE: Severity
SEVERITY_TRACE2: Severity
SEVERITY_TRACE3: Severity
SEVERITY_TRACE4: Severity
SEVERITY_DEBUG: Severity
SEVERITY_DEBUG2: Severity
SEVERITY_DEBUG3: Severity
SEVERITY_DEBUG4: Severity
SEVERITY_INFO: Severity
SEVERITY_INFO2: Severity
SEVERITY_INFO3: Severity
SEVERITY_INFO4: Severity
SEVERITY_WARN: Severity
SEVERITY_WARN2: Severity
SEVERITY_WARN3: Severity
SEVERITY_WARN4: Severity
SEVERITY_ERROR: Severity
SEVERITY_ERROR2: Severity
SEVERITY_ERROR3: Severity
SEVERITY_ERROR4: Severity
SEVERITY_FATAL: Severity
SEVERITY_FATAL2: Severity
SEVERITY_FATAL3: Severity
SEVERITY_FATAL4: Severity

class Attribute(_message.Message):
    __slots__ = ("key", "string_value", "bool_value", "int_value", "double_value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    INT_VALUE_FIELD_NUMBER: _ClassVar[int]
    DOUBLE_VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    string_value: str
    bool_value: bool
    int_value: int
    double_value: float
    def __init__(self, key: _Optional[str] = ..., string_value: _Optional[str] = ..., bool_value: bool = ..., int_value: _Optional[int] = ..., double_value: _Optional[float] = ...) -> None: ...

class LogRecord(_message.Message):
    __slots__ = ("time_unix_nano", "severity", "logger", "message", "attributes", "unreadable", "trace_id", "span_id", "event_name", "uptime_nano", "severity_text", "observed_time_unix_nano")
    TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    LOGGER_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SPAN_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_NAME_FIELD_NUMBER: _ClassVar[int]
    UPTIME_NANO_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_TEXT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    time_unix_nano: int
    severity: Severity
    logger: str
    message: str
    attributes: _containers.RepeatedCompositeFieldContainer[Attribute]
    unreadable: UnreadableRecord
    trace_id: bytes
    span_id: bytes
    event_name: str
    uptime_nano: int
    severity_text: str
    observed_time_unix_nano: int
    def __init__(self, time_unix_nano: _Optional[int] = ..., severity: _Optional[_Union[Severity, str]] = ..., logger: _Optional[str] = ..., message: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ..., unreadable: _Optional[_Union[UnreadableRecord, _Mapping]] = ..., trace_id: _Optional[bytes] = ..., span_id: _Optional[bytes] = ..., event_name: _Optional[str] = ..., uptime_nano: _Optional[int] = ..., severity_text: _Optional[str] = ..., observed_time_unix_nano: _Optional[int] = ...) -> None: ...

class UnreadableRecord(_message.Message):
    __slots__ = ("json", "json_bytes", "reason")
    JSON_FIELD_NUMBER: _ClassVar[int]
    JSON_BYTES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    json_bytes: int
    reason: str
    def __init__(self, json: _Optional[bytes] = ..., json_bytes: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class LogBatch(_message.Message):
    __slots__ = ("device_id", "session_id", "sequence", "records", "dropped", "attributes", "device")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    session_id: str
    sequence: int
    records: _containers.RepeatedCompositeFieldContainer[LogRecord]
    dropped: Dropped
    attributes: _containers.RepeatedCompositeFieldContainer[Attribute]
    device: DeviceInfo
    def __init__(self, device_id: _Optional[str] = ..., session_id: _Optional[str] = ..., sequence: _Optional[int] = ..., records: _Optional[_Iterable[_Union[LogRecord, _Mapping]]] = ..., dropped: _Optional[_Union[Dropped, _Mapping]] = ..., attributes: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ..., device: _Optional[_Union[DeviceInfo, _Mapping]] = ...) -> None: ...

class DeviceInfo(_message.Message):
    __slots__ = ("firmware", "hardware", "site", "attributes")
    FIRMWARE_FIELD_NUMBER: _ClassVar[int]
    HARDWARE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    firmware: str
    hardware: str
    site: str
    attributes: _containers.RepeatedCompositeFieldContainer[Attribute]
    def __init__(self, firmware: _Optional[str] = ..., hardware: _Optional[str] = ..., site: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[Attribute, _Mapping]]] = ...) -> None: ...

class Dropped(_message.Message):
    __slots__ = ("last_sequence", "reason")
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    last_sequence: int
    reason: str
    def __init__(self, last_sequence: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class SequenceRange(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...
