"""The batches that are not settled yet."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from ._sequence_ranges import SequenceRanges


class Payload(Protocol):
    """The bytes of an encoded LogBatch, in memory or in a spool."""

    @property
    def size(self) -> int: ...

    def read(self) -> bytes:
        """Raises SpoolError when the disk gives back something else than was written."""
        ...


@dataclass(frozen=True)
class InMemory:
    encoded: bytes

    @property
    def size(self) -> int:
        return len(self.encoded)

    def read(self) -> bytes:
        return self.encoded


class Journal(Protocol):
    """Keeps batches outside of memory; see SessionJournal."""

    def append(self, sequence: int, dropped_until: int, record_count: int, encoded: bytes) -> Payload: ...

    def written(self, sequence: int) -> None:
        """Batches up to this one may have been received."""
        ...

    def settled(self, sequence: int) -> None: ...


class State(Enum):
    UNSENT = 1
    IN_FLIGHT = 2
    # Acknowledged, and kept until it is committed.
    ACCEPTED = 3


@dataclass(eq=False)
class Entry:
    """A batch or, with `dropped_until`, a declaration that replaces the batches from `sequence` to that one."""

    sequence: int
    record_count: int
    payload: Payload
    note: object = None
    dropped_until: int = 0
    state: State = State.UNSENT
    # It was written on a connection and may have arrived: its number must not get another meaning.
    was_written: bool = False
    was_acknowledged: bool = False
    epoch: int | None = None

    @property
    def last(self) -> int:
        return self.dropped_until or self.sequence


@dataclass
class PendingBatches:
    """Every unsettled batch of one session, by sequence."""

    journal: Journal | None = None
    bytes: int = 0
    accepted_count: int = 0
    _entries: dict[int, Entry] = field(default_factory=dict)
    # May hold entries that are no longer unsent; they are skipped.
    _unsent: list[tuple[int, int, Entry]] = field(default_factory=list)
    # What this device declared as dropped, settled or not.
    _declared: SequenceRanges = field(default_factory=SequenceRanges)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def record_count(self) -> int:
        return sum(entry.record_count for entry in self._entries.values())

    @property
    def next_unsent(self) -> Entry | None:
        while self._unsent:
            entry = self._unsent[0][2]
            if entry.state is State.UNSENT and self._entries.get(entry.sequence) is entry:
                return entry
            heapq.heappop(self._unsent)
        return None

    def declared_drops_until(self, sequence: int) -> int:
        return self._declared.count_until(sequence)

    def add(self, entry: Entry) -> None:
        self._entries[entry.sequence] = entry
        self.bytes += entry.payload.size
        if entry.dropped_until:
            self._declared.add(entry.sequence, entry.dropped_until)
        self._push(entry)

    def write_next(self) -> Entry:
        """Marks `next_unsent` as in flight and returns it."""
        entry = self.next_unsent
        assert entry is not None
        heapq.heappop(self._unsent)
        entry.state = State.IN_FLIGHT
        if not entry.was_written:
            entry.was_written = True
            if self.journal is not None:
                self.journal.written(entry.last)
        return entry

    def write_again(self, entry: Entry) -> None:
        if entry.state is State.ACCEPTED:
            self.accepted_count -= 1
        entry.state = State.UNSENT
        entry.epoch = None
        self._push(entry)

    def write_all_again(self) -> None:
        """The connection ended."""
        for entry in self._in_state(State.IN_FLIGHT):
            self.write_again(entry)

    def accept(self, entry: Entry, epoch: int | None) -> None:
        entry.state = State.ACCEPTED
        entry.epoch = epoch
        self.accepted_count += 1

    def write_other_epochs_again(self, epoch: int) -> int:
        """Batches that were accepted in another epoch may be lost. Returns how many there are."""
        lost = [entry for entry in self._in_state(State.ACCEPTED) if entry.epoch != epoch]
        for entry in lost:
            self.write_again(entry)
        return len(lost)

    def write_oldest_accepted_again(self, count_max: int) -> None:
        for entry in self._in_state(State.ACCEPTED)[:count_max]:
            self.write_again(entry)

    def commit(self, is_committed: Callable[[Entry], bool]) -> Sequence[Entry]:
        """Settles the accepted batches that `is_committed` selects, and returns them."""
        committed = [entry for entry in self._in_state(State.ACCEPTED) if is_committed(entry)]
        for entry in committed:
            self.settle(entry)
        return committed

    def release_oldest_accepted(self) -> Entry | None:
        for entry in self._in_state(State.ACCEPTED):
            self.settle(entry)
            return entry
        return None

    def settle(self, entry: Entry) -> None:
        self._remove(entry)
        if self.journal is not None:
            self.journal.settled(entry.sequence)

    def oldest_unwritten(self, count_max: int) -> Sequence[Entry]:
        """The oldest batches that were never written, with the declarations among them, without a gap."""
        entries: list[Entry] = []
        count = 0
        for entry in self._in_state(State.UNSENT):
            if entry.was_written:
                continue
            if not entry.dropped_until:
                count += 1
                if count > count_max:
                    break
            if entries and entries[-1].last + 1 != entry.sequence:
                break
            entries.append(entry)
        return entries

    def replace(self, entries: Sequence[Entry], declaration: Entry) -> None:
        """Puts a declaration with the first number in their place. With a journal the declaration is in it already,
        and supersedes them there."""
        for entry in entries:
            self._remove(entry)
        self.add(declaration)

    def _remove(self, entry: Entry) -> None:
        if self._entries.get(entry.sequence) is not entry:
            return
        del self._entries[entry.sequence]
        self.bytes -= entry.payload.size
        if entry.state is State.ACCEPTED:
            self.accepted_count -= 1

    def _push(self, entry: Entry) -> None:
        heapq.heappush(self._unsent, (entry.sequence, id(entry), entry))

    def _in_state(self, state: State) -> list[Entry]:
        return sorted(
            (entry for entry in self._entries.values() if entry.state is state),
            key=lambda entry: entry.sequence,
        )
