"""The asyncio client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from ._connector import Connector
from ._delivery import Delivery, DeliveryFailed
from ._drop_oldest import drop_oldest
from ._encoding import RECORD_BYTES_MAX, BatchBuilder, encode_batch, encode_drop
from ._events import Dropped, Event, Failed, Refused, SpoolProblem
from ._options import ClientOptions, Settings, read_settings
from ._pending import Entry, InMemory, Payload, PendingBatches
from ._records import Severity, make_attributes, make_device, make_record
from ._recovery import Recovery
from ._signal import Signal, within
from ._spool import Spool
from ._spool_frames import SpoolError
from .v1 import ingest_pb2, log_pb2

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

_NAME = re.compile(r"[A-Za-z0-9._:-]+")
_log = logging.getLogger("fleetlog")


class ClientError(Exception):
    """The client is closed, or failed for good. `unsettled` is the number of batches without an outcome."""

    def __init__(self, message: str, unsettled: int) -> None:
        super().__init__(message)
        self.unsettled = unsettled


class Client:
    """Delivers the logs of one device: numbers batches, keeps each until it is settled, and sends it again whenever its
    outcome is unknown. The server recognises what it has.

        async with Client("pump-17", "logs.example.com:50051", spool="/var/lib/pump/spool") as client:
            await client.log("pressure is low", severity=Severity.WARN, bar=0.4)

    Belongs to the event loop on which it is entered.
    """

    def __init__(
        self, device_id: str, address: str = "127.0.0.1:50051", **options: Unpack[ClientOptions]
    ) -> None:
        """Raises ValueError for an option that is not possible."""
        settings = read_settings(options)
        self._on_event = settings.on_event
        self._settings = replace(settings, on_event=self._emit)
        session_id = settings.session_id or secrets.token_hex(8)
        for name, value, length_max in (("device_id", device_id, 128), ("session_id", session_id, 64)):
            if not _NAME.fullmatch(value) or len(value) > length_max:
                raise ValueError(f"{name} {value!r}: expected 1 to {length_max} of A-Z a-z 0-9 . _ : -")
        self.session = ingest_pb2.SessionKey(device_id=device_id, session_id=session_id)
        self._address = address
        self._attributes = make_attributes(settings.attributes)
        size = log_pb2.LogBatch(attributes=self._attributes).ByteSize()
        self._record_bytes_max = RECORD_BYTES_MAX - size
        if settings.batch_bytes_max > self._record_bytes_max:
            raise ValueError(
                f"batch_bytes_max: {settings.batch_bytes_max}, and attributes of {size} bytes: the limit is "
                f"{RECORD_BYTES_MAX} together"
            )
        self._device = make_device(
            settings.firmware, settings.hardware, settings.site, settings.device_attributes
        )
        # The batch that carries it; 0 while none does.
        self._device_sequence = 0
        self._builder = BatchBuilder(settings.batch_records_max, settings.batch_bytes_max)
        self._gathering: asyncio.Task[None] | None = None
        self._has_undated = False
        self._sequence = 0
        self._changed = Signal()
        self._failure: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._senders = asyncio.Lock()
        self._spool: Spool | None = None
        self._recovery: Recovery | None = None
        self._pending = PendingBatches()
        self._connector: Connector | None = None
        self._delivery: Delivery | None = None
        self._sync: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Raises SpoolError when the spool cannot be used."""
        settings, session = self._settings, self.session
        self._connector = Connector(
            self._address, settings.tls, settings.token, settings.metadata, settings.gzip
        )
        if settings.spool is not None:
            self._spool = Spool(
                settings.spool, session.device_id, session.session_id, settings.pending_bytes_max
            )
            self._pending.journal = self._spool.journal
            self._recovery = Recovery(self._spool, self._connector, settings, self._changed.notify)
        self._delivery = Delivery(
            session,
            self._pending,
            self._connector,
            settings,
            self._changed.notify,
            uptime=settings.uptime,
        )
        self._start(self._delivery.run)
        if self._recovery is not None:
            self._start(self._recovery.run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits up to `close_timeout` for acknowledgements, unless an exception or a cancellation ends the block. What
        is unsettled then stays in the spool; without one it is lost, and logged as an error."""
        try:
            if kind is None:
                with contextlib.suppress(asyncio.TimeoutError, ClientError):
                    await self.flush(self._settings.close_timeout)
        finally:
            if (lost := await self.close()) > 0:
                _log.error("the client is closed with %d records that no server acknowledged", lost)

    @property
    def unsettled(self) -> int:
        """Batches that are not settled yet, including those of earlier processes."""
        return len(self._pending) + (self._recovery.count if self._recovery is not None else 0)

    async def log(
        self,
        message: str,
        *,
        severity: int = Severity.INFO,
        logger: str = "",
        attributes: Mapping[str, object] | None = None,
        **more_attributes: object,
    ) -> None:
        """Logs one record, with the time of now; it is sent with others, see batch_interval. Waits as send() does."""
        await self.write(
            self.make_record(
                message, severity=severity, logger=logger, attributes={**(attributes or {}), **more_attributes}
            )
        )

    def make_record(
        self,
        message: str,
        *,
        severity: int = Severity.INFO,
        logger: str = "",
        attributes: Mapping[str, object] | None = None,
        time_unix_nano: int = 0,
    ) -> log_pb2.LogRecord:
        """Makes a record, by default with the time of now. Without a clock it has the uptime; once the clock is set,
        records have both, by which the server dates the earlier ones. `time_unix_nano` counts only with a clock."""
        now = self._settings.clock()
        if now > 0 and time_unix_nano > 0:
            now = time_unix_nano
        self._has_undated = self._has_undated or now == 0
        uptime = self._settings.uptime() if self._has_undated else 0
        return make_record(
            message,
            severity=severity,
            logger=logger,
            attributes=attributes,
            time_unix_nano=now,
            uptime_nano=uptime,
        )

    async def write(self, record: log_pb2.LogRecord | bytes) -> None:
        """Adds a record, encoded or not, to the batch that is being gathered."""
        encoded = record if isinstance(record, bytes) else record.SerializeToString()
        if len(encoded) > self._record_bytes_max:
            raise ValueError(f"a record of {len(encoded)} bytes, the limit is {self._record_bytes_max}")
        while not self._builder.fits(encoded):
            await self.send_gathered()
        self._check()
        self._builder.add(encoded)
        if self._builder.is_full:
            await self.send_gathered()
        elif self._gathering is None or self._gathering.done():
            self._gathering = self._start(self._send_later)

    async def send_gathered(self) -> None:
        """Sends the batch that is being gathered, if it has records."""
        await self._send(self._builder.take, None)

    async def send(self, records: Iterable[log_pb2.LogRecord | bytes], note: object = None) -> int:
        """Numbers and keeps one batch, and returns its number. Waits while the limit of pending batches is reached,
        which is the backpressure. A call that is cancelled while it waits used no number; with
        `spool_sync_interval=0`, one that is cancelled while it waits for the disk has sent its batch. Raises
        ClientError once the client failed or is closed, SpoolError when the disk refuses the batch, ValueError for
        one that is too large: none of them used a number."""
        encoded = [each if isinstance(each, bytes) else each.SerializeToString() for each in records]
        if not encoded:
            raise ValueError("a batch without records")
        await self.send_gathered()
        return await self._send(lambda: encoded, note)

    async def flush(self, timeout: float | None = None) -> None:
        """Returns when nothing is unsettled; raises asyncio.TimeoutError after `timeout` seconds."""

        async def flushed() -> None:
            await self.send_gathered()
            await self._until(lambda: self.unsettled == 0)

        await within(timeout, flushed())

    async def close(self) -> int:
        """Stops at once. What is unsettled stays in the spool, or is lost without one: flush() first. Returns how many
        records are lost."""
        was_open = self._failure is None
        self._failure = self._failure or "the client is closed"
        if was_open and self._delivery is not None:
            with contextlib.suppress(SpoolError, ValueError):
                self._add(self._builder.take(), None)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connector is not None:
            self._connector.close()
        lost = self._pending.record_count
        if self._spool is not None:
            lost = 0
            with contextlib.suppress(SpoolError):
                self._spool.journal.sync()
            self._spool.close(is_empty=len(self._pending) == 0)
            self._spool = None
        self._changed.notify()
        return lost if was_open else 0

    def set_device(
        self, *, firmware: str = "", hardware: str = "", site: str = "", attributes: Mapping[str, object] | None = None
    ) -> None:
        """Sends what the device says about itself, all of it, with the next batch. Raises ValueError for a text that a
        server would refuse."""
        self._device = make_device(firmware, hardware, site, attributes or {})
        self._device_sequence = 0

    def declare_lost(self, reason: str) -> None:
        """Declares that records were lost before they had a number: uses one number, and says so to the server."""
        self._check()
        sequence = self._sequence + 1
        payload = self._store(sequence, sequence, 0, encode_drop(self.session, sequence, sequence, reason))
        self._sequence = sequence
        self._keep(Entry(sequence, 0, payload, dropped_until=sequence))
        self._emit(Dropped(self.session.session_id, sequence, sequence, reason, False))

    async def _send(self, take: Callable[[], list[bytes]], note: object) -> int:
        self._check()
        if not self._settings.drops_oldest:
            async with self._senders:  # in the order of the calls
                await self._until(self._has_capacity)
                sequence = self._add(take(), note)
        else:
            sequence = self._add(take(), note)
            self._drop_oldest()
        if self._spool is not None and self._settings.spool_sync_interval == 0:
            await self._in_thread(self._spool.journal.sync)
        return sequence

    def _add(self, records: list[bytes], note: object) -> int:
        """Numbers a batch and hands it to the delivery, or does neither."""
        if not records:
            return self._sequence
        sequence = self._sequence + 1
        device = self._device if self._device_sequence == 0 and self._device.ByteSize() > 0 else None
        try:
            encoded = encode_batch(self.session, sequence, records, self._attributes, device)
        except ValueError:
            if device is None:
                raise
            device = None  # another batch has room for it
            encoded = encode_batch(self.session, sequence, records, self._attributes)
        payload = self._store(sequence, 0, len(records), encoded)
        self._sequence = sequence
        if device is not None:
            self._device_sequence = sequence
        self._keep(Entry(sequence, len(records), payload, note))
        return sequence

    def _store(self, sequence: int, dropped_until: int, record_count: int, encoded: bytes) -> Payload:
        if self._spool is None:
            return InMemory(encoded)
        try:
            spooled = self._spool.journal.append(sequence, dropped_until, record_count, encoded)
        except SpoolError as error:
            if not self._settings.drops_oldest:
                raise
            self._emit(SpoolProblem(str(error)))  # the limits alone decide what is lost
            return InMemory(encoded)
        if self._settings.spool_sync_interval > 0 and self._sync is None:
            self._sync = self._start(self._sync_later)
        return spooled

    def _keep(self, entry: Entry) -> None:
        assert self._delivery is not None
        if len(self._pending) == 0:
            self._delivery.begin()
        self._pending.add(entry)
        self._delivery.wake()

    def _drop_oldest(self) -> None:
        assert self._delivery is not None
        count_max = -(-self._settings.pending_batches_max // 8)
        deliveries = [*(self._recovery.deliveries if self._recovery is not None else ()), self._delivery]
        for delivery in deliveries:
            drop_oldest(delivery, self._is_over, count_max)

    def _has_capacity(self) -> bool:
        settings = self._settings
        return self.unsettled < settings.pending_batches_max and self._bytes < settings.pending_bytes_max

    def _is_over(self) -> bool:
        settings = self._settings
        return self.unsettled > settings.pending_batches_max or self._bytes > settings.pending_bytes_max

    @property
    def _bytes(self) -> int:
        return self._pending.bytes + (self._recovery.bytes if self._recovery is not None else 0)

    async def _until(self, condition: Callable[[], bool]) -> None:
        await self._changed.until(lambda: self._failure is not None or condition())
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise ClientError(self._failure, self.unsettled)
        if self._delivery is None:
            raise ClientError("enter the client first: async with client", 0)

    async def _send_later(self) -> None:
        await asyncio.sleep(self._settings.batch_interval)
        await self.send_gathered()

    async def _sync_later(self) -> None:
        await asyncio.sleep(self._settings.spool_sync_interval)
        self._sync = None
        if self._spool is not None:
            await self._in_thread(self._spool.journal.sync)

    @staticmethod
    async def _in_thread(function: Callable[[], None]) -> None:
        """At the exit of the interpreter no executor accepts work: it blocks the loop then."""
        try:
            future = asyncio.get_running_loop().run_in_executor(None, function)
        except RuntimeError:
            function()
        else:
            await future

    def _start(self, work: Callable[[], Coroutine[object, object, object]]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await work()
            except SpoolError as error:
                self._emit(SpoolProblem(str(error)))
            except ClientError:
                pass  # every later call says so
            except DeliveryFailed as error:
                self._fail(str(error))
            except Exception as error:
                _log.exception("the client failed")
                self._fail(f"{type(error).__name__}: {error}")

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _emit(self, event: Event) -> None:
        if self._has_lost_device(event):
            self._device_sequence = 0  # the next batch carries it
        try:
            self._on_event(event)
        except Exception:
            _log.exception("on_event raised an exception for %r", event)

    def _has_lost_device(self, event: Event) -> bool:
        """Whether the batch with the DeviceInfo will not be stored. A DeviceInfo that is itself refused is not sent
        again: it would take every batch with it."""
        if isinstance(event, Dropped):
            return not event.recovered and event.first <= self._device_sequence <= event.last
        if not isinstance(event, Refused) or event.batch.recovered:
            return False
        is_reason = event.error.field.startswith("batch.device.")
        return event.batch.sequence == self._device_sequence and not is_reason

    def _fail(self, message: str) -> None:
        if self._failure is None:
            self._failure = message
            self._emit(Failed(message))
            self._changed.notify()
