"""The options of a client."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from ._connector import Token
from ._events import Event

MEBIBYTE = 1 << 20


def uptime_nano() -> int:
    """Nanoseconds since the machine booted, including the time it slept; 0 where the system does not say."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else 0


class ClientOptions(TypedDict, total=False):
    """All times are in seconds."""

    # What is reported: see fleetlog.Event. Called on the client's event loop; must not raise.
    on_event: Callable[[Event], None]
    # Default: random, as the protocol expects. One session is one lifetime of the client.
    session_id: str
    # Attributes of every record of the session, such as the boot reason.
    attributes: Mapping[str, object]
    # What the device says about itself, sent with the first batch.
    firmware: str
    hardware: str
    site: str
    device_attributes: Mapping[str, object]
    # True: the system's certificates. A context can hold a client certificate. Default: no TLS.
    tls: ssl.SSLContext | bool
    # Sent as "authorization: Bearer …". A function, or coroutine function, is asked for every stream.
    token: Token
    # Further headers of every call.
    metadata: Mapping[str, str]
    # Compresses what is sent. Default: no.
    gzip: bool
    # When a batch is settled: on disk at the server (accepted, the default) or in PostgreSQL (committed).
    keep_until: Literal["accepted", "committed"]
    # A folder that keeps pending batches across processes. Default: memory only.
    spool: str | os.PathLike[str]
    # How long a spooled batch may stay in the kernel before it is on disk; a loss of power can cost that much. 0: send()
    # waits for the disk. Default 1.
    spool_sync_interval: float
    # The limit of pending batches, in memory or in the spool, including those of earlier processes. Default 1,024 and
    # 64 MiB; the limits in flight without a spool, "committed" and "drop-oldest".
    pending_batches_max: int
    pending_bytes_max: int
    # What send() does at that limit: wait (the default), or drop the oldest batches that were never sent and declare
    # them to the server.
    on_full: Literal["wait", "drop-oldest"]
    # When log() closes a batch: 500 records, 256 KiB, or the first record is 1 s old.
    batch_records_max: int
    batch_bytes_max: int
    batch_interval: float
    # Batches in flight; default and server's limit 32 and 4 MiB.
    in_flight_batches_max: int
    in_flight_bytes_max: int
    # Without an acknowledgement for this long the connection counts as dead. Default 30.
    ack_timeout: float
    # Without progress for this long the oldest accepted batches are sent again. Default 60.
    commit_timeout: float
    # How often the server is asked when its progress cannot be trusted. Default 2.
    commit_poll_interval: float
    # How long to continue without any acknowledgement, None: without limit. Default 300; without limit with a spool or
    # "drop-oldest".
    give_up_after: float | None
    # The delay between attempts, with full jitter: up to 0.1, doubling to 5.
    backoff_base: float
    backoff_cap: float
    # How long `async with` waits for acknowledgements at its end. Default 30.
    close_timeout: float
    # The time in nanoseconds since 1970, 0 while it is unknown: records then carry the uptime. Default time.time_ns.
    clock: Callable[[], int]
    # Nanoseconds since the boot of the device, 0 if unknown. Default: the system's, where it has one.
    uptime: Callable[[], int]


@dataclass(frozen=True)
class Settings:
    """The options with their defaults."""

    on_event: Callable[[Event], None] = lambda event: None
    session_id: str = ""
    attributes: Mapping[str, object] = field(default_factory=dict)
    firmware: str = ""
    hardware: str = ""
    site: str = ""
    device_attributes: Mapping[str, object] = field(default_factory=dict)
    tls: ssl.SSLContext | bool = False
    token: Token | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    gzip: bool = False
    keep_until: str = "accepted"
    spool: str | os.PathLike[str] | None = None
    spool_sync_interval: float = 1.0
    pending_batches_max: int = 1_024
    pending_bytes_max: int = 64 * MEBIBYTE
    on_full: str = "wait"
    batch_records_max: int = 500
    batch_bytes_max: int = 256 * 1024
    batch_interval: float = 1.0
    in_flight_batches_max: int = 32
    in_flight_bytes_max: int = 4 * MEBIBYTE
    ack_timeout: float = 30.0
    commit_timeout: float = 60.0
    commit_poll_interval: float = 2.0
    give_up_after: float | None = None
    backoff_base: float = 0.1
    backoff_cap: float = 5.0
    close_timeout: float = 30.0
    clock: Callable[[], int] = time.time_ns
    uptime: Callable[[], int] = uptime_nano

    @property
    def drops_oldest(self) -> bool:
        return self.on_full == "drop-oldest"

    @property
    def keeps_until_committed(self) -> bool:
        return self.keep_until == "committed"


def read_settings(options: ClientOptions) -> Settings:
    """Raises ValueError for a value that is not possible, TypeError for an option that does not exist."""
    buffers_more = (
        options.get("spool") is not None
        or options.get("keep_until") == "committed"
        or options.get("on_full") == "drop-oldest"
    )
    given: ClientOptions = {**options}
    if not buffers_more:
        given.setdefault("pending_batches_max", options.get("in_flight_batches_max", Settings.in_flight_batches_max))
        given.setdefault("pending_bytes_max", options.get("in_flight_bytes_max", Settings.in_flight_bytes_max))
    if options.get("spool") is None and options.get("on_full") != "drop-oldest":
        given.setdefault("give_up_after", 300.0)
    settings = Settings(**given)
    for name, known in (("keep_until", ("accepted", "committed")), ("on_full", ("wait", "drop-oldest"))):
        if getattr(settings, name) not in known:
            raise ValueError(f"{name}: {getattr(settings, name)!r}, expected {' or '.join(map(repr, known))}")
    for name in _POSITIVE:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name}: {value} is not above 0")
    return settings


_POSITIVE = (
    "pending_batches_max",
    "pending_bytes_max",
    "in_flight_batches_max",
    "in_flight_bytes_max",
    "batch_interval",
    "ack_timeout",
    "commit_timeout",
    "commit_poll_interval",
    "give_up_after",
    "backoff_base",
    "backoff_cap",
    "close_timeout",
)
