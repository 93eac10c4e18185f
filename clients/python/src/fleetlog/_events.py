"""What a client reports to `on_event`."""

from __future__ import annotations

from dataclasses import dataclass

from .v1 import ingest_pb2


@dataclass(frozen=True)
class Batch:
    """A numbered batch. `note` is what the caller passed to `send`; a batch that an earlier process left in the spool
    is `recovered` and has none."""

    session_id: str
    sequence: int
    record_count: int
    note: object
    recovered: bool


@dataclass(frozen=True)
class Acknowledged:
    """The batch is on disk at the server. `ack.rejections` lists the first rejected records, `ack.rejected` counts
    all; the server keeps them in dead_letters."""

    batch: Batch
    ack: ingest_pb2.Ack


@dataclass(frozen=True)
class Committed:
    """The batch is in PostgreSQL. Only with keep_until="committed"."""

    batch: Batch


@dataclass(frozen=True)
class Refused:
    """The server refuses the whole batch for good: its number is declared as dropped, and the client continues."""

    batch: Batch
    error: ingest_pb2.BatchError


@dataclass(frozen=True)
class Delayed:
    """The server asks for the batch later; it is sent again."""

    batch: Batch
    error: ingest_pb2.BatchError


@dataclass(frozen=True)
class Dropped:
    """The client gave up these batches, or records that had no number yet, and declares it to the server."""

    session_id: str
    first: int
    last: int
    reason: str
    recovered: bool


@dataclass(frozen=True)
class Released:
    """The limit is reached: the batch is acknowledged and no longer kept until it is committed."""

    batch: Batch


@dataclass(frozen=True)
class Reconnecting:
    """The connection was lost, or could not be opened, while batches are pending. The next attempt is in
    `delay` seconds."""

    attempt: int
    delay: float
    code: int
    reason: str


@dataclass(frozen=True)
class SpoolProblem:
    """A file of the spool is damaged, or the disk refuses writes."""

    message: str


@dataclass(frozen=True)
class Failed:
    """The client stopped; every later call raises ClientError with the same message."""

    message: str


Event = (
    Acknowledged
    | Committed
    | Refused
    | Delayed
    | Dropped
    | Released
    | Reconnecting
    | SpoolProblem
    | Failed
)
