"""The files of a spool consist of frames, each readable without the others:

    length of the body, u32 | CRC-32 of the length and the body, u32 | body: kind, u8 | ...     (little-endian)

    session      1 | version u8 | JSON {device, session, boot}                 first in every file
    batch        2 | sequence u64 | last u64 | records u32 | LogBatch          last > 0: a declaration of drops
    settled      3 | sequence u64                                              the batch is settled
    written      4 | sequence u64                                              batches up to this one may have been received
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass

VERSION = 1
HEAD = struct.Struct("<II")
_BATCH = struct.Struct("<BQQI")
_MARK = struct.Struct("<BQ")
_SESSION, _BATCH_KIND, _SETTLED, _WRITTEN = 1, 2, 3, 4
# A batch is at most 1 MiB: a larger length is damage.
_BODY_BYTES_MAX = 2 << 20
# What a frame adds to the LogBatch within it.
BATCH_OVERHEAD = HEAD.size + _BATCH.size


class SpoolError(Exception):
    """The folder cannot be used as a spool, or the disk refuses a batch; the message says why."""


@dataclass(frozen=True)
class SessionFrame:
    device_id: str
    session_id: str
    # Identifies the boot of the machine; empty where the system has no such name.
    boot_id: str

    def encode(self) -> bytes:
        names = {"device": self.device_id, "session": self.session_id, "boot": self.boot_id}
        return _frame(bytes((_SESSION, VERSION)) + json.dumps(names).encode())


@dataclass(frozen=True)
class BatchFrame:
    sequence: int
    dropped_until: int
    record_count: int
    batch: bytes

    def encode(self) -> bytes:
        head = _BATCH.pack(_BATCH_KIND, self.sequence, self.dropped_until, self.record_count)
        return _frame(head + self.batch)


@dataclass(frozen=True)
class SettledFrame:
    sequence: int

    def encode(self) -> bytes:
        return _frame(_MARK.pack(_SETTLED, self.sequence))


@dataclass(frozen=True)
class WrittenFrame:
    sequence: int

    def encode(self) -> bytes:
        return _frame(_MARK.pack(_WRITTEN, self.sequence))


Frame = SessionFrame | BatchFrame | SettledFrame | WrittenFrame


def read_frame(data: bytes, offset: int) -> tuple[Frame, int] | None:
    """Returns the frame at `offset` and its end; None when it is incomplete or damaged."""
    if offset + HEAD.size > len(data):
        return None
    length, checksum = HEAD.unpack_from(data, offset)
    end = offset + HEAD.size + length
    if not 0 < length <= _BODY_BYTES_MAX or end > len(data):
        return None
    body = data[offset + HEAD.size : end]
    if _checksum(body) != checksum:
        return None
    return _decode(body), end


def _decode(body: bytes) -> Frame:
    kind = body[0]
    if kind == _BATCH_KIND:
        _, sequence, dropped_until, record_count = _BATCH.unpack_from(body)
        return BatchFrame(sequence, dropped_until, record_count, body[_BATCH.size :])
    if kind == _SETTLED:
        return SettledFrame(_MARK.unpack(body)[1])
    if kind == _WRITTEN:
        return WrittenFrame(_MARK.unpack(body)[1])
    if kind == _SESSION and body[1] == VERSION:
        names = json.loads(body[2:])
        return SessionFrame(names["device"], names["session"], names["boot"])
    raise SpoolError(f"a frame of kind {kind}: another version of this package wrote it")


def _frame(body: bytes) -> bytes:
    return HEAD.pack(len(body), _checksum(body)) + body


def _checksum(body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(len(body).to_bytes(4, "little")))
