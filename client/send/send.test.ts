import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { InputError } from "#client/files/read-inputs.ts";
import { exitCodes } from "#client/send/send.ts";
import { runSend } from "#client/testing/run-send.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { readAttributes } from "#proto/attributes.ts";
import { StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-send-"));
});
after(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** The messages that the peer received, in order, each batch once. */
function storedBy(peer: TestPeer): string[] {
  const batches = peer.seen.filter(({ dropped }) => dropped === undefined);
  const bySequence = new Map(batches.map((batch) => [batch.sequence, batch.messages]));
  return [...bySequence.keys()]
    .sort((a, b) => Number(a - b))
    .flatMap((sequence) => bySequence.get(sequence) ?? []);
}

const manyLines = (count: number) =>
  Array.from({ length: count }, (_, n) => `line ${n + 1} \t${"ü".repeat(n % 50)}\r`);

describe("fleetlog send", () => {
  test("sends every line once, in order, byte for byte, from several files and standard input", async () => {
    using peer = await new TestPeer().start();
    const lines = manyLines(3_000);
    const inputs = [
      await file("one.log", lines.slice(0, 1_000).join("\n")),
      await file("empty.log", ""),
      "-",
      await file("two.log", `${lines.slice(2_000).join("\n")}\n`),
    ];
    const stdin = Readable.from([Buffer.from(lines.slice(1_000, 2_000).join("\n"))]);
    const { exitCode, result, problems } = await runSend({ address: peer.address, inputs }, { stdin });
    assert.equal(exitCode, exitCodes.acknowledged);
    assert.deepEqual(problems, []);
    assert.match(
      result,
      /^3,000 lines read, 3,000 records acknowledged, 0 rejected, 6 batches, 0 reconnects, /,
    );
    assert.deepEqual(storedBy(peer), lines);
  });

  test("makes the same bytes from the same file and session, and other sessions otherwise", async () => {
    using peer = await new TestPeer().start();
    const path = await file("repeat.log", `no time yet\n${manyLines(1_200).join("\n")}`);
    const options = { address: peer.address, inputs: [path], sessionId: "s-1" };
    await runSend(options);
    const first = peer.seen.splice(0);
    await runSend(options);
    assert.deepEqual(
      peer.seen.map(({ request }) => request),
      first.map(({ request }) => request),
    );
    peer.seen.length = 0;
    await runSend({ ...options, sessionId: undefined });
    assert.notDeepEqual(peer.seen[0]?.request, first[0]?.request);
  });

  test("names the line of every refused record and exits with 2", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ sequence }) => ({
      accepted: 1,
      rejections: sequence === 2n ? [{ index: 1, reason: "message has a NUL at byte 7" }] : [],
    });
    const path = await file("bad.log", "a\nb\nc\nd\n");
    const { exitCode, result, problems } = await runSend({
      address: peer.address,
      inputs: [path],
      batchRecordsMax: 2,
    });
    assert.equal(exitCode, exitCodes.refused);
    assert.deepEqual(problems, [`${path}:4: message has a NUL at byte 7`]);
    assert.match(result, /1 rejected \(1 × message has a NUL at byte N\)/);
  });

  test("names the lines of a refused batch and continues", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ sequence }) => (sequence === 1n ? { error: { code: 3, message: "no" } } : {});
    const path = await file("refused.log", "a\nb\nc\n");
    const { exitCode, problems } = await runSend({
      address: peer.address,
      inputs: [path],
      batchRecordsMax: 2,
    });
    assert.equal(exitCode, exitCodes.refused);
    assert.deepEqual(problems, [`${path}:1-2: no`]);
    assert.deepEqual(storedBy(peer), ["a", "b", "c"]);
  });

  test("truncates a line that is too long at a character boundary, and marks it", async () => {
    using peer = await new TestPeer().start();
    const long = `x${"ü".repeat(100_000)}`;
    const { exitCode } = await runSend({
      address: peer.address,
      inputs: [await file("long.log", `a\n${long}\nb\n`)],
    });
    assert.equal(exitCode, exitCodes.acknowledged);
    assert.deepEqual(storedBy(peer), ["a", `x${"ü".repeat(32_767)}`, "b"]);
    const { batch } = fromBinary(StreamLogsRequestSchema, peer.seen[0]!.request);
    assert.deepEqual(
      batch?.records.map(({ attributes }) => readAttributes(attributes)["cut_from_bytes"]),
      [undefined, "200001", undefined],
    );
  });

  test("reads compressed files, and reports skipped holes of NULs", async () => {
    using peer = await new TestPeer().start();
    const hole = Buffer.concat([
      Buffer.from("a\n"),
      Buffer.alloc(3_000_000),
      Buffer.from("after the hole\n"),
    ]);
    const inputs = [await file("old.log.1.gz", gzipSync("packed\n")), await file("hole.log", hole)];
    const { exitCode, problems } = await runSend({ address: peer.address, inputs });
    assert.equal(exitCode, exitCodes.acknowledged);
    assert.deepEqual(storedBy(peer), ["packed", "a", "after the hole"]);
    assert.match(problems.join(), /hole\.log:2: skipped 3000000 NUL bytes/);
  });

  test("ending a pipe by a signal loses nothing that was read, with a session or without", async () => {
    for (const sessionId of [undefined, "boot-1"]) {
      using peer = await new TestPeer().start();
      const interrupt = new AbortController();
      const stdin = new PassThrough();
      const running = runSend({ address: peer.address, sessionId }, { stdin, signal: interrupt.signal });
      stdin.write("one\ntwo\n2026-11-27T17:01:02Z ERROR three\n  at here\n");
      await waitFor("the lines to be read", () => stdin.readableLength === 0);
      await new Promise(setImmediate);
      interrupt.abort();
      assert.equal((await running).exitCode, exitCodes.interrupted);
      assert.deepEqual(storedBy(peer), ["one", "two", "2026-11-27T17:01:02Z ERROR three\n  at here"]);
    }
  });

  test("sends the lines of a pipe with a session immediately", async () => {
    using peer = await new TestPeer().start();
    const stdin = new PassThrough();
    const running = runSend({ address: peer.address, sessionId: "boot-1" }, { stdin });
    stdin.write("one\n");
    await waitFor("the line", () => storedBy(peer).length === 1);
    stdin.end();
    assert.equal((await running).exitCode, exitCodes.acknowledged);
  });

  test("shows the first refused lines and counts the others", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ messages }) => ({
      accepted: 0,
      rejections: messages.map((_, index) => ({ index, reason: "message is bad" })),
    });
    const path = await file("all-bad.log", "x\n".repeat(100));
    const { result, problems } = await runSend({ address: peer.address, inputs: [path] });
    assert.equal(problems.length, 21);
    assert.match(result, /0 records acknowledged, 100 rejected \(100 × message is bad\)/);
  });

  test("counts the rejected lines that the server does not list", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ messages }) => ({
      accepted: 1,
      rejected: messages.length - 1,
      rejections: [{ index: 0, reason: "message is bad" }],
    });
    const path = await file("many-bad.log", "x\n".repeat(50));
    const { exitCode, result } = await runSend({ address: peer.address, inputs: [path] });
    assert.equal(exitCode, exitCodes.refused);
    assert.match(result, /1 records? acknowledged, 49 rejected \(1 × message is bad; 48 × more records/);
  });

  test("gives up when nothing is acknowledged, and names the lines and how to continue", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ sequence }) => (sequence === 1n ? {} : "cut");
    const path = await file("gives-up.log", "a\nb\nc\nd\ne\n");
    const { exitCode, problems, result } = await runSend({
      address: peer.address,
      inputs: [path],
      batchRecordsMax: 2,
      giveUpAfterMs: 50,
      sessionId: "again",
    });
    assert.equal(exitCode, exitCodes.failed);
    assert.match(result, /2 records acknowledged/);
    assert.deepEqual(problems.slice(-2), [
      `not acknowledged: ${path}:3-5`,
      "to retry, use --session again: records that are already stored are skipped",
    ]);
    assert.match(problems.at(-3) ?? "", /no batch was acknowledged for /);
  });

  test("notices a failed stream while standard input is silent", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "cut";
    const stdin = new PassThrough();
    stdin.write("only line\n");
    const { exitCode, problems } = await runSend({ address: peer.address, giveUpAfterMs: 50 }, { stdin });
    assert.equal(exitCode, exitCodes.failed);
    assert.equal(problems.at(-1), "not acknowledged: stdin:1");
  });

  test("sends a line from a pipe without waiting for more, and ends at an interrupt", async () => {
    using peer = await new TestPeer().start();
    const interrupt = new AbortController();
    const stdin = new PassThrough();
    peer.answer = () => {
      stdin.write("second\n");
      setImmediate(() => interrupt.abort());
      return {};
    };
    stdin.write("first\n");
    const { exitCode } = await runSend({ address: peer.address }, { stdin, signal: interrupt.signal });
    assert.equal(exitCode, exitCodes.interrupted);
    assert.deepEqual(storedBy(peer)[0], "first");
  });

  test("never holds more than the batches in flight, however slow the server", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "silence";
    const interrupt = new AbortController();
    let chunks = 0;
    async function* endless() {
      for (; chunks < 100_000; chunks++) yield Buffer.from(`${"x".repeat(999)}\n`.repeat(64));
    }
    const running = runSend(
      { address: peer.address },
      { stdin: Readable.from(endless()), signal: interrupt.signal },
    );
    while (peer.seen.length < 16) await new Promise((resolve) => setTimeout(resolve, 5));
    for (let turn = 0; turn < 500; turn++) await new Promise(setImmediate); // time to go on reading, were it wrong
    assert.ok(chunks * 64_000 < 8 * 1024 * 1024, `${chunks} chunks were read`);
    peer.answer = () => ({});
    peer.kill();
    await peer.start();
    interrupt.abort();
    await running;
  });

  test("sends nothing when an input cannot be read", async () => {
    using peer = await new TestPeer().start();
    const inputs = [await file("good.log", "a\n"), join(folder, "missing.log")];
    await assert.rejects(runSend({ address: peer.address, inputs }), InputError);
    await assert.rejects(runSend({ address: peer.address, inputs: [folder] }), /it is a directory/);
    assert.equal(peer.streams, 0);
  });

  test("keeps unsent batches in the spool, and the next run sends them once", async () => {
    using peer = await new TestPeer().start();
    peer.answer = ({ sequence }) => (sequence === 1n ? {} : "cut");
    const spool = join(folder, "spool");
    const path = await file("spooled.log", "a\nb\nc\nd\n");
    const options = { address: peer.address, spool };
    const first = await runSend({ ...options, inputs: [path], batchRecordsMax: 1, giveUpAfterMs: 200 });
    assert.equal(first.exitCode, exitCodes.failed);
    assert.ok(
      first.problems.includes(`3 batches remain in ${spool}: the next run with the same --spool sends them`),
    );
    peer.answer = () => ({});
    peer.seen.length = 0;
    const second = await runSend(options);
    assert.equal(second.exitCode, exitCodes.acknowledged);
    assert.match(second.result, /^0 lines read, 0 records acknowledged, 3 records of earlier runs, /);
    assert.deepEqual(storedBy(peer), ["b", "c", "d"]);
  });

  test("with keep-until committed, ends when everything is in PostgreSQL", async () => {
    using peer = await new TestPeer().start();
    peer.progress = () => ({ committedThrough: 0n, epoch: 1n });
    peer.answer = ({ sequence }) => {
      setImmediate(() => peer.tell({ committedThrough: sequence, epoch: 1n }));
      return {};
    };
    const path = await file("committed.log", "a\nb\n");
    const { exitCode } = await runSend({
      address: peer.address,
      inputs: [path],
      batchRecordsMax: 1,
      keepUntil: "committed",
    });
    assert.equal(exitCode, exitCodes.acknowledged);
  });

  test("names uncommitted lines when committing takes too long", async () => {
    using peer = await new TestPeer().start();
    const path = await file("uncommitted.log", "a\n");
    const { exitCode, problems } = await runSend({
      address: peer.address,
      inputs: [path],
      keepUntil: "committed",
      giveUpAfterMs: 300,
    });
    assert.equal(exitCode, exitCodes.failed);
    assert.ok(problems.includes(`not acknowledged: ${path}:1`));
  });
});
