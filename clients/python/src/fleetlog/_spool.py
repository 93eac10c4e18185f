"""A folder that keeps batches across processes.

Each session has a folder of its own within it, locked as long as its process lives. A process that opens the spool
takes over the folders without a living owner, and sends what is in them under the old session and numbers. So any
number of processes may share one spool, such as the workers of a web server.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
import sys
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ._pending import Entry, PendingBatches
from ._spool_frames import BatchFrame, SessionFrame, SettledFrame, SpoolError, WrittenFrame, read_frame
from ._spool_journal import Segment, SessionJournal, sync_folder

_FOLDER_MODE = 0o700  # unsent logs are private, whatever the umask
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_SESSION_NAME = re.compile(r"\d{8}-[0-9a-f]{16}")
# Each holds an open file, and a program that ends again and again leaves many.
_RECOVERED_MAX = 256


@dataclass
class RecoveredSession:
    """A session that an earlier process left in the spool."""

    session: SessionFrame
    pending: PendingBatches
    journal: SessionJournal
    lock: IO[bytes]

    def close(self) -> None:
        self.journal.close()
        self.lock.close()

    def remove(self) -> None:
        self.close()
        shutil.rmtree(self.journal.folder, ignore_errors=True)


class Spool:
    """Raises SpoolError when the folder cannot be used."""

    def __init__(self, folder: str | os.PathLike[str], device_id: str, session_id: str, bytes_max: int) -> None:
        # Damage that was found, for a person to read.
        self.problems: list[str] = []
        # Sessions that this process took over and has not removed, the oldest first.
        self.recovered: list[RecoveredSession] = []
        self._folder = Path(folder)
        try:
            self._folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
            if os.name == "posix" and self._folder.stat().st_mode & _WRITABLE_BY_OTHERS:
                self.problems.append(f"other users may write to {folder}: use chmod 700, or they can remove batches")
            self.recover()
            self._lock, own = self._create()
        except OSError as error:
            for each in self.recovered:
                each.close()
            raise SpoolError(f"the spool {folder} cannot be used: {error}") from error
        self.journal = SessionJournal(own, SessionFrame(device_id, session_id, boot_id()), bytes_max)
        _opened.add(self)

    def recover(self) -> None:
        """Takes over sessions whose process has ended, up to 256 at a time."""
        known = {each.journal.folder for each in self.recovered}
        for folder in self._session_folders():
            if len(self.recovered) >= _RECOVERED_MAX:
                return
            if folder not in known:
                self._recover(folder)

    def remove_recovered(self, session: RecoveredSession) -> None:
        self.recovered.remove(session)
        session.remove()

    def close(self, is_empty: bool) -> None:
        """Batches stay for the next process; without any, nothing stays."""
        for each in self.recovered:
            if len(each.pending) == 0:
                each.remove()
            else:
                each.close()
        self.journal.close()
        self._lock.close()
        _opened.discard(self)
        if is_empty:
            shutil.rmtree(self.journal.folder, ignore_errors=True)

    def _session_folders(self) -> list[Path]:
        return sorted(each for each in self._folder.iterdir() if _SESSION_NAME.fullmatch(each.name))

    def _create(self) -> tuple[IO[bytes], Path]:
        """Creates the folder of this session: locked before it has a name that others look at."""
        run = max((int(each.name[:8]) for each in self._session_folders()), default=0) + 1
        own = self._folder / f"{run:08}-{secrets.token_hex(8)}"
        hidden = own if os.name == "nt" else self._folder / f".{own.name}"  # Windows renames no open files
        hidden.mkdir(_FOLDER_MODE)
        lock = _lock(hidden)
        if lock is None:
            raise OSError(f"{hidden} cannot be locked")
        if hidden != own:
            hidden.rename(own)
            sync_folder(self._folder)
        return lock, own

    def _recover(self, folder: Path) -> None:
        lock = _lock(folder)
        if lock is None:
            return  # its process lives
        try:
            recovered = self._load(folder, lock)
        except (SpoolError, OSError) as error:
            self.problems.append(f"{folder} cannot be recovered: {error}")
            recovered = None
        if recovered is None:
            lock.close()
        elif len(recovered.pending) == 0:
            recovered.remove()
        else:
            self.recovered.append(recovered)

    def _load(self, folder: Path, lock: IO[bytes]) -> RecoveredSession | None:
        journal: SessionJournal | None = None
        batches: dict[int, tuple[Segment, int, BatchFrame]] = {}
        written = 0
        for path in sorted(folder.glob("????????.spool")):
            data = path.read_bytes()
            first = read_frame(data, 0)
            if first is None or not isinstance(first[0], SessionFrame):
                if data:
                    self._set_aside(path)
                else:
                    path.unlink()
                continue
            offset = first[1]
            journal = journal or SessionJournal(folder, first[0], sys.maxsize)
            segment = Segment(path)
            journal.adopt(segment)
            while (found := read_frame(data, offset)) is not None:
                frame, end = found
                if isinstance(frame, WrittenFrame):
                    written = max(written, frame.sequence)
                elif isinstance(frame, SettledFrame):
                    batches.pop(frame.sequence, None)
                elif isinstance(frame, BatchFrame):
                    superseded = range(frame.sequence, (frame.dropped_until or frame.sequence) + 1)
                    for sequence in [each for each in batches if each in superseded]:
                        del batches[sequence]
                    batches[frame.sequence] = (segment, offset, frame)
                offset = end
            segment.size = offset
            if offset < len(data):
                # A loss of power leaves this at the end of the last file: a batch that no caller was promised.
                self.problems.append(f"{path}: the last {len(data) - offset} bytes are no complete frame")
                segment.truncate()
        if journal is None:
            if not list(folder.glob("*.damaged")):
                shutil.rmtree(folder, ignore_errors=True)
            return None
        journal.restore_written(written)
        pending = PendingBatches(journal)
        for sequence, (segment, offset, frame) in sorted(batches.items()):
            payload = journal.restore(segment, offset, sequence, frame.dropped_until, len(frame.batch))
            pending.add(
                Entry(
                    sequence,
                    frame.record_count,
                    payload,
                    dropped_until=frame.dropped_until,
                    was_written=sequence <= written,
                )
            )
        return RecoveredSession(journal.session, pending, journal, lock)

    def _set_aside(self, path: Path) -> None:
        path.rename(path.with_suffix(".damaged"))
        self.problems.append(f"{path} is no spool file and was set aside")


def boot_id() -> str:
    """Names the boot of this machine, where the system has a name for it."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def _lock(folder: Path) -> IO[bytes] | None:
    """Locks the folder until the file is closed or the process ends; None when another process holds the lock."""
    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None  # its owner has just removed it
    file = os.fdopen(fd, "r+b", buffering=0)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


# The child of a fork must not keep the locks of its parent: they would outlive it.
_opened: weakref.WeakSet[Spool] = weakref.WeakSet()


def _abandon_all() -> None:
    for spool in list(_opened):
        spool.close(is_empty=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
