"""One session's part of a spool."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from ._spool_frames import (
    BATCH_OVERHEAD,
    BatchFrame,
    Frame,
    SessionFrame,
    SettledFrame,
    SpoolError,
    WrittenFrame,
    read_frame,
)

# Size at which a new file starts.
SEGMENT_BYTES_MAX = 4 << 20
_FILE_MODE = 0o600


class Segment:
    """One append-only file of frames, opened when it is needed. What is appended is with the kernel, and on disk after
    a sync."""

    def __init__(self, path: Path, size: int = 0) -> None:
        self.path = path
        self.size = size
        self.live_count = 0
        self.is_dirty = False
        self._is_torn = False
        self._fd = -1

    def append(self, frame: Frame) -> int:
        """Returns the frame's offset. A frame that the disk took only in part is cut off before the next."""
        offset, encoded = self.size, frame.encode()
        rest = memoryview(encoded)
        try:
            fd = self._open()
            if self._is_torn:
                os.ftruncate(fd, offset)
            self._is_torn = True
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError as error:
            raise SpoolError(f"{self.path} cannot be written: {error.strerror}") from error
        self._is_torn = False
        self.size += len(encoded)
        self.is_dirty = True
        return offset

    def read(self, offset: int, size: int) -> bytes:
        try:
            fd = self._open()
            os.lseek(fd, offset, os.SEEK_SET)  # writes go to the end all the same
            return os.read(fd, size)
        except OSError as error:
            raise SpoolError(f"{self.path} cannot be read: {error.strerror}") from error

    def sync(self) -> None:
        """May run in another thread, beside appends and the removal of the file."""
        self.is_dirty = False
        try:
            fd = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return  # every batch was settled
        try:
            os.fsync(fd)
        except OSError as error:
            self.is_dirty = True
            raise SpoolError(f"{self.path} cannot be synced: {error.strerror}") from error
        finally:
            os.close(fd)

    def truncate(self) -> None:
        """Cuts off what follows the last complete frame."""
        os.truncate(self.path, self.size)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._fd < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._fd = os.open(self.path, flags, _FILE_MODE)
        return self._fd


@dataclass
class Spooled:
    """The bytes of a batch in the spool; read and verified when they are needed."""

    sequence: int
    size: int
    segment: Segment
    offset: int

    def read(self) -> bytes:
        found = read_frame(self.segment.read(self.offset, self.size + BATCH_OVERHEAD), 0)
        if found is None or not isinstance(found[0], BatchFrame) or found[0].sequence != self.sequence:
            raise SpoolError(f"{self.segment.path} is damaged at byte {self.offset}")
        return found[0].batch


class SessionJournal:
    """The files of a folder, `00000001.spool` and so on; the last one is appended to.

    The first is removed when all of its batches are settled: only the first, because marks in later files belong to its
    batches. At twice the allowed size its remaining batches are copied to the last file, so that one unsettled batch
    cannot retain every file after it.
    """

    def __init__(self, folder: Path, session: SessionFrame, bytes_max: int) -> None:
        self.folder = folder
        self.session = session
        self._bytes_max = bytes_max
        self._segments: list[Segment] = []
        self._batches: dict[int, Spooled] = {}
        self._next_number = 1
        self._written = 0

    def append(self, sequence: int, dropped_until: int, record_count: int, encoded: bytes) -> Spooled:
        """Raises SpoolError, and keeps nothing, when the disk refuses it."""
        segment = self._tail()
        offset = segment.append(BatchFrame(sequence, dropped_until, record_count, encoded))
        spooled = self.restore(segment, offset, sequence, dropped_until, len(encoded))
        self.compact(2 * self._bytes_max + SEGMENT_BYTES_MAX)
        return spooled

    def written(self, sequence: int) -> None:
        self._written = max(self._written, sequence)
        self._mark(WrittenFrame(self._written))

    def settled(self, sequence: int) -> None:
        self._mark(SettledFrame(sequence))
        self._forget(sequence, sequence)
        self._remove_settled()

    def adopt(self, segment: Segment) -> None:
        """Takes over a file of an earlier process."""
        self._segments.append(segment)
        self._next_number = max(self._next_number, int(segment.path.stem) + 1)

    def restore_written(self, sequence: int) -> None:
        """What an earlier process marked."""
        self._written = sequence

    def restore(self, segment: Segment, offset: int, sequence: int, dropped_until: int, size: int) -> Spooled:
        self._forget(sequence, dropped_until or sequence)
        spooled = self._batches[sequence] = Spooled(sequence, size, segment, offset)
        segment.live_count += 1
        return spooled

    def compact(self, bytes_max: int) -> None:
        """Copies batches out of the first files until all files together have at most `bytes_max`."""
        while len(self._segments) > 1 and sum(each.size for each in self._segments) > bytes_max:
            first = self._segments[0]
            for spooled in [each for each in self._batches.values() if each.segment is first]:
                found = read_frame(first.read(spooled.offset, spooled.size + BATCH_OVERHEAD), 0)
                if found is None:
                    raise SpoolError(f"{first.path} is damaged at byte {spooled.offset}")
                segment = self._tail()
                spooled.offset, spooled.segment = segment.append(found[0]), segment
                segment.live_count += 1
                first.live_count -= 1
            if self._written > 0:
                self._mark(WrittenFrame(self._written))  # the only one may go with the file
            self.sync()  # a loss of power could otherwise lose both copies
            self._remove_settled()

    def sync(self) -> None:
        dirty = [each for each in self._segments if each.is_dirty]
        for segment in dirty:
            segment.sync()
        if dirty and os.name == "posix":
            sync_folder(self.folder)

    def close(self) -> None:
        for segment in self._segments:
            segment.close()

    def _mark(self, frame: Frame) -> None:
        # A full disk must not stop a device from sending: without the mark a batch is sent once more, and recognised.
        with contextlib.suppress(SpoolError):
            self._tail().append(frame)

    def _forget(self, first: int, last: int) -> None:
        known = range(first, last + 1) if last - first < len(self._batches) else list(self._batches)
        for sequence in known:
            if first <= sequence <= last and (spooled := self._batches.pop(sequence, None)) is not None:
                spooled.segment.live_count -= 1

    def _remove_settled(self) -> None:
        while len(self._segments) > 1 and self._segments[0].live_count == 0:
            self._segments.pop(0).remove()

    def _tail(self) -> Segment:
        if self._segments and self._segments[-1].size < SEGMENT_BYTES_MAX:
            return self._segments[-1]
        path = self.folder / f"{self._next_number:08}.spool"
        segment = Segment(path)
        segment.append(self.session)
        self._next_number += 1
        self._segments.append(segment)
        return segment


def sync_folder(folder: Path) -> None:
    """Makes the names of new files durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
