"""A device made of generated grpcio code alone: client.py GENERATED ADDRESS DEVICE BEHAVIOUR (test/behaviours.test.ts)."""

import json
import queue
import sys
import time

sys.path.insert(0, sys.argv[1])

import grpc
from google.rpc import error_details_pb2, status_pb2

from fleetlog.v1 import ingest_pb2, ingest_pb2_grpc, log_pb2

_, _, ADDRESS, DEVICE, BEHAVIOUR = sys.argv
TIMEOUT = 60


def make_batch(sequence, records=1, device=DEVICE):
    batch = log_pb2.LogBatch(device_id=device, session_id="boot-1", sequence=sequence)
    for index in range(records):
        record = batch.records.add(
            time_unix_nano=1_767_225_600_000_000_000 + sequence,
            severity=log_pb2.SEVERITY_INFO,
            message=f"batch {sequence} record {index}",
        )
        record.attributes.add(key="zone", string_value="north")
        record.attributes.add(key="count", int_value=-sequence)
        record.attributes.add(key="ratio", double_value=0.5)
        record.attributes.add(key="ok", bool_value=True)
    return batch


def push(service, batch, **options):
    options.setdefault("timeout", TIMEOUT)
    return service.PushLogs(ingest_pb2.PushLogsRequest(batch=batch), wait_for_ready=True, **options).ack


def stream(service, batches, **options):
    requests = (ingest_pb2.StreamLogsRequest(batch=batch) for batch in batches)
    for response in service.StreamLogs(requests, timeout=TIMEOUT, wait_for_ready=True, **options):
        if response.HasField("ack"):
            yield response.ack


def details(error):
    """The first violation in the google.rpc.BadRequest of a failed call."""
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return bad.field_violations[0]
    raise AssertionError("no BadRequest")


def unary(service):
    return {"accepted": push(service, make_batch(1, 3)).accepted}


def pipelined(service):
    acks = [ack.sequence for ack in stream(service, map(make_batch, range(1, 1001)))]
    return {"acks": len(acks), "in_order": acks == list(range(1, 1001))}


def deadline(service):
    try:
        push(service, make_batch(1), timeout=0.000001)
        code = 0
    except grpc.RpcError as error:
        code = error.code().value[0]
    return {"code": code, "accepted": push(service, make_batch(1)).accepted}


def cancel(service):
    batches = [make_batch(sequence) for sequence in range(1, 51)]
    hold = queue.Queue()
    for batch in batches:
        hold.put(ingest_pb2.StreamLogsRequest(batch=batch))
    call = service.StreamLogs(iter(hold.get, None), timeout=TIMEOUT, wait_for_ready=True)
    for _ in range(5):
        next(call)
    call.cancel()
    code = 0
    try:
        for _ in call:
            pass
    except grpc.RpcError as error:
        code = error.code().value[0]
    hold.put(None)
    return {"code": code, "acks": sum(1 for _ in stream(service, batches))}


def gzip(service):
    accepted = push(service, make_batch(1, 100), compression=grpc.Compression.Gzip).accepted
    batches = [make_batch(sequence, 100) for sequence in range(2, 12)]
    return {"accepted": accepted + sum(ack.accepted for ack in stream(service, batches, compression=grpc.Compression.Gzip))}


def again(service):
    batch = make_batch(1, 10)
    return {"accepted": [push(service, batch).accepted for _ in range(3)]}


def reencoded(service):
    batch = make_batch(1, 10)
    first = push(service, batch).accepted
    decoded = log_pb2.LogBatch.FromString(batch.SerializeToString())
    for record in decoded.records:
        attributes = list(reversed(record.attributes))
        del record.attributes[:]
        record.attributes.extend(attributes)
    return {"accepted": [first, push(service, decoded).accepted]}


def invalid(service):
    bad = make_batch(1, device="a b")
    try:
        push(service, bad)
        raise AssertionError("accepted")
    except grpc.RpcError as error:
        violation = details(error)
        result = {"code": error.code().value[0], "field": violation.field, "description": violation.description}
    refused, accepted = stream(service, [bad, make_batch(1)])
    result["stream"] = [refused.error.code, refused.error.field, accepted.accepted]
    return result


def moved(service):
    """Keeps what is not acknowledged, and sends it again on a new stream when the server ends the old one."""
    pending = {sequence: make_batch(sequence) for sequence in range(1, 401)}
    reconnects = 0
    while pending:

        def paced(batches):
            for batch in batches:
                time.sleep(0.03)
                yield batch

        try:
            for ack in stream(service, paced(list(pending.values()))):
                assert not ack.HasField("error"), ack.error
                del pending[ack.sequence]
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE, error
            reconnects += 1
            assert reconnects < 100
            time.sleep(0.1)
    return {"reconnects": reconnects, "left": len(pending)}


def limits(service):
    found = service.GetLimits(ingest_pb2.GetLimitsRequest(), timeout=TIMEOUT, wait_for_ready=True)
    return {"records_max": found.records_max, "has_time": found.server_time_unix_nano > 1_767_225_600_000_000_000}


with grpc.insecure_channel(ADDRESS) as channel:
    print(json.dumps(globals()[BEHAVIOUR](ingest_pb2_grpc.IngestServiceStub(channel))))
