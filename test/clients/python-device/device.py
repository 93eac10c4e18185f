"""A device of the fault matrix: sends the batches that it reads from stdin as lines of JSON, and reports events on stdout.

    {"id": 7, "records": ["<base64 of an encoded LogRecord>", ...]}

Run it with the package `fleetlog` on the path; --help lists the flags.
"""

import argparse
import asyncio
import base64
import json
import sys

import fleetlog
from fleetlog.v1 import log_pb2


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--session", required=True)
    parser.add_argument("--grpc", required=True)
    parser.add_argument("--http", help="not used: this client speaks gRPC")
    parser.add_argument("--keep-until", choices=["accepted", "committed"], default="accepted")
    parser.add_argument("--spool")
    parser.add_argument("--backoff-base-ms", type=float, default=100)
    parser.add_argument("--backoff-cap-ms", type=float, default=5_000)
    parser.add_argument("--ack-timeout-ms", type=float, default=30_000)
    parser.add_argument("--commit-timeout-ms", type=float, default=60_000)
    parser.add_argument("--pending-batches-max", type=int)
    parser.add_argument("--drop-oldest", action="store_true")
    parser.add_argument("--gzip", action="store_true")
    return parser.parse_args()


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


class Progress:
    """How far the session is settled: every batch up to there is committed, refused or dropped."""

    def __init__(self) -> None:
        self.through = 0
        self._beyond: set[int] = set()

    def settle(self, first: int, last: int) -> bool:
        """Returns whether it has advanced."""
        before = self.through
        self._beyond.update(range(first, last + 1))
        while self.through + 1 in self._beyond:
            self.through += 1
            self._beyond.remove(self.through)
        return self.through > before


progress = Progress()


def report(event: fleetlog.Event) -> None:
    if isinstance(event, fleetlog.Acknowledged):
        ack = event.ack
        rejections = [{"index": each.index, "reason": each.reason} for each in ack.rejections]
        about = of_batch(event.batch)
        say(event="acknowledged", **about, accepted=ack.accepted, rejected=ack.rejected, rejections=rejections)
    elif isinstance(event, fleetlog.Refused):
        progress.settle(event.batch.sequence, event.batch.sequence)
        say(event="refused", **of_batch(event.batch), message=event.error.message)
    elif isinstance(event, fleetlog.Committed):
        if event.batch.recovered:
            say(event="committed", **of_batch(event.batch))
        elif progress.settle(event.batch.sequence, event.batch.sequence):
            say(event="committed", through=str(progress.through))
    elif isinstance(event, fleetlog.Dropped):
        if not event.recovered:
            progress.settle(event.first, event.last)
        recovered = {"recovered": True} if event.recovered else {}
        say(event="dropped", first=str(event.first), last=str(event.last), reason=event.reason, **recovered)
    elif isinstance(event, fleetlog.Delayed):
        say(event="later", code=event.error.code, delayMs=event.error.retry_delay_ms)
    elif isinstance(event, fleetlog.Reconnecting):
        say(event="reconnect", code=event.code, delayMs=round(event.delay * 1_000), reason=event.reason)
    elif isinstance(event, fleetlog.Failed):
        say(event="failed", message=event.message)
    elif isinstance(event, fleetlog.SpoolProblem):
        say(event="problem", message=event.message)


def of_batch(batch: fleetlog.Batch) -> dict[str, object]:
    about: dict[str, object] = {"session": batch.session_id, "sequence": str(batch.sequence)}
    return {**about, "recovered": True} if batch.recovered else {**about, "id": batch.note}


async def main() -> None:
    given = read_arguments()
    options: fleetlog.ClientOptions = {
        "session_id": given.session,
        "keep_until": given.keep_until,
        "ack_timeout": given.ack_timeout_ms / 1_000,
        "commit_timeout": given.commit_timeout_ms / 1_000,
        "backoff_base": given.backoff_base_ms / 1_000,
        "backoff_cap": given.backoff_cap_ms / 1_000,
        "gzip": given.gzip,
        "on_event": report,
    }
    if given.spool:
        options["spool"] = given.spool
    if given.drop_oldest:
        options["on_full"] = "drop-oldest"
    if given.pending_batches_max:
        options["pending_batches_max"] = given.pending_batches_max
    stdin = asyncio.StreamReader(limit=16 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    async with fleetlog.Client(given.device, given.grpc, **options) as client:
        while line := await stdin.readline():
            batch = json.loads(line)
            records = [log_pb2.LogRecord.FromString(base64.b64decode(each)) for each in batch["records"]]
            sequence = await client.send(records, note=batch["id"])
            say(event="kept", id=batch["id"], session=given.session, sequence=str(sequence))
        await client.flush()
    say(event="flushed")


asyncio.run(main())
