from fleetlog.v1 import log_pb2 as _log_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BatchErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BATCH_ERROR_CODE_UNSPECIFIED: _ClassVar[BatchErrorCode]
    BATCH_ERROR_CODE_INVALID_ARGUMENT: _ClassVar[BatchErrorCode]
    BATCH_ERROR_CODE_PERMISSION_DENIED: _ClassVar[BatchErrorCode]
    BATCH_ERROR_CODE_RESOURCE_EXHAUSTED: _ClassVar[BatchErrorCode]
    BATCH_ERROR_CODE_UNAVAILABLE: _ClassVar[BatchErrorCode]
BATCH_ERROR_CODE_UNSPECIFIED: BatchErrorCode
BATCH_ERROR_CODE_INVALID_ARGUMENT: BatchErrorCode
BATCH_ERROR_CODE_PERMISSION_DENIED: BatchErrorCode
BATCH_ERROR_CODE_RESOURCE_EXHAUSTED: BatchErrorCode
BATCH_ERROR_CODE_UNAVAILABLE: BatchErrorCode

class PushLogsRequest(_message.Message):
    __slots__ = ("batch", "uptime_nano", "rejections_max")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    UPTIME_NANO_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_MAX_FIELD_NUMBER: _ClassVar[int]
    batch: _log_pb2.LogBatch
    uptime_nano: int
    rejections_max: int
    def __init__(self, batch: _Optional[_Union[_log_pb2.LogBatch, _Mapping]] = ..., uptime_nano: _Optional[int] = ..., rejections_max: _Optional[int] = ...) -> None: ...

class PushLogsResponse(_message.Message):
    __slots__ = ("ack",)
    ACK_FIELD_NUMBER: _ClassVar[int]
    ack: Ack
    def __init__(self, ack: _Optional[_Union[Ack, _Mapping]] = ...) -> None: ...

class StreamLogsRequest(_message.Message):
    __slots__ = ("batch", "report_committed", "uptime_nano", "rejections_max")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    REPORT_COMMITTED_FIELD_NUMBER: _ClassVar[int]
    UPTIME_NANO_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_MAX_FIELD_NUMBER: _ClassVar[int]
    batch: _log_pb2.LogBatch
    report_committed: SessionKey
    uptime_nano: int
    rejections_max: int
    def __init__(self, batch: _Optional[_Union[_log_pb2.LogBatch, _Mapping]] = ..., report_committed: _Optional[_Union[SessionKey, _Mapping]] = ..., uptime_nano: _Optional[int] = ..., rejections_max: _Optional[int] = ...) -> None: ...

class SessionKey(_message.Message):
    __slots__ = ("device_id", "session_id")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    session_id: str
    def __init__(self, device_id: _Optional[str] = ..., session_id: _Optional[str] = ...) -> None: ...

class StreamLogsResponse(_message.Message):
    __slots__ = ("ack", "progress")
    ACK_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ack: Ack
    progress: Progress
    def __init__(self, ack: _Optional[_Union[Ack, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("committed_through", "epoch", "dropped_count")
    COMMITTED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    DROPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    committed_through: int
    epoch: int
    dropped_count: int
    def __init__(self, committed_through: _Optional[int] = ..., epoch: _Optional[int] = ..., dropped_count: _Optional[int] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("device_id", "session_id")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    session_id: str
    def __init__(self, device_id: _Optional[str] = ..., session_id: _Optional[str] = ...) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("committed_ranges", "dropped_ranges", "committed_through")
    COMMITTED_RANGES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_RANGES_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    committed_ranges: _containers.RepeatedCompositeFieldContainer[_log_pb2.SequenceRange]
    dropped_ranges: _containers.RepeatedCompositeFieldContainer[_log_pb2.SequenceRange]
    committed_through: int
    def __init__(self, committed_ranges: _Optional[_Iterable[_Union[_log_pb2.SequenceRange, _Mapping]]] = ..., dropped_ranges: _Optional[_Iterable[_Union[_log_pb2.SequenceRange, _Mapping]]] = ..., committed_through: _Optional[int] = ...) -> None: ...

class GetLimitsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetLimitsResponse(_message.Message):
    __slots__ = ("batch_bytes_max", "records_max", "message_bytes_max", "logger_bytes_max", "event_name_bytes_max", "severity_text_bytes_max", "attributes_max", "attribute_key_bytes_max", "attribute_value_bytes_max", "device_id_bytes_max", "session_id_bytes_max", "dropped_reason_bytes_max", "device_info_bytes_max", "request_bytes_max", "json_bytes_max", "in_flight_batches_max", "in_flight_bytes_max", "response_bytes_max", "server_time_unix_nano")
    BATCH_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    RECORDS_MAX_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    LOGGER_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    EVENT_NAME_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_TEXT_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_MAX_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_KEY_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTE_VALUE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    DROPPED_REASON_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    DEVICE_INFO_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    REQUEST_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    JSON_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_BATCHES_MAX_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    batch_bytes_max: int
    records_max: int
    message_bytes_max: int
    logger_bytes_max: int
    event_name_bytes_max: int
    severity_text_bytes_max: int
    attributes_max: int
    attribute_key_bytes_max: int
    attribute_value_bytes_max: int
    device_id_bytes_max: int
    session_id_bytes_max: int
    dropped_reason_bytes_max: int
    device_info_bytes_max: int
    request_bytes_max: int
    json_bytes_max: int
    in_flight_batches_max: int
    in_flight_bytes_max: int
    response_bytes_max: int
    server_time_unix_nano: int
    def __init__(self, batch_bytes_max: _Optional[int] = ..., records_max: _Optional[int] = ..., message_bytes_max: _Optional[int] = ..., logger_bytes_max: _Optional[int] = ..., event_name_bytes_max: _Optional[int] = ..., severity_text_bytes_max: _Optional[int] = ..., attributes_max: _Optional[int] = ..., attribute_key_bytes_max: _Optional[int] = ..., attribute_value_bytes_max: _Optional[int] = ..., device_id_bytes_max: _Optional[int] = ..., session_id_bytes_max: _Optional[int] = ..., dropped_reason_bytes_max: _Optional[int] = ..., device_info_bytes_max: _Optional[int] = ..., request_bytes_max: _Optional[int] = ..., json_bytes_max: _Optional[int] = ..., in_flight_batches_max: _Optional[int] = ..., in_flight_bytes_max: _Optional[int] = ..., response_bytes_max: _Optional[int] = ..., server_time_unix_nano: _Optional[int] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("sequence", "accepted", "rejections", "error", "rejected", "server_time_unix_nano", "session_id")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_UNIX_NANO_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    accepted: int
    rejections: _containers.RepeatedCompositeFieldContainer[Rejection]
    error: BatchError
    rejected: int
    server_time_unix_nano: int
    session_id: str
    def __init__(self, sequence: _Optional[int] = ..., accepted: _Optional[int] = ..., rejections: _Optional[_Iterable[_Union[Rejection, _Mapping]]] = ..., error: _Optional[_Union[BatchError, _Mapping]] = ..., rejected: _Optional[int] = ..., server_time_unix_nano: _Optional[int] = ..., session_id: _Optional[str] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("index", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    reason: str
    def __init__(self, index: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class BatchError(_message.Message):
    __slots__ = ("code", "field", "message", "retry_delay_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    code: BatchErrorCode
    field: str
    message: str
    retry_delay_ms: int
    def __init__(self, code: _Optional[_Union[BatchErrorCode, str]] = ..., field: _Optional[str] = ..., message: _Optional[str] = ..., retry_delay_ms: _Optional[int] = ...) -> None: ...
