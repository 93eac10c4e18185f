"""The bytes of batches. A batch is encoded once, in the order of its canonical form, and sent again as it is."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from .v1 import ingest_pb2, log_pb2

BATCH_BYTES_MAX = 1 << 20
RECORDS_MAX = 10_000
# The largest encoded record: the rest is for names and framing. Attributes of the batch may leave less.
RECORD_BYTES_MAX = BATCH_BYTES_MAX - 1_024
_RECORD_TAG = b"\x22"  # LogBatch.records
_BATCH_TAG = b"\x0a"  # StreamLogsRequest.batch
_UPTIME_TAG = b"\x19"  # StreamLogsRequest.uptime_nano
# A record's tag and length within its batch.
FRAMING_BYTES = 5


def encode_batch(
    session: ingest_pb2.SessionKey,
    sequence: int,
    records: Sequence[bytes],
    attributes: Iterable[log_pb2.Attribute] = (),
    device: log_pb2.DeviceInfo | None = None,
) -> bytes:
    """Encodes a LogBatch of encoded LogRecords. Raises ValueError when a server would refuse it for its size."""
    if not 0 < len(records) <= RECORDS_MAX:
        raise ValueError(f"a batch of {len(records)} records, expected 1 to {RECORDS_MAX}")
    head = log_pb2.LogBatch(device_id=session.device_id, session_id=session.session_id, sequence=sequence)
    tail = log_pb2.LogBatch(attributes=attributes, device=device)
    parts = [head.SerializeToString()]
    for record in records:
        parts += (_RECORD_TAG, _varint(len(record)), record)
    parts.append(tail.SerializeToString())
    batch = b"".join(parts)
    if len(batch) > BATCH_BYTES_MAX:
        raise ValueError(f"a batch of {len(batch)} bytes, the limit is {BATCH_BYTES_MAX}")
    return batch


def encode_drop(session: ingest_pb2.SessionKey, first: int, last: int, reason: str) -> bytes:
    """Encodes a LogBatch that declares batches as dropped."""
    text = reason.replace("\0", "").encode("utf-8", "replace")[:200].decode("utf-8", "ignore")
    return log_pb2.LogBatch(
        device_id=session.device_id,
        session_id=session.session_id,
        sequence=first,
        dropped=log_pb2.Dropped(last_sequence=last, reason=text),
    ).SerializeToString()


def encode_request(batch: bytes, uptime_nano: int) -> bytes:
    """Encodes a StreamLogsRequest around an encoded LogBatch."""
    request = _BATCH_TAG + _varint(len(batch)) + batch
    return request + _UPTIME_TAG + struct.pack("<Q", uptime_nano) if uptime_nano > 0 else request


class BatchBuilder:
    """Gathers encoded records until a batch is full."""

    def __init__(self, records_max: int, bytes_max: int) -> None:
        if not 0 < records_max <= RECORDS_MAX:
            raise ValueError(f"batch_records_max: {records_max}, expected 1 to {RECORDS_MAX}")
        if not 0 < bytes_max <= BATCH_BYTES_MAX // 2:
            raise ValueError(f"batch_bytes_max: {bytes_max}, expected 1 to {BATCH_BYTES_MAX // 2}")
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._records: list[bytes] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def is_full(self) -> bool:
        return len(self._records) >= self._records_max or self._bytes >= self._bytes_max

    def fits(self, record: bytes) -> bool:
        """False: take the batch first. Any record fits into an empty builder."""
        size = self._bytes + len(record) + FRAMING_BYTES
        return not self._records or (not self.is_full and size <= self._bytes_max)

    def add(self, record: bytes) -> None:
        self._records.append(record)
        self._bytes += len(record) + FRAMING_BYTES

    def take(self) -> list[bytes]:
        records, self._records, self._bytes = self._records, [], 0
        return records


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
