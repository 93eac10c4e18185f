import asyncio
import random
import unittest

import fleetlog
from fleetlog._status import UNAUTHENTICATED

from peer import Peer


class Streams(unittest.IsolatedAsyncioTestCase):
    async def test_carry_the_token_of_the_hook_which_is_asked_again_when_it_has_expired(self) -> None:
        tokens = iter(["expired", "valid"])

        async def token() -> str:
            return next(tokens)

        async with Peer() as peer:
            peer.refuse = lambda headers: UNAUTHENTICATED if headers["authorization"] == "Bearer expired" else None
            options: fleetlog.ClientOptions = {"token": token, "metadata": {"X-Plant": "north"}, "backoff_base": 0.01}
            async with fleetlog.Client("device", peer.address, **options) as client:
                await client.log("text")
                await client.flush(20)
            self.assertEqual([each["authorization"] for each in peer.headers], ["Bearer expired", "Bearer valid"])
            self.assertEqual(peer.headers[0]["x-plant"], "north")

    async def test_fail_for_good_when_a_fixed_token_is_refused(self) -> None:
        async with Peer() as peer:
            peer.refuse = lambda headers: UNAUTHENTICATED
            async with fleetlog.Client("device", peer.address, token="wrong") as client:
                await client.log("text")
                with self.assertRaisesRegex(fleetlog.ClientError, "refuses the stream with code 16"):
                    await client.flush(20)

    async def test_survive_a_hook_that_fails(self) -> None:
        failures = iter([RuntimeError("no network")])

        def token() -> str:
            for failure in failures:
                raise failure
            return "valid"

        async with Peer() as peer:
            async with fleetlog.Client("device", peer.address, token=token, backoff_base=0.01) as client:
                await client.log("text")
                await client.flush(20)
            self.assertEqual(len(peer.requests), 1)

    async def test_carry_attributes_in_every_batch_device_info_in_the_first_and_the_uptime(self) -> None:
        options: fleetlog.ClientOptions = {
            "attributes": {"boot.reason": "power"},
            "firmware": "2.1.0",
            "device_attributes": {"cores": 4},
            "uptime": lambda: 7,
            "gzip": True,
        }
        async with Peer() as peer:
            async with fleetlog.Client("device", peer.address, **options) as client:
                await client.send([fleetlog.make_record("x" * 1_000)])
                await client.send([fleetlog.make_record("second")])
                client.set_device(firmware="2.2.0")
                await client.send([fleetlog.make_record("third")])
            batches = [each.batch for each in peer.requests]
            self.assertEqual([each.device.firmware for each in batches], ["2.1.0", "", "2.2.0"])
            self.assertEqual(batches[0].device.attributes[0].int_value, 4)
            self.assertEqual([each.attributes[0].key for each in batches], ["boot.reason"] * 3)
            self.assertEqual([each.uptime_nano for each in peer.requests], [7, 7, 7])
            self.assertEqual(peer.headers[0]["grpc-encoding"], "gzip")

    async def test_have_every_batch_once_whatever_calls_are_cancelled(self) -> None:
        chance = random.Random(36)
        sent: list[int] = []

        async def send(client: fleetlog.Client, name: int) -> None:
            await client.send([fleetlog.make_record(str(name))])
            sent.append(name)

        async with Peer() as peer:
            async with fleetlog.Client("device", peer.address, pending_batches_max=2) as client:
                tasks = [asyncio.ensure_future(send(client, name)) for name in range(400)]
                while not all(task.done() for task in tasks):
                    chance.choice(tasks).cancel()
                    await asyncio.sleep(0)
                await client.flush(20)
            arrived = [int(record.message) for each in peer.requests for record in each.batch.records]
            self.assertEqual(arrived, sorted(sent, key=arrived.index))
            self.assertEqual([each.batch.sequence for each in peer.requests], list(range(1, len(arrived) + 1)))
            self.assertTrue(0 < len(arrived) < 400, len(arrived))


if __name__ == "__main__":
    unittest.main()
