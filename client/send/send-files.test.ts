import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { InputError } from "#client/files/read-inputs.ts";
import { exitCodes } from "#client/send/send.ts";
import { runSend } from "#client/testing/run-send.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { waitFor } from "#test/support/wait-for.ts";

// Files as they are found, and pipes, on their way through the whole of the command.

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetlog-files-"));
});
after(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

const storedBy = (peer: TestPeer) => peer.seen.flatMap(({ messages }) => messages);

describe("fleetlog send, with unmodified files", () => {
  test("decompresses by content, whatever a file is named, and standard input too", async () => {
    using peer = await new TestPeer().start();
    const inputs = [
      await file("app.log.2.gz", Buffer.concat([gzipSync("1\n2\n"), gzipSync("3\n")])),
      await file("app.log.1", Buffer.concat([zstdCompressSync("4\n"), zstdCompressSync("5\n")])),
      await file("plain.gz", "6\n"),
      "-",
    ];
    const stdin = Readable.from([gzipSync("7\n")]);
    const { exitCode, problems } = await runSend({ address: peer.address, inputs }, { stdin });
    assert.deepEqual(problems, []);
    assert.equal(exitCode, exitCodes.acknowledged);
    assert.deepEqual(storedBy(peer), ["1", "2", "3", "4", "5", "6", "7"]);
  });

  test("sends the lines before the damage in a compressed file, and the next files, and exits with 1", async () => {
    using peer = await new TestPeer().start();
    const whole = gzipSync(
      Array.from({ length: 50_000 }, (_, n) => `line ${(n * 7_919) % 65_537}\n`).join(""),
    );
    const inputs = [
      await file("short.gz", whole.subarray(0, whole.byteLength - 9)),
      await file("good.log", "good\n"),
    ];
    const { exitCode, problems } = await runSend({ address: peer.address, inputs });
    assert.equal(exitCode, exitCodes.failed);
    assert.match(problems[0] ?? "", /^cannot read .*short\.gz: unexpected end of file$/);
    const stored = storedBy(peer);
    assert.ok(stored.length > 49_000 && stored[0] === "line 0", `${stored.length} lines`);
    assert.equal(stored.at(-1), "good");
  });

  test("names a folder, a missing file and an unreadable one before it sends anything", async () => {
    using peer = await new TestPeer().start();
    const good = await file("fine.log", "a\n");
    const secret = await file("secret.log", "a\n");
    await chmod(secret, 0);
    const wrong = [join(folder, "missing.log"), folder, ...(process.getuid?.() === 0 ? [] : [secret])];
    for (const path of wrong) {
      await assert.rejects(runSend({ address: peer.address, inputs: [good, path] }), (error) => {
        return error instanceof InputError && error.message.startsWith(`cannot read ${path}: `);
      });
    }
    assert.equal(peer.streams, 0);
  });

  test("reads a named pipe", async () => {
    using peer = await new TestPeer().start();
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    const running = runSend({ address: peer.address, inputs: [pipe] });
    await writeFile(pipe, "a\nb");
    assert.equal((await running).exitCode, exitCodes.acknowledged);
    assert.deepEqual(storedBy(peer), ["a", "b"]);
  });
});

describe("fleetlog send, with a pipe", () => {
  for (const sessionId of [undefined, "s-2"]) {
    test(`loses nothing in the pipe at SIGTERM, session ${sessionId}`, async () => {
      using peer = await new TestPeer().start();
      const interrupt = new AbortController();
      const stdin = new PassThrough();
      const running = runSend({ address: peer.address, sessionId }, { stdin, signal: interrupt.signal });
      const lines = Array.from({ length: 3_000 }, (_, n) => `line ${n}`);
      stdin.write(`${lines.slice(0, 1_500).join("\n")}\n`);
      await waitFor("some lines", () => storedBy(peer).length > 0);
      stdin.write(lines.slice(1_500).join("\n"));
      interrupt.abort();
      const { exitCode, problems } = await running;
      assert.deepEqual(problems, []);
      assert.equal(exitCode, exitCodes.interrupted);
      assert.deepEqual(storedBy(peer), lines);
    });
  }

  test("at SIGTERM leaves unaccepted batches in the spool for the next run", async () => {
    using peer = await new TestPeer().start();
    peer.answer = () => "silence";
    const interrupt = new AbortController();
    const stdin = new PassThrough();
    const spool = join(folder, "spool");
    const running = runSend({ address: peer.address, spool }, { stdin, signal: interrupt.signal });
    stdin.write("a\nb\nlast");
    await waitFor("the first batch", () => peer.seen.length > 0);
    interrupt.abort();
    assert.equal((await running).exitCode, exitCodes.failed);
    peer.answer = () => ({});
    peer.seen.length = 0;
    assert.equal((await runSend({ address: peer.address, spool })).exitCode, exitCodes.acknowledged);
    assert.deepEqual(storedBy(peer), ["a", "b", "last"]);
  });
});
