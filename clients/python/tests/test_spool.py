import multiprocessing
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from fleetlog._pending import Entry, PendingBatches
from fleetlog._sequence_ranges import SequenceRanges
from fleetlog._spool import Spool
from fleetlog._spool_frames import BATCH_OVERHEAD, BatchFrame, SpoolError
from fleetlog._spool_journal import SEGMENT_BYTES_MAX, Segment


def keep(spool: Spool, *sequences: int, size: int = 10) -> PendingBatches:
    pending = PendingBatches(spool.journal)
    for sequence in sequences:
        encoded = bytes([sequence % 256]) * size
        pending.add(Entry(sequence, 1, spool.journal.append(sequence, 0, 1, encoded)))
    return pending


class SpoolTest(unittest.TestCase):
    def setUp(self) -> None:
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name) / "spool"

    def open(self, session: str = "next") -> Spool:
        spool = Spool(self.folder, "device", session, 64 << 20)
        self.addCleanup(spool.close, False)
        return spool

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*/*.spool"))

    def recovered(self, spool: Spool) -> dict[str, list[int]]:
        return {
            each.session.session_id: sorted(each.pending._entries) for each in spool.recovered
        }

    def test_gives_the_next_process_what_is_not_settled(self) -> None:
        spool = self.open("first")
        pending = keep(spool, 1, 2, 3, 4)
        pending.write_next()
        pending.settle(pending.write_next())
        spool.close(is_empty=False)
        following = self.open()
        self.assertEqual(self.recovered(following), {"first": [1, 3, 4]})
        entries = following.recovered[0].pending._entries
        self.assertEqual(entries[3].payload.read(), b"\3" * 10)
        self.assertEqual([entries[sequence].was_written for sequence in (1, 3, 4)], [True, False, False])

    def test_remembers_what_was_written_when_the_file_of_the_mark_goes(self) -> None:
        spool = self.open("first")
        pending = keep(spool, 1)
        pending.write_next()
        keep(spool, *range(2, 8), size=1 << 20)  # into a second file
        for sequence in range(2, 7):
            spool.journal.settled(sequence)
        spool.journal.compact(0)
        spool.close(is_empty=False)
        following = self.open("second")
        entries = following.recovered[0].pending._entries
        self.assertEqual([entries[sequence].was_written for sequence in (1, 7)], [True, False])
        following.recovered[0].journal.compact(0)
        following.close(is_empty=False)
        entries = self.open("third").recovered[0].pending._entries
        self.assertEqual([entries[sequence].was_written for sequence in (1, 7)], [True, False])

    def test_gives_declarations_in_place_of_the_batches_that_they_drop(self) -> None:
        spool = self.open("first")
        keep(spool, 1, 2, 3)
        spool.journal.append(1, 2, 0, b"declaration")
        spool.close(is_empty=False)
        self.assertEqual(self.recovered(self.open()), {"first": [1, 3]})

    def test_loses_only_the_frame_that_is_torn(self) -> None:
        spool = self.open("first")
        keep(spool, 1, 2, 3)
        spool.close(is_empty=False)
        (file,) = self.files()
        os.truncate(file, file.stat().st_size - 1)
        following = self.open()
        self.assertEqual(self.recovered(following), {"first": [1, 2]})
        self.assertIn("no complete frame", following.problems[0])

    def test_survives_a_file_that_is_cut_anywhere_or_has_any_byte_changed(self) -> None:
        spool = self.open("first")
        keep(spool, 1, 2, 3)
        spool.close(is_empty=False)
        (file,) = self.files()
        whole = file.read_bytes()
        for at in range(0, len(whole), 7):
            for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]):
                file.parent.mkdir(exist_ok=True)
                for stale in self.folder.glob("*/*.damaged"):
                    stale.unlink()
                file.write_bytes(damaged)
                following = Spool(self.folder, "device", "next", 64 << 20)
                for session in following.recovered:
                    for entry in session.pending._entries.values():
                        self.assertEqual(entry.payload.read(), bytes([entry.sequence]) * 10)
                following.close(is_empty=True)

    def test_leaves_the_sessions_of_living_processes_alone(self) -> None:
        first = self.open("first")
        keep(first, 1)
        second = self.open("second")
        self.assertEqual(self.recovered(second), {})
        first.close(is_empty=False)
        second.recover()
        self.assertEqual(self.recovered(second), {"first": [1]})

    def test_does_not_stay_locked_by_the_child_of_a_fork(self) -> None:
        first = self.open("first")
        keep(first, 1)
        context = multiprocessing.get_context("fork")
        ready, done = context.Event(), context.Event()

        def child() -> None:
            ready.set()
            done.wait(60)

        process = context.Process(target=child)
        process.start()
        try:
            ready.wait(60)
            first.close(is_empty=False)
            self.assertEqual(self.recovered(self.open()), {"first": [1]})
        finally:
            done.set()
            process.join()

    def test_removes_files_whose_batches_are_settled_and_is_not_retained_by_a_single_one(self) -> None:
        spool = self.open("first")
        spool.journal._bytes_max = 2 * SEGMENT_BYTES_MAX
        size = SEGMENT_BYTES_MAX // 4
        pending = keep(spool, 1, size=size)
        for sequence in range(2, 80):
            payload = spool.journal.append(sequence, 0, 1, bytes(size))
            entry = Entry(sequence, 1, payload)
            pending.add(entry)
            pending.settle(entry)
        total = sum(file.stat().st_size for file in self.files())
        self.assertLess(total, 7 * SEGMENT_BYTES_MAX)
        self.assertEqual(pending._entries[1].payload.read(), b"\1" * size)
        spool.close(is_empty=False)
        self.assertEqual(self.recovered(self.open()), {"first": [1]})

    def test_is_private_and_says_so_when_it_is_not(self) -> None:
        spool = self.open()
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)
        keep(spool, 1)
        self.assertEqual(self.files()[0].stat().st_mode & 0o777, 0o600)
        self.folder.chmod(0o777)
        self.assertIn("chmod 700", self.open("other").problems[0])

    def test_says_why_it_cannot_be_used(self) -> None:
        self.folder.write_text("a file")
        with self.assertRaisesRegex(SpoolError, "cannot be used"):
            self.open()

    def test_takes_over_any_number_of_sessions_a_bounded_number_at_a_time(self) -> None:
        living = [self.open(f"run-{run}") for run in range(12)]
        for spool in living:
            keep(spool, 1)
        for spool in living:
            spool.close(is_empty=False)
        with mock.patch("fleetlog._spool._RECOVERED_MAX", 8):
            spool = self.open()
            self.assertEqual(list(self.recovered(spool)), [f"run-{run}" for run in range(8)])
            for session in list(spool.recovered):
                spool.remove_recovered(session)
            spool.recover()
            self.assertEqual(list(self.recovered(spool)), [f"run-{run}" for run in range(8, 12)])

    def test_cuts_off_what_the_disk_took_only_in_part(self) -> None:
        self.folder.mkdir()
        segment = Segment(self.folder / "00000001.spool")
        segment.append(BatchFrame(1, 0, 1, b"first"))
        size = segment.size
        with (self.folder / "00000001.spool").open("ab") as file:
            file.write(b"torn")
        segment._is_torn = True
        segment.append(BatchFrame(2, 0, 1, b"second"))
        self.assertEqual(segment.path.stat().st_size, segment.size)
        self.assertEqual(segment.read(size, 1000)[BATCH_OVERHEAD:], b"second")
        segment.close()


class SequenceRangesTest(unittest.TestCase):
    def test_count_each_sequence_once_in_any_order(self) -> None:
        ranges, members = SequenceRanges(), set[int]()
        for first, last in ((10, 12), (5, 5), (11, 20), (7, 7), (6, 6), (1, 1)):
            ranges.add(first, last)
            members.update(range(first, last + 1))
        for until in range(25):
            self.assertEqual(ranges.count_until(until), len([each for each in members if each <= until]))


if __name__ == "__main__":
    unittest.main()
