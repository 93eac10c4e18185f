"""Sends the logs of a device to Fleetlog: an asyncio client and a logging.Handler."""

from ._client import Client, ClientError
from ._events import (
    Acknowledged,
    Batch,
    Committed,
    Delayed,
    Dropped,
    Event,
    Failed,
    Reconnecting,
    Refused,
    Released,
    SpoolProblem,
)
from ._handler import Handler
from ._options import ClientOptions
from ._records import Severity, make_record
from ._spool_frames import SpoolError

__all__ = [
    "Acknowledged",
    "Batch",
    "Client",
    "ClientError",
    "ClientOptions",
    "Committed",
    "Delayed",
    "Dropped",
    "Event",
    "Failed",
    "Handler",
    "Reconnecting",
    "Refused",
    "Released",
    "Severity",
    "SpoolError",
    "SpoolProblem",
    "make_record",
]
