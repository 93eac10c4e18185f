"""A logging.Handler."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from ._client import Client, ClientError
from ._encoding import RECORD_BYTES_MAX
from ._handler_record import to_record
from ._options import ClientOptions
from ._signal import Signal
from ._spool_frames import SpoolError

if TYPE_CHECKING:
    from typing_extensions import Unpack

_QUEUE_RECORDS_MAX = 100_000
_QUEUE_BYTES_MAX = 16 << 20
_JOIN_SECONDS = 2.0


class Handler(logging.Handler):
    """Sends log records to Fleetlog from a thread of its own.

        logging.getLogger().addHandler(fleetlog.Handler("web-1", "logs.example.com:50051", firmware="2.1.0"))

    `emit` waits neither for the network nor for the disk. The options are those of Client; by default `on_full` is
    "drop-oldest", and what is dropped is declared to the server. The child of a fork has a session of its own.
    A formatter is ignored, because records are sent as fields (and logging.basicConfig sets one).
    """

    def __init__(
        self,
        device_id: str,
        address: str = "127.0.0.1:50051",
        *,
        level: int | str = logging.NOTSET,
        flush_level: int = logging.ERROR,
        exit_timeout: float = 5.0,
        **options: Unpack[ClientOptions],
    ) -> None:
        """A record of `flush_level` or above is sent at once, with what was gathered before it. `exit_timeout` is how
        long flush(), close() and the exit of the interpreter wait for acknowledgements. Raises ValueError for an option
        that is not possible."""
        super().__init__(level)
        options.setdefault("on_full", "drop-oldest")
        self._device_id = device_id
        self._address = address
        self._options = options
        self._flush_level = flush_level
        self._exit_timeout = exit_timeout
        self._reset()
        _handlers.add(self)

    def handle(self, record: logging.LogRecord) -> bool:
        """Own records never wait for the handler's lock: the exit of the interpreter holds it while it flushes."""
        return False if self._is_own(record) else bool(super().handle(record))

    def emit(self, record: logging.LogRecord) -> None:
        if self._is_closed:
            return
        try:
            encoded = to_record(record, self._client).SerializeToString()
            self._put(encoded, record.levelno >= self._flush_level)
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Waits up to `exit_timeout` until everything logged before is acknowledged; see wait()."""
        self.wait(self._exit_timeout)

    def wait(self, timeout: float) -> bool:
        """Whether everything logged before is settled, within `timeout` seconds."""
        with self._lock:
            loop, thread = self._loop, self._thread
        if loop is None or thread is threading.current_thread():
            return True
        flushed = asyncio.run_coroutine_threadsafe(self._flush(), loop)
        try:
            flushed.result(timeout)
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError, ClientError):
            flushed.cancel()
            self._has_waited = True
            return False
        return True

    def close(self) -> None:
        """Flushes, unless flush() has just failed, and ends the thread. Unacknowledged records stay in the spool, if
        there is one."""
        if not self._has_waited:
            self.flush()
        with self._lock:
            self._is_closed = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None and thread is not threading.current_thread():
            loop.call_soon_threadsafe(self._wake.notify)
            thread.join(_JOIN_SECONDS)
        super().close()

    def _reset(self) -> None:
        """For a new process: nothing of its parent's connection, spool or queue."""
        self._client = Client(self._device_id, self._address, **self._options)
        # Reentrant, because a signal's handler may log within it.
        self._lock = threading.RLock()
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._queue_bytes = 0
        self._lost = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # The thread that is starting ours, if one is.
        self._starter_id: int | None = None
        self._wake = Signal()
        self._is_awake = False
        self._sending = asyncio.Lock()
        self._has_waited = False
        self._is_closed = False

    def _is_own(self, record: logging.LogRecord) -> bool:
        """What the handler's own work logs, asyncio's debug messages among them, would never end."""
        thread_id = threading.get_ident()
        is_own_thread = self._thread is not None and self._thread.ident == thread_id
        return is_own_thread or self._starter_id == thread_id or record.name.partition(".")[0] == "fleetlog"

    def _put(self, encoded: bytes, is_urgent: bool) -> None:
        with self._lock:
            is_full = len(self._queue) >= _QUEUE_RECORDS_MAX or self._queue_bytes >= _QUEUE_BYTES_MAX
            if is_full or len(encoded) > RECORD_BYTES_MAX:
                self._lost += 1
            else:
                self._queue.append((encoded, is_urgent))
                self._queue_bytes += len(encoded)
            self._has_waited = False
            loop = self._loop or self._start()
            if not self._is_awake:
                self._is_awake = True
                loop.call_soon_threadsafe(self._wake.notify)

    def _start(self) -> asyncio.AbstractEventLoop:
        self._starter_id = threading.get_ident()
        try:
            self._loop = loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run_loop, args=(loop, self._run()), name="fleetlog", daemon=True)
            self._thread.start()
            _close_at_process_exit(self)
        finally:
            self._starter_id = None
        return loop

    async def _run(self) -> None:
        async with self._sending:
            await self._open()
        try:
            while not self._is_closed or self._queue:
                await self._wake.until(lambda: self._is_awake or self._is_closed)
                self._is_awake = False
                await self._send_queue()
        except ClientError as error:
            self._report(f"no further records are sent: {error}")
        lost = await self._client.close()
        if lost > 0:
            self._report(f"closed with {lost} records that no server acknowledged")

    async def _open(self) -> None:
        try:
            await self._client.__aenter__()
        except SpoolError as error:
            self._report(f"continues without a spool: {error}")
            options: ClientOptions = {**self._options}
            del options["spool"]
            self._client = Client(self._device_id, self._address, **options)
            await self._client.__aenter__()

    async def _send_queue(self) -> None:
        async with self._sending:
            await self._send_all()

    async def _send_all(self) -> None:
        is_urgent = False
        for turn in range(len(self._queue)):
            with self._lock:
                encoded, is_record_urgent = self._queue.popleft()
                self._queue_bytes -= len(encoded)
            is_urgent = is_urgent or is_record_urgent
            await self._write(self._client.write(encoded))
            if turn % 100 == 99:
                await asyncio.sleep(0)  # the network has its turn
        with self._lock:
            lost, self._lost = self._lost, 0
        if lost > 0:
            await self._write(self._client.send_gathered())
            self._client.declare_lost(f"{lost} records were logged faster than they could be sent, or too large")
        if is_urgent:
            await self._write(self._client.send_gathered())

    async def _write(self, work: Coroutine[object, object, object]) -> None:
        try:
            await work
        except (SpoolError, ValueError) as error:
            self._report(f"a batch is lost: {error}")

    async def _flush(self) -> None:
        await self._send_queue()
        await self._client.flush()

    def _report(self, message: str) -> None:
        """As logging does with the errors of a handler: on stderr."""
        if logging.raiseExceptions and sys.stderr is not None:
            print(f"fleetlog.Handler of {self._device_id}: {message}", file=sys.stderr)


def _run_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[object, object, object]) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


def _close_at_process_exit(handler: Handler) -> None:
    """A child of multiprocessing ends without atexit, by which logging closes its handlers."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(handler, handler.close, exitpriority=0)


_handlers: weakref.WeakSet[Handler] = weakref.WeakSet()
# What the parent's thread was doing must never be collected in a child: it would run its ends, on the parent's files.
_abandoned: list[object] = []


def _reset_all() -> None:
    for handler in list(_handlers):
        _abandoned.append((handler._loop, handler._client, handler._thread, handler._wake))
        handler._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
