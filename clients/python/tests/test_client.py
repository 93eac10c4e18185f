import asyncio
import socket
import tempfile
import unittest
from contextlib import closing

import fleetlog
from fleetlog._connector import parse_address
from fleetlog.v1 import ingest_pb2, log_pb2
from peer import Peer

NOWHERE = "127.0.0.1:1"


def record(message: str = "text") -> bytes:
    return fleetlog.make_record(message).SerializeToString()


class Capacity(unittest.IsolatedAsyncioTestCase):
    async def test_a_cancelled_send_has_used_no_number(self) -> None:
        async with fleetlog.Client("device", NOWHERE, pending_batches_max=2, close_timeout=0.01) as client:
            self.assertEqual([await client.send([record()]) for _ in range(2)], [1, 2])
            waiting = [asyncio.ensure_future(client.send([record()])) for _ in range(5)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            self.assertEqual((client.unsettled, client._sequence), (2, 2))
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(client.send([record()]), 0.01)
            self.assertEqual((client.unsettled, client._sequence), (2, 2))

    async def test_drop_oldest_never_waits_and_declares_what_it_drops(self) -> None:
        events: list[fleetlog.Event] = []
        options: fleetlog.ClientOptions = {
            "on_full": "drop-oldest",
            "on_event": events.append,
            "firmware": "1.0",
            "pending_batches_max": 8,
            "close_timeout": 0.01,
        }
        async with fleetlog.Client("device", NOWHERE, **options) as client:
            for _ in range(100):
                await client.send([record()])
            dropped = [each for each in events if isinstance(each, fleetlog.Dropped)]
            self.assertEqual(sum(each.last - each.first + 1 for each in dropped), 100 - (client.unsettled - 1))
            self.assertLessEqual(client.unsettled, 9)
            # What the device says about itself was in the first batch, and is in a later one now.
            batches = [entry.payload.read() for entry in client._pending._entries.values()]
            self.assertEqual(sum(b"1.0" in batch for batch in batches), 1)

    async def test_a_batch_beyond_the_limits_is_refused_before_it_has_a_number(self) -> None:
        async with fleetlog.Client("device", NOWHERE, close_timeout=0.01) as client:
            for records in ([], [bytes(1 << 20)], [record()] * 10_001):
                with self.assertRaises(ValueError):
                    await client.send(records)
            self.assertEqual(await client.send([record()]), 1)

    async def test_a_batch_that_the_disk_refuses_has_no_number(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with fleetlog.Client("device", NOWHERE, spool=folder, close_timeout=0.01) as client:
                await client.send([record()])
                assert client._spool is not None
                client._spool.journal._segments[0].close()
                client._spool.journal._segments[0].path = client._spool.journal.folder / "no" / "file"
                with self.assertRaises(fleetlog.SpoolError):
                    await client.send([record()])
                self.assertEqual(client._sequence, 1)


class Ends(unittest.IsolatedAsyncioTestCase):
    async def test_a_client_that_gives_up_fails_every_later_call(self) -> None:
        events: list[fleetlog.Event] = []
        options: fleetlog.ClientOptions = {"give_up_after": 0.05, "backoff_cap": 0.01, "on_event": events.append}
        async with fleetlog.Client("device", NOWHERE, **options) as client:
            await client.send([record()])
            for call in (client.flush(), client.send([record()]), client.log("text")):
                with self.assertRaisesRegex(fleetlog.ClientError, "no batch was acknowledged"):
                    await call
        self.assertIsInstance(events[-1], fleetlog.Failed)

    async def test_what_is_lost_at_the_end_is_logged(self) -> None:
        with self.assertLogs("fleetlog", "ERROR") as logs:
            async with fleetlog.Client("device", NOWHERE, close_timeout=0.01) as client:
                await client.log("gathered, not sent yet")
        self.assertIn("with 1 records", logs.output[0])

    async def test_a_block_that_is_cancelled_ends_at_once_and_keeps_its_batches_in_the_spool(self) -> None:
        with tempfile.TemporaryDirectory() as folder:

            async def work() -> None:
                async with fleetlog.Client("device", NOWHERE, spool=folder) as client:
                    await client.log("kept")
                    await asyncio.sleep(60)

            task = asyncio.ensure_future(work())
            await asyncio.sleep(0.05)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await asyncio.wait_for(task, 10)
            async with fleetlog.Client("device", NOWHERE, spool=folder, close_timeout=0.01) as client:
                self.assertEqual(client.unsettled, 1)

    async def test_an_exception_of_on_event_harms_nothing(self) -> None:
        def fail(event: fleetlog.Event) -> None:
            raise RuntimeError("a bug of the caller")

        with self.assertLogs("fleetlog", "ERROR"):
            options: fleetlog.ClientOptions = {"on_event": fail, "close_timeout": 0.05, "backoff_base": 0.001}
            async with fleetlog.Client("device", NOWHERE, **options) as client:
                await client.send([record()])
                await asyncio.sleep(0.02)
                self.assertEqual(client.unsettled, 1)

    async def test_a_server_that_accepts_and_is_silent_is_left(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            reconnects: list[str] = []

            def note(event: fleetlog.Event) -> None:
                if isinstance(event, fleetlog.Reconnecting):
                    reconnects.append(event.reason)

            options: fleetlog.ClientOptions = {"ack_timeout": 0.05, "on_event": note, "close_timeout": 0.01}
            async with fleetlog.Client("device", f"127.0.0.1:{server.getsockname()[1]}", **options) as client:
                await client.send([record()])
                while not reconnects:
                    await asyncio.sleep(0.01)
            self.assertIn("no acknowledgement within 0.05 s", reconnects[0])


class Device(unittest.IsolatedAsyncioTestCase):
    async def test_what_it_says_is_sent_again_after_its_batch_was_refused_unless_it_is_the_reason(self) -> None:
        for name, wanted in (
            ("batch.attributes", [True, True, False]),
            ("batch.device.firmware", [True, False, False]),
        ):

            def refuse(batch: log_pb2.LogBatch, name: str = name) -> ingest_pb2.BatchError | None:
                is_refused = batch.sequence == 1 and not batch.HasField("dropped")
                return ingest_pb2.BatchError(code=3, field=name, message="no good") if is_refused else None  # type: ignore[arg-type]

            async with Peer() as peer:
                peer.refuse_batch = refuse
                async with fleetlog.Client("device", peer.address, firmware="1.0") as client:
                    for _ in range(3):
                        await client.send([record()])
                        await client.flush(60)
                batches = [request.batch for request in peer.requests if not request.batch.HasField("dropped")]
                self.assertEqual([batch.device.firmware == "1.0" for batch in batches], wanted, name)

    async def test_what_leaves_no_room_for_it_is_sent_without(self) -> None:
        most = {f"name-{index}": "x" * 8_192 for index in range(64)}
        async with Peer() as peer:
            async with fleetlog.Client("device", peer.address, device_attributes=most) as client:
                await client.write(fleetlog.make_record("x" * 65_536, attributes=most))
                await client.write(record())
                await client.flush(60)
        self.assertEqual([request.batch.HasField("device") for request in peer.requests], [False, True])

    async def test_a_record_beside_which_the_attributes_of_all_have_no_room_is_refused_alone(self) -> None:
        most = {f"name-{index}": "x" * 8_192 for index in range(64)}
        async with Peer() as peer:
            async with fleetlog.Client("device", peer.address, attributes=most) as client:
                await client.write(record())
                with self.assertRaisesRegex(ValueError, "a record of 5[0-9]{5} bytes, the limit is 5[0-9]{5}"):
                    await client.write(fleetlog.make_record("x" * 65_536, attributes=most))
                await client.flush(60)
        self.assertEqual([len(request.batch.records) for request in peer.requests], [1])
        with self.assertRaisesRegex(ValueError, "^batch_bytes_max: 524288, and attributes of"):
            fleetlog.Client("device", attributes=most, batch_bytes_max=524_288)

    async def test_texts_that_a_server_would_refuse_are_refused_at_once(self) -> None:
        async with fleetlog.Client("device", NOWHERE, firmware="x" * 256, close_timeout=0.01) as client:
            for name in ("firmware", "hardware", "site"):
                for text in ("é" * 129, "a\0b", "\ud800"):
                    with self.assertRaisesRegex(ValueError, f"^{name}: "):
                        fleetlog.Client("device", **{name: text})  # type: ignore[arg-type]
                    with self.assertRaisesRegex(ValueError, f"^{name}: "):
                        client.set_device(**{name: text})  # type: ignore[arg-type]
            self.assertEqual(client._device.firmware, "x" * 256)


class Options(unittest.TestCase):
    def test_are_checked(self) -> None:
        for options in (
            {"keep_until": "stored"},
            {"on_full": "drop"},
            {"ack_timeout": 0},
            {"batch_records_max": 10_001},
            {"session_id": "with space"},
        ):
            with self.assertRaises(ValueError, msg=str(options)):
                fleetlog.Client("device", **options)
        with self.assertRaises(TypeError):
            fleetlog.Client("device", unknown=1)  # type: ignore[call-arg]
        for device in ("", "a b", "x" * 129):
            with self.assertRaises(ValueError):
                fleetlog.Client(device)

    def test_read_addresses(self) -> None:
        self.assertEqual(parse_address("logs.example.com"), ("logs.example.com", 50051))
        self.assertEqual(parse_address("logs.example.com:443"), ("logs.example.com", 443))
        self.assertEqual(parse_address("[::1]:7"), ("::1", 7))
        self.assertEqual(parse_address("[::1]"), ("::1", 50051))
        for wrong in ("::1", "host:", "host:0", "host:x", "http://host:1/"):
            with self.assertRaises(ValueError, msg=wrong):
                parse_address(wrong)


if __name__ == "__main__":
    unittest.main()
