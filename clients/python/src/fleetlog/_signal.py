"""Waiting for a condition in asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signal:
    """Wakes everything that waits for a condition, so that it looks again."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns once `condition` holds; it is evaluated now and after every notification."""
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
