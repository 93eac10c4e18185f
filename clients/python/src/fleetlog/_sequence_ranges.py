"""A set of sequences."""

from __future__ import annotations

_RANGES_MAX = 1_000


class SequenceRanges:
    """Kept as ranges; beyond 1,000 of them the lowest are forgotten."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []

    def add(self, first: int, last: int) -> None:
        """Both ends included."""
        below = [each for each in self._ranges if each[1] < first - 1]
        above = [each for each in self._ranges if each[0] > last + 1]
        for low, high in self._ranges[len(below) : len(self._ranges) - len(above)]:
            first, last = min(first, low), max(last, high)
        self._ranges = [*below, (first, last), *above][-_RANGES_MAX:]

    def count_until(self, until: int) -> int:
        """How many of its sequences are at most `until`."""
        return sum(max(0, min(last, until) - first + 1) for first, last in self._ranges)
