"""Sends what a server rejects, what it refuses, and what is no batch at all, and prints each outcome as JSON.

    bad_batches.py DEVICE GRPC
"""

import asyncio
import json
import sys

import fleetlog
from fleetlog.v1 import log_pb2


def report(event: fleetlog.Event) -> None:
    about: dict[str, object] = {"event": type(event).__name__}
    if isinstance(event, fleetlog.Acknowledged):
        rejected = [each.index for each in event.ack.rejections]
        about |= {"note": event.batch.note, "accepted": event.ack.accepted, "rejected": rejected}
    elif isinstance(event, fleetlog.Refused):
        about |= {"note": event.batch.note, "field": event.error.field}
    elif isinstance(event, fleetlog.Dropped):
        about |= {"first": event.first, "last": event.last}
    print(json.dumps(about), flush=True)


async def main() -> None:
    device, address = sys.argv[1:]
    async with fleetlog.Client(device, address, on_event=report, backoff_base=0.01) as client:
        good = fleetlog.make_record("good")
        await client.send([good, log_pb2.LogRecord(message="a\0b"), log_pb2.LogRecord(message=70_000 * "x")], "first")
        await client.flush()
        await client.send([b"\x22\x05a"], "malformed")
        await client.flush(20)
        await client.send([good], "last")


asyncio.run(main())
