import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { HostilePeer } from "#client/testing/hostile-peer.ts";
import { misbehaviours, retryInfo, trailersOnly } from "#client/testing/misbehaviours.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { type BatchErrorCode, StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { whyNoPython } from "#test/support/python-client.ts";
import { packagePython } from "#test/support/python-package.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type PythonEvent, sendMessages, startDevice } from "./testing/python-device.ts";

// The Python client against servers that break the rules, each scripted on a real socket.

const noPython = await whyNoPython();
const skip = noPython ?? false;
if (!skip) await packagePython();
const names = Array.from({ length: 40 }, (_, index) => `batch ${index + 1}`);

describe("a Python device that keeps batches until they are committed, and a server that", {
  concurrency: 3,
  skip,
}, () => {
  for (const [what, misbehaviour] of Object.entries(misbehaviours)) {
    test(what, async () => {
      using peer = await new HostilePeer().start();
      peer.misbehaviour = { times: 2, act: misbehaviour(peer) };
      const flags = ["--keep-until", "committed", "--ack-timeout-ms", "400", "--commit-timeout-ms", "600"];
      await using device = await startDevice("hostile", peer.address, ...flags);
      for (const name of names) sendMessages(device, name);
      await device.finish();
      const ids = names.map((_, index) => index + 1);
      assert.deepEqual(
        device.all("acknowledged").map(({ id }) => id),
        ids,
      );
      assert.equal(device.all("committed").at(-1)?.through, String(names.length));
      const first = new Map<bigint, string>();
      for (const { sequence, request } of peer.seen) {
        const { batch } = fromBinary(StreamLogsRequestSchema, request);
        const records = JSON.stringify(batch?.records.map(({ message }) => message));
        assert.equal(records, first.get(sequence) ?? records);
        first.set(sequence, records);
      }
      assert.equal(first.size, names.length);
      assert.deepEqual([...device.all("refused"), ...device.all("dropped"), ...device.all("failed")], []);
    });
  }
});

describe("a Python device", { skip }, () => {
  test("waits as long as a status demands, but never longer than a minute", async () => {
    using peer = await new HostilePeer().start();
    const act = trailersOnly(8, { "grpc-status-details-bin": retryInfo(10n ** 12n) });
    peer.misbehaviour = { times: 1, act };
    await using device = await startDevice("patient", peer.address);
    sendMessages(device, "1");
    const [reconnect] = (await device.waitFor("reconnect", 1)) as readonly PythonEvent[];
    assert.deepEqual([reconnect?.delayMs, peer.streams], [60_000, 1]);
  });

  test("sends a batch again as late as its acknowledgement demands, and drops nothing for an unknown code", async () => {
    using peer = await new TestPeer().start();
    const codes = [8, 14, 13, 99];
    peer.answer = () => {
      const code = codes.shift();
      return code === undefined
        ? {}
        : { error: { code: code as BatchErrorCode, message: "later", retryDelayMs: code === 8 ? 30 : 0 } };
    };
    await using device = await startDevice("delayed", peer.address);
    sendMessages(device, "1");
    await device.finish();
    assert.deepEqual(
      device.all("later").map(({ code }) => code),
      [8, 14, 13, 99],
    );
    assert.equal(device.all("acknowledged").length, 1);
    assert.equal(new Set(peer.seen.map(({ sequence }) => sequence)).size, 1);
    assert.equal(peer.streams, 1);
  });

  test("declares a refused batch as dropped, and continues", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ sequence, dropped }) =>
      sequence === 2n && !dropped ? { error: { code: 3, message: "bad" } } : {};
    await using device = await startDevice("refused", peer.address);
    for (const name of ["1", "2", "3"]) sendMessages(device, name);
    await device.finish();
    assert.deepEqual(
      device.all("refused").map(({ id }) => id),
      [2],
    );
    const declared = peer.seen.filter(({ dropped }) => dropped);
    assert.deepEqual(
      declared.map(({ sequence, dropped }) => [sequence, dropped?.lastSequence, dropped?.reason]),
      [[2n, 2n, "refused: bad"]],
    );
  });

  test("sends exactly the batches of an earlier epoch again", async () => {
    using peer = await new TestPeer().start();
    peer.progress = (stream) => ({ committedThrough: 1n, epoch: stream < 2 ? 7n : 8n });
    await using device = await startDevice("epochs", peer.address, "--keep-until", "committed");
    for (const name of ["1", "2", "3"]) sendMessages(device, name);
    await device.waitFor("acknowledged", 3);
    peer.endStreams(); // the same epoch again: nothing is lost
    await waitFor("another stream", () => peer.streams === 2);
    sendMessages(device, "4");
    await device.waitFor("acknowledged", 4);
    assert.deepEqual(
      peer.seen.map(({ sequence }) => Number(sequence)),
      [1, 2, 3, 4],
    );
    peer.endStreams();
    await waitFor("what is not committed", () => peer.seen.length === 7);
    assert.deepEqual(
      peer.seen.slice(4).map(({ sequence }) => Number(sequence)),
      [2, 3, 4],
    );
    peer.tell({ committedThrough: 4n, epoch: 8n });
    await device.finish();
    assert.deepEqual(device.all("reconnect"), []); // the end of an idle stream is no event
  });

  test("forgets no batch by a drop that another sender declared", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 3n, epoch: 7n, droppedCount: 1n });
    peer.session = () => ({
      committedThrough: 3n,
      committedRanges: [
        { first: 1n, last: 1n },
        { first: 3n, last: 3n },
      ],
      droppedRanges: [{ first: 2n, last: 2n }],
    });
    const flags = ["--keep-until", "committed", "--commit-timeout-ms", "300"];
    await using device = await startDevice("forged", peer.address, ...flags);
    for (const name of ["1", "2", "3"]) sendMessages(device, name);
    await waitFor("batch 2 again", () => peer.seen.filter(({ sequence }) => sequence === 2n).length > 1);
    assert.deepEqual(
      device.all("committed").map(({ through }) => through),
      ["1"],
    );
    peer.session = () => ({ committedThrough: 3n, committedRanges: [{ first: 1n, last: 3n }] });
    await device.finish();
    assert.equal(device.all("committed").at(-1)?.through, "3");
  });

  test("survives GOAWAY on an idle connection and during a stream", async () => {
    using peer = await new TestPeer().start();
    await using device = await startDevice("goaway", peer.address);
    for (const name of ["1", "2", "3", "4"]) {
      sendMessages(device, name);
      await device.waitFor("acknowledged", Number(name));
      peer.goAway(Number(name) % 2 === 0 ? 0 : 50);
    }
    sendMessages(device, "5");
    await device.finish();
    assert.equal(device.all("acknowledged").length, 5);
  });
});
