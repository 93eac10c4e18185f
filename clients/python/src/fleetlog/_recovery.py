"""Delivers what earlier processes left in a spool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ._connector import Connector
from ._delivery import Delivery
from ._events import SpoolProblem
from ._options import Settings
from ._spool import RecoveredSession, Spool, boot_id
from .v1 import ingest_pb2

# How often sessions are looked for whose process has ended meanwhile.
_LOOK_SECONDS = 60.0


class Recovery:
    """One session after the other, under its old name and numbers. All of it is sent, whatever the server has of the
    session: another sender may have sent batches in its name, and only an ack for these bytes proves that they arrived.
    """

    def __init__(
        self, spool: Spool, connector: Connector, settings: Settings, on_change: Callable[[], None]
    ) -> None:
        self._spool = spool
        self._connector = connector
        self._settings = settings
        self._on_change = on_change
        self._deliveries: dict[int, Delivery] = {}
        self._add()

    @property
    def count(self) -> int:
        return sum(len(each.pending) for each in self._spool.recovered)

    @property
    def bytes(self) -> int:
        return sum(each.pending.bytes for each in self._spool.recovered)

    @property
    def deliveries(self) -> list[Delivery]:
        return list(self._deliveries.values())

    async def run(self) -> None:
        while True:
            while self._spool.recovered:
                session = self._spool.recovered[0]
                await self._deliveries[id(session)].run(until_empty=True)
                del self._deliveries[id(session)]
                self._spool.remove_recovered(session)
                self._on_change()
            await asyncio.sleep(_LOOK_SECONDS)
            self._spool.recover()
            self._add()

    def _add(self) -> None:
        for session in self._spool.recovered:
            if id(session) not in self._deliveries:
                self._deliveries[id(session)] = self._deliver(session)
        for problem in self._spool.problems:
            self._settings.on_event(SpoolProblem(problem))
        self._spool.problems.clear()

    def _deliver(self, recovered: RecoveredSession) -> Delivery:
        names = recovered.session
        # The uptime of another boot would date its records wrongly.
        is_same_boot = names.boot_id == boot_id() != ""
        return Delivery(
            ingest_pb2.SessionKey(device_id=names.device_id, session_id=names.session_id),
            recovered.pending,
            self._connector,
            self._settings,
            self._on_change,
            recovered=True,
            uptime=self._settings.uptime if is_same_boot else None,
        )
