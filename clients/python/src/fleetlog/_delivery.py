"""Delivers the pending batches of one session."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError

from ._commits import CommitTracker
from ._connector import Connector
from ._encoding import encode_drop, encode_request
from ._events import Acknowledged, Batch, Committed, Delayed, Dropped, Reconnecting, Refused, Released
from ._http2 import Call
from ._options import Settings
from ._pending import Entry, InMemory, Payload, PendingBatches
from ._signal import Signal
from ._spool_frames import SpoolError
from ._status import INVALID_ARGUMENT, OK, PERMISSION_DENIED, UNAUTHENTICATED, UNAVAILABLE, UNIMPLEMENTED, CallEnd
from .v1 import ingest_pb2

# Above any sensible delay of a server, so that a wrong one cannot silence a device.
_DELAY_MAX = 60.0
# Tried again they fail the same way, until an operator changes something.
_FINAL_CODES = (INVALID_ARGUMENT, PERMISSION_DENIED, UNAUTHENTICATED, UNIMPLEMENTED)


class Delivery:
    """Settles each batch:

    unsent --write--> in flight --ack----------> settled, or accepted until it is committed: see CommitTracker
       ^                  |-------error 3-----> settled: its number is declared as dropped
       |---pause----------|-------error 8, 14, or another one
       |---backoff----------------stream ended: every batch in flight is unsent again

    Nothing is written during a pause. A stream is opened only to write a batch or to receive progress, so that its end
    while nothing is pending (GOAWAY, a reload, its age) goes unnoticed.
    """

    def __init__(
        self,
        session: ingest_pb2.SessionKey,
        pending: PendingBatches,
        connector: Connector,
        settings: Settings,
        on_change: Callable[[], None],
        recovered: bool = False,
        uptime: Callable[[], int] | None = None,
    ) -> None:
        self._session = session
        self.pending = pending
        self._connector = connector
        self._settings = settings
        self._on_change = on_change
        self._is_recovered = recovered
        self._uptime = uptime or (lambda: 0)
        self._loop = asyncio.get_running_loop()
        self._work = Signal()
        self._paused_until = 0.0
        self._failed_attempts = 0
        self._progress_at = self._loop.time()
        self._commits: CommitTracker | None = None
        if settings.keeps_until_committed:
            self._commits = CommitTracker(
                pending,
                self._get_session,
                self._on_committed,
                self._changed,
                settings.commit_timeout,
                settings.commit_poll_interval,
            )

    def batch(self, entry: Entry) -> Batch:
        return Batch(
            self._session.session_id, entry.sequence, entry.record_count, entry.note, self._is_recovered
        )

    def begin(self) -> None:
        """The first batch is pending: the clock of give_up_after starts."""
        self._progress_at = self._loop.time()

    def wake(self) -> None:
        """More is to be written."""
        self._work.notify()

    async def run(self, until_empty: bool = False) -> None:
        """Runs until it is cancelled, or until everything is settled; raises DeliveryFailed."""
        poll = asyncio.ensure_future(self._commits.poll()) if self._commits is not None else None
        try:
            while True:
                await self._work.until(lambda: self._has_work or (until_empty and len(self.pending) == 0))
                if until_empty and len(self.pending) == 0:
                    return
                await self._end(await self._stream(until_empty))
        finally:
            if poll is not None:
                poll.cancel()

    @property
    def _has_work(self) -> bool:
        return self.pending.next_unsent is not None or self.pending.accepted_count > 0

    async def _stream(self, until_empty: bool) -> CallEnd:
        """Runs one stream, and returns how it ended."""
        if self._commits is not None:
            self._commits.connecting()
        try:
            call = await self._connector.call("StreamLogs")
        except CallEnd as end:
            return end
        link = _Link(call, self._settings.ack_timeout)
        ended = await self._run_link(link, until_empty)
        if not ended.is_clean:
            call.retire_connection()
        return ended

    async def _run_link(self, link: _Link, until_empty: bool) -> CallEnd:
        tasks = [asyncio.ensure_future(self._write(link)), asyncio.ensure_future(self._read(link))]
        if until_empty:
            tasks.append(asyncio.ensure_future(self._work.until(lambda: len(self.pending) == 0)))
        try:
            # The reader ends last: it reads what arrived before the end.
            while True:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    error = task.exception()
                    if error is not None and not isinstance(error, CallEnd):
                        raise error
                    if task is not tasks[0]:
                        return error if isinstance(error, CallEnd) else CallEnd(OK, "", is_clean=True)
                await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
        finally:
            link.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.pending.write_all_again()

    async def _write(self, link: _Link) -> None:
        if self._commits is not None:
            await link.call.send(
                ingest_pb2.StreamLogsRequest(report_committed=self._session).SerializeToString()
            )
        settings = self._settings
        while True:
            await self._work.until(
                lambda: self._loop.time() >= self._paused_until
                and self.pending.next_unsent is not None
                and len(link.in_flight) < settings.in_flight_batches_max
                and link.in_flight_bytes < settings.in_flight_bytes_max
            )
            entry = self.pending.write_next()
            try:
                encoded = entry.payload.read()
            except SpoolError as error:
                self.declare([entry], f"damaged in the spool: {error}")
                continue
            link.written(entry)
            await link.call.send(encode_request(encoded, self._uptime()))

    async def _read(self, link: _Link) -> None:
        while True:
            try:
                response = ingest_pb2.StreamLogsResponse.FromString(await link.call.receive())
            except DecodeError as error:
                raise CallEnd(UNAVAILABLE, f"the server sent a malformed response: {error}") from error
            if response.HasField("progress"):
                self._on_progress(link, response.progress)
            if response.HasField("ack"):
                self._on_ack(link.acknowledged(response.ack), response.ack)
                self._work.notify()

    def _on_progress(self, link: _Link, progress: ingest_pb2.Progress) -> None:
        link.check_epoch(progress.epoch)
        self._failed_attempts = 0
        if self._commits is not None:
            self._commits.receive(progress)

    def _on_ack(self, entry: Entry, ack: ingest_pb2.Ack) -> None:
        if ack.HasField("error") and ack.error.code != INVALID_ARGUMENT:
            self._retry(entry, ack.error)
            return
        self._failed_attempts = 0
        self._progress_at = self._loop.time()
        is_declaration = entry.dropped_until > 0
        if ack.HasField("error"):
            if is_declaration:
                self.pending.settle(entry)
            else:
                batch = self.batch(entry)
                self._replace([entry], f"refused: {ack.error.message}")
                self._settings.on_event(Refused(batch, ack.error))
        else:
            is_first = not entry.was_acknowledged
            entry.was_acknowledged = True
            if self._commits is None:
                self.pending.settle(entry)
            if is_first and not is_declaration:  # the caller knows about a declaration already
                self._settings.on_event(Acknowledged(self.batch(entry), ack))
            if self._commits is not None:
                self._commits.accept(entry)
        self._on_change()

    def _retry(self, entry: Entry, error: ingest_pb2.BatchError) -> None:
        """Later, on the same stream; the batches after it get acknowledgements of their own."""
        self.pending.write_again(entry)
        if error.code == PERMISSION_DENIED:
            self._fail_if_final(PERMISSION_DENIED, error.message)
        self._check_giving_up(error.message)
        if self._loop.time() >= self._paused_until:
            self._failed_attempts += 1
        requested = error.retry_delay_ms / 1_000 or self._backoff(error.code)
        self._pause(min(requested, _DELAY_MAX))
        self._settings.on_event(Delayed(self.batch(entry), error))

    async def _end(self, end: CallEnd) -> None:
        """A stream ended: backs off, if anything is pending."""
        if len(self.pending) == 0:
            return
        # The server ended an idle stream, because of its age or to stop.
        is_quiet = self.pending.accepted_count == len(self.pending) and self._failed_attempts == 0
        if is_quiet:
            self._progress_at = self._loop.time()
        self._fail_if_final(end.code, end.message)
        self._check_giving_up(end.message)
        self._failed_attempts += 1
        requested = self._backoff(end.code) if end.retry_delay is None else end.retry_delay
        delay = min(requested, _DELAY_MAX)
        if not is_quiet:
            self._settings.on_event(Reconnecting(self._failed_attempts, delay, end.code, end.message))
        self._pause(delay)
        while (rest := self._paused_until - self._loop.time()) > 0:
            await asyncio.sleep(rest)

    def declare(self, entries: Sequence[Entry], reason: str) -> None:
        """Gives up batches that follow each other: a declaration takes their place."""
        dropped = [entry.sequence for entry in entries if not entry.dropped_until]
        self._replace(entries, reason)
        if dropped:
            event = Dropped(
                self._session.session_id, min(dropped), entries[-1].last, reason, self._is_recovered
            )
            self._settings.on_event(event)

    def release_oldest(self) -> bool:
        """Forgets the oldest batch that is acknowledged and not known to be committed."""
        entry = self.pending.release_oldest_accepted()
        if entry is not None and not entry.dropped_until:
            self._settings.on_event(Released(self.batch(entry)))
        return entry is not None

    def _replace(self, entries: Sequence[Entry], reason: str) -> None:
        pending, first, last = self.pending, entries[0].sequence, entries[-1].last
        encoded = encode_drop(self._session, first, last, reason)
        payload: Payload = InMemory(encoded)
        if pending.journal is not None:
            with contextlib.suppress(SpoolError):  # on a full disk the declaration stays in memory
                payload = pending.journal.append(first, last, 0, encoded)
        was_written = any(entry.was_written for entry in entries)
        pending.replace(entries, Entry(first, 0, payload, dropped_until=last, was_written=was_written))
        self._work.notify()

    def _fail_if_final(self, code: int, message: str) -> None:
        """Without give_up_after a client waits for the operator, at the longest delay."""
        is_renewable = code == UNAUTHENTICATED and self._connector.can_renew_token and self._failed_attempts == 0
        if code in _FINAL_CODES and self._settings.give_up_after is not None and not is_renewable:
            raise DeliveryFailed(f"the server refuses the stream with code {code}: {message}")

    def _check_giving_up(self, reason: str) -> None:
        silence = self._loop.time() - self._progress_at
        if self._settings.give_up_after is not None and silence >= self._settings.give_up_after:
            raise DeliveryFailed(f"no batch was acknowledged for {silence:.0f} s: {reason}")

    def _backoff(self, code: int) -> float:
        if code in _FINAL_CODES and self._failed_attempts > 1:
            return _DELAY_MAX * (0.5 + random.random() / 2)
        settings = self._settings
        ceiling = settings.backoff_base * 2.0 ** min(max(self._failed_attempts - 1, 0), 30)
        return random.random() * min(settings.backoff_cap, ceiling)

    def _pause(self, delay: float) -> None:
        """A pause is only ever extended."""
        until = self._loop.time() + delay
        if until > self._paused_until:
            self._paused_until = until
            self._loop.call_later(delay + 0.001, self._work.notify)

    def _on_committed(self, entry: Entry) -> None:
        if not entry.dropped_until:
            self._settings.on_event(Committed(self.batch(entry)))

    def _changed(self) -> None:
        self._work.notify()
        self._on_change()

    async def _get_session(self) -> ingest_pb2.GetSessionResponse:
        request = ingest_pb2.GetSessionRequest(
            device_id=self._session.device_id, session_id=self._session.session_id
        )
        response = await self._connector.unary(
            "GetSession", request.SerializeToString(), self._settings.ack_timeout
        )
        with contextlib.suppress(DecodeError):
            return ingest_pb2.GetSessionResponse.FromString(response)
        raise CallEnd(UNAVAILABLE, "the server sent a malformed response")


class DeliveryFailed(Exception):
    """Delivery stopped for good; pending batches stay pending."""


class _Link:
    """One StreamLogs call. The server acknowledges every batch once, in the order in which they were written; another
    order, or no acknowledgement for too long, ends the call."""

    def __init__(self, call: Call, ack_timeout: float) -> None:
        self.call = call
        self.in_flight: deque[Entry] = deque()
        self.in_flight_bytes = 0
        self._ack_timeout = ack_timeout
        self._epoch: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def written(self, entry: Entry) -> None:
        self.in_flight.append(entry)
        self.in_flight_bytes += entry.payload.size
        if len(self.in_flight) == 1:
            self._restart_timer()

    def acknowledged(self, ack: ingest_pb2.Ack) -> Entry:
        """Returns the batch of the acknowledgement. A number that the server could not read is 0."""
        entry = self.in_flight[0] if self.in_flight else None
        if entry is None or not (ack.sequence == entry.sequence or (ack.sequence == 0 and ack.HasField("error"))):
            expected = entry.sequence if entry else "none"
            raise CallEnd(UNAVAILABLE, f"the server acknowledged batch {ack.sequence}, expected {expected}")
        self.in_flight.popleft()
        self.in_flight_bytes -= entry.payload.size
        self._restart_timer()
        return entry

    def check_epoch(self, epoch: int) -> None:
        if self._epoch is None:
            self._epoch = epoch
        elif self._epoch != epoch:
            raise CallEnd(UNAVAILABLE, f"the server changed the epoch of a stream from {self._epoch} to {epoch}")

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.call.cancel("the client ends the call")

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.in_flight:
            self._timer = asyncio.get_running_loop().call_later(self._ack_timeout, self._on_timeout)

    def _on_timeout(self) -> None:
        if self.call.has_input:  # the program was busy, not the server
            self._restart_timer()
        else:
            self.call.cancel(f"no acknowledgement within {self._ack_timeout:g} s")
