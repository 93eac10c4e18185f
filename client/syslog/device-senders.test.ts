import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { SpoolError } from "#client/spool/spool.ts";
import { encodeRecord } from "#client/stream/record.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { DeviceSender } from "./device-sender.ts";
import { DeviceSenders, type DeviceSendersOptions } from "./device-senders.ts";

let spool = "";
beforeEach(() => {
  spool = mkdtempSync(join(tmpdir(), "fleetlog-senders-"));
});
afterEach(() => rmSync(spool, { recursive: true, force: true }));

const nowhere = "127.0.0.1:1";

function open(options: Partial<DeviceSendersOptions>) {
  const problems: string[] = [];
  const lost: number[] = [];
  const senders = new DeviceSenders({
    address: nowhere,
    spool,
    keepUntil: "accepted",
    devicesMax: 1_000,
    pendingBytesMax: 256 * 1024 * 1024,
    events: {},
    onSpoolProblem: (problem) => problems.push(problem),
    onLost: (count) => lost.push(count),
    ...options,
  });
  senders.recover();
  return { senders, problems, lost };
}

const folders = () => readdirSync(spool).filter((name) => name.startsWith("device-"));

/** Leaves a batch of each device in the spool. */
async function leave(count: number): Promise<void> {
  const { senders } = open({});
  for (let index = 0; index < count; index += 1)
    await senders.get(`host-${index}`).write(encodeRecord({ message: `of ${index}` }));
  await senders.close(1);
  assert.equal(folders().length, count);
}

test("sends the batches of more folders than devices are allowed, a few at once, and removes each folder", async () => {
  await leave(40);
  const peer = await new TestPeer().start();
  let isReleased = false;
  peer.answer = () => (isReleased ? {} : "silence");
  const { senders, problems } = open({ address: peer.address, devicesMax: 2 });
  await waitFor("the first batches", () => peer.seen.length === 16);
  assert.equal(senders.all.length, 16);
  assert.equal(senders.unopenedCount, 24);
  assert.match(problems.join(), /^40 devices have folders in .*, 16 are opened at a time$/);
  isReleased = true;
  peer.endStreams();
  await waitFor("all batches", () => senders.unopenedCount === 0 && folders().length === 0);
  const messages = new Set(peer.seen.flatMap((batch) => batch.messages));
  assert.deepEqual(messages, new Set(Array.from({ length: 40 }, (_, index) => `of ${index}`)));
  assert.equal(senders.all.length, 0);
  assert.equal(await senders.close(1_000), 0);
  peer.kill();
});

test("invented hostnames make no more folders than devices are allowed, over restarts too", async () => {
  for (let run = 0; run < 3; run += 1) {
    const { senders } = open({ devicesMax: 20 });
    for (let index = 0; index < 100; index += 1)
      await senders.get(`run-${run}-${index}`).write(encodeRecord({ message: "x" }));
    await senders.close(1);
    assert.equal(folders().length, 21);
    assert.ok(existsSync(join(spool, "device-syslog")));
  }
});

test("a known device keeps its own folder although no further one may have one", async () => {
  await leave(30);
  const { senders } = open({ devicesMax: 20 });
  assert.equal(senders.get("host-29").deviceId, "host-29");
  const other = senders.get("another");
  assert.equal(other.deviceId, "syslog");
  await other.write(encodeRecord({ message: "x" }));
  await senders.close(1);
  assert.equal(folders().length, 31);
});

test("one process at a time uses a spool", async () => {
  const { senders } = open({});
  assert.throws(() => open({}), SpoolError);
  await senders.close(1);
  const { senders: next } = open({});
  await next.close(1);
});

test("hostnames without end do not search all devices for an idle one each time", async (t) => {
  const { senders } = open({ spool: undefined, devicesMax: 500 });
  for (let index = 0; index < 500; index += 1) senders.get(`host-${index}`);
  // As while Fleetlog is unreachable for long: none was used lately, and none is settled.
  t.mock.getter(DeviceSender.prototype, "isRecent", () => false);
  const looks = t.mock.getter(DeviceSender.prototype, "isIdle", () => false);
  const before = performance.now();
  for (let index = 0; index < 10_000; index += 1) senders.get(`new-${index}`);
  const searches = 1 + Math.ceil((performance.now() - before) / 250);
  assert.ok(looks.mock.callCount() <= 501 * searches, `${looks.mock.callCount()} looks`);
  await senders.close(1);
});

test("records are taken again after the spool refused some, which are counted", async () => {
  const { senders, lost } = open({ devicesMax: 1 });
  const sender = senders.get("host-0");
  const record = encodeRecord({ message: "m".repeat(60_000) });
  const folder = join(spool, "device-host-0");
  rmSync(folder, { recursive: true });
  await assert.rejects(async () => {
    for (let index = 0; index < 10; index += 1) await sender.write(record);
  }, /cannot|no such file/);
  mkdirSync(folder);
  const lostCount = lost.reduce((sum, count) => sum + count, 0);
  assert.ok(lostCount > 0);
  for (let index = 0; index < 10; index += 1) await sender.write(record);
  await senders.close(1);
  assert.ok(readdirSync(folder).some((name) => name.endsWith(".spool")));
  assert.equal(
    lost.reduce((sum, count) => sum + count, 0),
    lostCount,
  );
});
