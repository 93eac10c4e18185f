"""Keeps accepted batches until they are in PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from ._pending import Entry, PendingBatches
from ._status import CallEnd
from .v1 import ingest_pb2, log_pb2

# What may be in flight.
_RESEND_MAX = 32


class CommitTracker:
    """Each batch remembers the epoch of the stream that accepted it: another epoch means that Redis may have lost it, so
    it is sent again. What stays uncommitted for `timeout` is sent again too: first one batch, then two, … at most 32.

    Names of sessions are no secret: another sender may declare a device's batches as dropped. Progress that counts
    other drops than the device's own is not trusted: the tracker asks which batches are stored, and keeps the others.
    """

    def __init__(
        self,
        pending: PendingBatches,
        get_session: Callable[[], Awaitable[ingest_pb2.GetSessionResponse]],
        on_committed: Callable[[Entry], None],
        on_change: Callable[[], None],
        timeout: float,
        poll_interval: float,
    ) -> None:
        self._pending = pending
        self._get_session = get_session
        self._on_committed = on_committed
        self._on_change = on_change
        self._timeout = timeout
        self._poll_interval = poll_interval
        self._epoch: int | None = None
        self._committed = 0
        self._is_in_doubt = False
        self._progress_at = 0.0
        self._resend_count = 1

    def connecting(self) -> None:
        """A new stream reports its own epoch."""
        self._epoch = None

    def accept(self, entry: Entry) -> None:
        if self._pending.accepted_count == 0:
            self._progress_at = self._now()
            self._resend_count = 1
        self._pending.accept(entry, self._epoch)
        if entry.last <= self._committed:
            self._settle(lambda each: each.last <= self._committed)

    def receive(self, progress: ingest_pb2.Progress) -> None:
        self._epoch = progress.epoch
        through = progress.committed_through
        self._is_in_doubt = progress.dropped_count != self._pending.declared_drops_until(through)
        if not self._is_in_doubt:
            self._committed = max(self._committed, through)
        settled = self._settle(lambda each: each.last <= self._committed)
        if settled + self._pending.write_other_epochs_again(progress.epoch) > 0:
            self._on_change()

    async def poll(self) -> None:
        """Runs beside the streams: asks for what no progress reports."""
        while True:
            await asyncio.sleep(min(self._poll_interval, self._timeout))
            if self._pending.accepted_count == 0:
                continue
            silence = self._now() - self._progress_at
            if not self._is_in_doubt and silence < self._timeout:
                continue
            settled = 0
            with contextlib.suppress(CallEnd, asyncio.TimeoutError):  # asked again at the next turn
                settled = self._settle(_is_committed_in(await self._get_session()))
            is_stuck = self._pending.accepted_count > 0 and self._now() - self._progress_at >= self._timeout
            if is_stuck:
                self._pending.write_oldest_accepted_again(self._resend_count)
                self._resend_count = min(2 * self._resend_count, _RESEND_MAX)
                self._progress_at = self._now()
            if settled > 0 or is_stuck:
                self._on_change()

    def _settle(self, is_committed: Callable[[Entry], bool]) -> int:
        committed = self._pending.commit(is_committed)
        for entry in committed:
            self._on_committed(entry)
        if committed:
            self._progress_at = self._now()
            self._resend_count = 1
        return len(committed)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _is_committed_in(session: ingest_pb2.GetSessionResponse) -> Callable[[Entry], bool]:
    """What is stored, and the device's own declarations: a drop that another sender declared settles no batch."""

    def is_committed(entry: Entry) -> bool:
        return any(_contains(each, entry) for each in session.committed_ranges) or (
            entry.dropped_until > 0 and any(_contains(each, entry) for each in session.dropped_ranges)
        )

    return is_committed


def _contains(stored: log_pb2.SequenceRange, entry: Entry) -> bool:
    return bool(stored.first <= entry.sequence and entry.last <= stored.last)
