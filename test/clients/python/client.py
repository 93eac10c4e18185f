"""An ordinary Python device, in three runs.

    client.py GENERATED send   GRPC DEVICE SESSION BATCHES RECORDS SPOOL
    client.py GENERATED again  GRPC SPOOL
    client.py GENERATED json   HTTP SPOOL

`send` writes each batch to its spool, encoded, and sends it. `again` is the run after a reboot: it decodes what is in the
spool and sends it, and so encodes it anew. `json` sends it as JSON over Connect, with the attributes the other way round.
Each prints what it did as JSON.
"""

import json
import sys
import time
import urllib.request

sys.path.insert(0, sys.argv[1])

import grpc
from google.protobuf.json_format import MessageToDict

from fleetlog.v1 import ingest_pb2, ingest_pb2_grpc, log_pb2

TIMEOUT_SECONDS = 120


def make_batch(device, session, sequence, records):
    batch = log_pb2.LogBatch(device_id=device, session_id=session, sequence=sequence)
    for index in range(records):
        record = batch.records.add(
            time_unix_nano=time.time_ns(),
            severity=log_pb2.SEVERITY_INFO,
            message=f"record {index} of batch {sequence}",
        )
        for key, value in {"zone": "north", "build": "1.2.3", f"sensor-{sequence}-{index}": "warm"}.items():
            record.attributes.add(key=key, string_value=value)
    return batch


def write_spool(path, batches):
    with open(path, "wb") as spool:
        for batch in batches:
            encoded = batch.SerializeToString()
            spool.write(len(encoded).to_bytes(4, "big") + encoded)


def read_spool(path):
    with open(path, "rb") as spool:
        while size := spool.read(4):
            yield spool.read(int.from_bytes(size, "big"))


def push(address, batches):
    with grpc.insecure_channel(address) as channel:
        service = ingest_pb2_grpc.IngestServiceStub(channel)
        for batch in batches:
            request = ingest_pb2.PushLogsRequest(batch=batch)
            ack = service.PushLogs(request, timeout=TIMEOUT_SECONDS, wait_for_ready=True).ack
            check(batch, ack.sequence, ack.accepted)


def post(url, batches):
    for batch in batches:
        message = MessageToDict(batch)
        for record in message["records"]:
            record["attributes"] = {one["key"]: one["stringValue"] for one in reversed(record["attributes"])}
        request = urllib.request.Request(
            f"{url}/fleetlog.v1.IngestService/PushLogs",
            data=json.dumps({"batch": message}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            ack = json.load(response)["ack"]
        check(batch, int(ack["sequence"]), ack["accepted"])


def check(batch, sequence, accepted):
    if (sequence, accepted) != (batch.sequence, len(batch.records)):
        sys.exit(f"batch {batch.sequence}: acknowledged {sequence} with {accepted} records")


def reorder(batch):
    """Equal content in other bytes: the attributes the other way round."""
    for record in batch.records:
        attributes = list(reversed(record.attributes))
        del record.attributes[:]
        record.attributes.extend(attributes)
    return batch


def main():
    run, address, *rest = sys.argv[2:]
    changed = 0
    if run == "send":
        device, session, count, records, spool = rest
        batches = [make_batch(device, session, at + 1, int(records)) for at in range(int(count))]
        write_spool(spool, batches)
        push(address, batches)
    else:
        spooled = list(read_spool(rest[0]))
        batches = [reorder(log_pb2.LogBatch.FromString(encoded)) for encoded in spooled]
        changed = sum(batch.SerializeToString() != encoded for batch, encoded in zip(batches, spooled))
        (push if run == "again" else post)(address, batches)
    print(json.dumps({"sent": len(batches), "changedBytes": changed}))


main()
