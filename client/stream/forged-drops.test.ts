import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { limits } from "#batch/limits.ts";
import { StoredLogs } from "#client/testing/stored-logs.ts";
import { device, names } from "#client/testing/test-device.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";

// The names of devices and sessions are not secret: anyone who reaches a port can declare another
// device's batches as dropped.

let system: TestSystem;
let stored: StoredLogs;
let folder: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fleetlog-foreign-"));
  system = await startSystem();
  stored = new StoredLogs(system.databaseUrl);
});
after(async () => {
  await stored?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const call = async (method: string, message: object) => {
  const response = await fetch(`${system.httpUrl}/fleetlog.v1.IngestService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(message),
  });
  return { status: response.status, body: (await response.json()) as { droppedRanges?: unknown[] } };
};

/**
 * Declares batches of another sender's session as dropped, as far as possible, and waits until PostgreSQL
 * has it.
 */
async function declareDropped(deviceId: string, sessionId: string, sequence = 1n): Promise<void> {
  const dropped = {
    lastSequence: String(sequence + limits.droppedBatchesMax - 1n),
    reason: "says another client",
  };
  const batch = { deviceId, sessionId, sequence: String(sequence), dropped };
  assert.equal((await call("PushLogs", { batch })).status, 200);
  await waitFor("the declaration to be stored", async () => {
    const { body } = await call("GetSession", { deviceId, sessionId });
    return (body.droppedRanges ?? []).length > 0;
  });
}

/**
 * Sends batches under the first numbers of another sender's session, one record each, and waits until
 * PostgreSQL has them.
 */
async function sendInTheNameOf(deviceId: string, sessionId: string, count: number): Promise<void> {
  for (let sequence = 1; sequence <= count; sequence += 1) {
    const batch = { deviceId, sessionId, sequence: String(sequence), records: [{ message: "foreign" }] };
    assert.equal((await call("PushLogs", { batch })).status, 200);
  }
  await stored.toRecords(deviceId, count);
}

/** Asserts that each message of a device is stored once. */
async function assertStored(deviceId: string, messages: readonly string[]): Promise<void> {
  const records = await stored.toRecords(deviceId, messages.length);
  assert.deepEqual(records.map(({ message }) => message).toSorted(), messages.toSorted());
}

describe("batches sent in the name of a device cost it nothing:", () => {
  const foreignActs: readonly [what: string, act: (deviceId: string) => Promise<void>, records: number][] = [
    ["declared as dropped", (deviceId) => declareDropped(deviceId, "boot-1"), 0],
    ["sent with other records", (deviceId) => sendInTheNameOf(deviceId, "boot-1", 50), 50],
  ];
  for (const [index, [what, act, foreignRecords]] of foreignActs.entries()) {
    test(`the batches of an earlier process are sent from the spool, though their numbers were ${what}`, async () => {
      const spool = { folder: join(folder, `spool-${index}`) };
      const messages = names.slice(0, 50);
      const deviceId = `spooled-${index}`;
      using silent = await new TestPeer().start();
      silent.answer = () => "silence";
      {
        using first = device({ deviceId, sessionId: "boot-1", address: silent.address, spool });
        await first.send(...messages);
        await waitFor("the batches to be written", () => silent.seen.length >= 32);
      }
      await act(deviceId);
      {
        using second = device({ deviceId, address: system.grpcAddress, spool });
        await second.stream.flush(20_000);
      }
      await assertStored(deviceId, [...messages, ...Array.from({ length: foreignRecords }, () => "foreign")]);
      assert.deepEqual(
        readdirSync(spool.folder).filter((name) => name.endsWith(".spool")),
        [],
      );
    });
  }

  for (const sequence of [1n, 5n, 11n]) {
    test(`batches kept until they are committed, with a declaration from ${sequence} on`, async () => {
      const session = { deviceId: `streaming-${sequence}`, sessionId: "boot-1" };
      using sender = device({
        ...session,
        address: system.grpcAddress,
        keepUntil: "committed",
        commitPollMs: 50,
      });
      await sender.send(...names.slice(0, 10));
      await declareDropped(session.deviceId, session.sessionId, sequence);
      await sender.send(...names.slice(10, 20));
      await sender.stream.flush(20_000);
      assert.deepEqual(sender.committed.toSorted(), names.slice(0, 20).toSorted());
      await assertStored(session.deviceId, names.slice(0, 20));
    });
  }
});

describe("a device that keeps batches until they are committed", () => {
  const options = { keepUntil: "committed", ackTimeoutMs: 2_000, commitPollMs: 10 } as const;

  test("distrusts progress that counts other senders' drops, and polls for stored batches", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 2n ** 62n, droppedCount: 2n ** 62n - 1n, epoch: 7n });
    peer.session = () => ({
      committedRanges: [{ first: 1n, last: 1n }],
      droppedRanges: [{ first: 1n, last: 2n ** 62n }],
      committedThrough: 2n ** 62n,
    });
    using sender = device({ ...options, address: peer.address });
    await sender.send("1", "2", "3");
    await waitFor("three acks", () => sender.acknowledged.length === 3);
    await waitFor("several questions", () => peer.sessionCalls > 4);
    assert.deepEqual(sender.committed, ["1"]);
    assert.equal(sender.stream.unacknowledged.length, 2);
    peer.session = () => ({
      committedRanges: [{ first: 1n, last: 3n }],
      droppedRanges: [{ first: 1n, last: 2n ** 62n }],
    });
    await sender.stream.flush(20_000);
    assert.deepEqual(sender.committed, ["1", "2", "3"]);
  });

  test("trusts progress that counts the drops it declared itself", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 0n, epoch: 7n });
    peer.answer = ({ sequence, dropped }) =>
      sequence === 2n && !dropped ? { error: { code: 3, field: "batch", message: "no good" } } : {};
    using sender = device({ ...options, commitPollMs: 600_000, address: peer.address });
    await sender.send("1", "2", "3");
    await waitFor("the declaration", () => peer.seen.some(({ dropped }) => dropped !== undefined));
    await waitFor("three acks", () => sender.acknowledged.length === 2);
    peer.tell({ committedThrough: 3n, droppedCount: 1n, epoch: 7n });
    await sender.stream.flush(20_000);
    assert.deepEqual(sender.committed, ["1", "3"]);
    assert.equal(peer.sessionCalls, 0);
  });
});
