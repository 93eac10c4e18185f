"""Frees capacity by giving up the oldest batches."""

from __future__ import annotations

from collections.abc import Callable

from ._delivery import Delivery

REASON = "spool full"


def drop_oldest(delivery: Delivery, is_over: Callable[[], bool], count_max: int) -> None:
    """Accepted batches go first, because they are on disk at the server. Then the oldest that were never written are
    replaced, `count_max` at once, by one declaration, which absorbs the one before it if that was not sent either.
    Written batches stay: they may be stored, and one number must not mean two batches. So what is in flight and one
    declaration may exceed the limit.
    """
    while is_over():
        if not delivery.release_oldest():
            break
    while is_over():
        given = delivery.pending.oldest_unwritten(count_max)
        if all(entry.dropped_until for entry in given):
            return
        delivery.declare(given, REASON)
