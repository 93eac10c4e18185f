import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { SpoolError } from "#client/spool/spool.ts";
import { DeviceStreamError } from "#client/stream/device-stream-error.ts";
import { device, names } from "#client/testing/test-device.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { waitFor } from "#test/support/wait-for.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fleetlog-spooled-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Every message that arrived, once for each different batch. */
function arrived(peer: TestPeer): readonly string[] {
  const requests = new Map(peer.seen.map(({ request, messages }) => [request.toString("latin1"), messages]));
  return [...requests.values()].flat();
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

describe("a device stream with a spool", () => {
  test("loses nothing and doubles nothing when its process is killed again and again", async (t) => {
    using peer = await new TestPeer().start();
    const pending: string[] = [];
    for (let life = 0; life < 4; life++) {
      // Some batches are acknowledged and some never are, so the process runs until it is killed.
      peer.answer = ({ sequence }) => (sequence % 3n === 0n ? "cut" : {});
      const child = spawn(
        process.execPath,
        [
          fileURLToPath(new URL("../testing/spooled-device.ts", import.meta.url)),
          folder,
          peer.address,
          `life-${life}`,
        ],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      t.after(() => child.kill("SIGKILL"));
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
      await waitFor("20 batches", () => said.split("\n").length > 20);
      child.kill("SIGKILL");
      await endOf(child);
      pending.push(...said.split("\n").slice(0, -1));
    }
    peer.answer = () => ({});
    using last = device({ address: peer.address, spool: { folder } });
    await last.stream.flush(20_000);
    const messages = arrived(peer);
    assert.equal(new Set(messages).size, messages.length, "a record has two identities");
    const missing = pending.filter((message) => !messages.includes(message));
    assert.deepEqual(missing, []);
    assert.ok(pending.length >= 80);
    assert.deepEqual(readdirSync(folder), ["lock"]);
  });

  test("resends under the old session and number, with the same bytes, and new batches under another session", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "silence";
    {
      using first = device({ address: peer.address, sessionId: "old", spool: { folder } });
      await first.send("one", "two");
      await waitFor("two batches", () => peer.seen.length === 2);
    }
    const before = peer.seen.splice(0).map(({ request }) => request);
    peer.answer = () => ({});
    using second = device({ address: peer.address, sessionId: "new", spool: { folder } });
    assert.equal(second.stream.recoveredCount, 2);
    await second.send("three");
    await second.stream.flush();
    assert.equal(second.stream.recoveredCount, 0);
    const requests = peer.seen.map(({ request }) => request.toString("latin1"));
    for (const request of before) assert.ok(requests.includes(request.toString("latin1")));
    assert.equal(requests.length, 3);
    assert.deepEqual(second.acknowledged, ["three"]);
  });

  test("resends every unacknowledged batch of an old session, whatever the server reports of it", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "silence";
    {
      using first = device({ address: peer.address, spool: { folder } });
      await first.send("one", "two", "three");
      await waitFor("three batches", () => peer.seen.length === 3);
    }
    peer.seen.length = 0;
    peer.answer = () => ({});
    peer.session = () => ({ committedRanges: [{ first: 1n, last: 3n }], committedThrough: 3n });
    using second = device({ address: peer.address, spool: { folder } });
    await second.stream.flush();
    assert.deepEqual(
      peer.seen.map(({ sequence }) => sequence),
      [1n, 2n, 3n],
    );
  });

  test("keeps unsent batches, and says so", async () => {
    {
      using sender = device({ address: "127.0.0.1:1", spool: { folder }, giveUpAfterMs: 1 });
      await assert.rejects(
        sender.send("one").then(() => sender.stream.flush()),
        DeviceStreamError,
      );
    }
    using peer = await new TestPeer().start();
    using next = device({ address: peer.address, spool: { folder } });
    await next.stream.flush();
    assert.deepEqual(arrived(peer), ["one"]);
  });

  test("drops the oldest of an earlier process first, and declares them in their session", async () => {
    const peer = await new TestPeer().start();
    peer.kill();
    const options = {
      address: peer.address,
      spool: { folder },
      onFull: "drop-oldest",
      pendingBatchesMax: 16,
      inFlightBatchesMax: 2,
    } as const;
    {
      using first = device({ ...options, sessionId: "old" });
      await first.send(...names.slice(0, 16));
      assert.deepEqual(first.dropped, []);
    }
    const dropped: bigint[] = [];
    using second = device({ ...options, recovered: { onDropped: ({ sequence }) => dropped.push(sequence) } });
    await second.send(...names.slice(16, 20));
    assert.deepEqual(second.dropped, []);
    assert.deepEqual(dropped.slice(0, 2), [3n, 4n]); // two were written, and may have arrived
    using _ = await peer.start();
    await second.stream.flush();
    const declared = peer.seen.find(({ dropped }) => dropped);
    assert.equal(declared?.sequence, 3n);
    assert.equal(arrived(peer).length + dropped.length, 20);
  });

  test("waits for the disk with every batch when configured", async () => {
    using peer = await new TestPeer().start();
    using sender = device({ address: peer.address, spool: { folder, syncMs: 0 } });
    await sender.send("one", "two");
    await sender.stream.flush();
    assert.deepEqual(sender.acknowledged, ["one", "two"]);
  });

  test("refuses a folder that another stream uses", () => {
    using _ = device({ address: "127.0.0.1:1", spool: { folder } });
    assert.throws(() => device({ address: "127.0.0.1:1", spool: { folder } }), SpoolError);
  });

  test("removes exactly the committed batches from disk", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 1n, epoch: 7n });
    {
      using first = device({ address: peer.address, spool: { folder }, keepUntil: "committed" });
      await first.send("one", "two");
      await waitFor(
        "two acks and a commit",
        () => first.acknowledged.length === 2 && first.committed.length === 1,
      );
    }
    peer.seen.length = 0;
    peer.progress = () => ({ committedThrough: 2n, epoch: 8n });
    const committed: bigint[] = [];
    using second = device({
      address: peer.address,
      spool: { folder },
      keepUntil: "committed",
      recovered: { onCommitted: ({ sequence }) => committed.push(sequence) },
    });
    await second.stream.flush();
    assert.deepEqual(committed, [2n]);
  });
});
