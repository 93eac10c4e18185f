import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HostilePeer } from "#client/testing/hostile-peer.ts";
import { misbehaviours, retryInfo, trailersOnly } from "#client/testing/misbehaviours.ts";
import { device, names } from "#client/testing/test-device.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import type { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";

const batches = names.slice(0, 40);

for (const keepUntil of ["accepted", "committed"] as const) {
  describe(`a device that keeps batches until they are ${keepUntil}, and a server that`, {
    concurrency: 8,
  }, () => {
    for (const [what, misbehaviour] of Object.entries(misbehaviours)) {
      test(what, async () => {
        using peer = await new HostilePeer().start();
        peer.misbehaviour = { times: 2, act: misbehaviour(peer) };
        using sender = device({ address: peer.address, keepUntil, ackTimeoutMs: 200, commitTimeoutMs: 300 });
        await sender.send(...batches);
        await sender.stream.flush(20_000);
        assert.deepEqual(sender.acknowledged.toSorted(), batches.toSorted());
        if (keepUntil === "committed") assert.deepEqual(sender.committed.toSorted(), batches.toSorted());
        const first = new Map<bigint, Buffer>();
        for (const { sequence, request } of peer.seen) {
          assert.deepEqual(request, first.get(sequence) ?? request);
          first.set(sequence, request);
        }
        assert.equal(first.size, batches.length);
        assert.deepEqual(sender.refused, []);
      });
    }
  });
}

test("waits as long as a status demands, but never longer than a minute", async () => {
  using peer = await new HostilePeer().start();
  peer.misbehaviour = {
    times: 1,
    act: trailersOnly(8, { "grpc-status-details-bin": retryInfo(10n ** 12n) }),
  };
  const delays: number[] = [];
  using sender = device({ address: peer.address, onReconnect: ({ delayMs }) => delays.push(delayMs) });
  await sender.send("1");
  await waitFor("the refusal", () => delays.length === 1);
  assert.deepEqual(delays, [60_000]);
  assert.equal(peer.streams, 1);
});

test("treats an unknown error code as transient, and drops nothing", async () => {
  using peer = await new TestPeer().start();
  let errors = 0;
  peer.answer = () =>
    errors++ < 5
      ? { error: { code: ([0, 2, 13, 99, -1][errors - 1] ?? 0) as BatchErrorCode, message: "?" } }
      : {};
  using sender = device({ address: peer.address });
  await sender.send("1");
  await sender.stream.flush();
  assert.deepEqual(sender.acknowledged, ["1"]);
  assert.equal(sender.delayed.length, 5);
  assert.deepEqual(sender.refused, []);
});
