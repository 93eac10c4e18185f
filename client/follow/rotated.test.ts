import assert from "node:assert/strict";
import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { isRotated } from "#client/follow/found-files.ts";
import { exitCodes } from "#client/send/send.ts";
import { startFollowing, toMessages } from "#client/testing/following.ts";
import { TestPeer } from "#client/testing/test-peer.ts";

// Which of the files beside a followed one are read, and which are not, over restarts.

let root = "";
let path = "";
let spool = "";
let peer: TestPeer;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "fleetlog-rotated-"));
});
after(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  const folder = await mkdtemp(join(root, "case-"));
  path = join(folder, "app.log");
  spool = join(folder, "spool");
  peer = await new TestPeer().start();
});
afterEach(() => peer[Symbol.dispose]());

/** Longer than the windows that identify a log. */
const lines = (name: string) => Array.from({ length: 40 }, (_, n) => `${name} ${n} ${"x".repeat(60)}`);
const append = (...some: readonly string[]) => appendFileSync(path, some.map((line) => `${line}\n`).join(""));

/** A run that ends when it has sent these. */
async function run(...messages: readonly string[]) {
  await using following = startFollowing(peer, { inputs: [path], spool });
  await following.received(...messages);
  return { exitCode: await following.stop(), problems: following.problems };
}

function compress(name: string): void {
  writeFileSync(`${name}.gz`, gzipSync(readFileSync(name)));
  rmSync(name);
}

describe("fleetlog send --follow, with rotated files beside the followed one", () => {
  test("skips files rotated before it followed the path, even if they are compressed later", async () => {
    writeFileSync(`${path}.1`, "before\n");
    writeFileSync(`${path}.2.gz`, gzipSync("long before\n"));
    append("1");
    await run("1");
    renameSync(`${path}.2.gz`, `${path}.3.gz`);
    renameSync(`${path}.1`, `${path}.2`);
    compress(`${path}.2`);
    renameSync(path, `${path}.1`);
    append("2");
    await run("2");
    assert.deepEqual(toMessages(peer), ["1", "2"]);
  });

  test("reads a log to its end through any chain of rotations", async () => {
    const all = [...lines("first"), ...lines("second"), ...lines("third"), ...lines("fourth")];
    append(...all.slice(0, 30));
    await run(all[29]!);
    append(...all.slice(30, 40));
    renameSync(path, `${path}.1`);
    append(...all.slice(40, 80));
    renameSync(`${path}.1`, `${path}.2`);
    compress(`${path}.2`);
    renameSync(path, `${path}.1`);
    append(...all.slice(80, 120));
    renameSync(`${path}.2.gz`, `${path}.3.gz`);
    renameSync(`${path}.1`, `${path}.2`);
    compress(`${path}.2`);
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
    append(...all.slice(120));
    await run(...all);
    await run(...all); // and nothing again
    assert.deepEqual(toMessages(peer).toSorted(), all.toSorted());
  });

  test("never reads a user's copy, not even when the original is gone", async () => {
    append(...lines("a"));
    await run(...lines("a"));
    copyFileSync(path, `${path}.old`);
    append("more");
    await run("more");
    rmSync(path);
    append("new");
    await run("new");
    await run("new");
    assert.deepEqual(toMessages(peer), [...lines("a"), "more", "new"]);
  });

  test("sends a file once that was copied and truncated before it was read", async () => {
    await using following = startFollowing(peer, { inputs: [path], spool });
    append("0");
    await following.received("0");
    renameSync(path, `${path}.2`);
    append("1");
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
    append("2");
    await following.received("1", "2");
    await following.stop();
    assert.deepEqual(toMessages(peer), ["0", "1", "2"]);
  });

  test("recognises a file with another inode, as after an editor or a restored backup", async () => {
    append(...lines("a"));
    await run(...lines("a"));
    copyFileSync(path, `${path}.tmp`);
    rmSync(path);
    renameSync(`${path}.tmp`, path);
    append("b");
    await run("b");
    assert.deepEqual(toMessages(peer), [...lines("a"), "b"]);
  });

  test("reports how many files disappeared before they were read, and fails for them", async () => {
    append("1", "2");
    await run("1", "2");
    append("never read");
    rmSync(path);
    append("3");
    const { exitCode, problems } = await run("3");
    assert.equal(exitCode, exitCodes.failed);
    assert.match(problems.join("\n"), /read up to byte 4 is gone.*\n.*1 files were gone before/);
    const again = await run("3");
    assert.equal(again.exitCode, exitCodes.acknowledged);
    assert.deepEqual(toMessages(peer), ["1", "2", "3"]);
  });
});

describe("the name of a rotated file", () => {
  const names: readonly [of: string, rotated: readonly string[], others: readonly string[]][] = [
    [
      "app.log",
      [
        "app.log.1",
        "app.log.12.gz",
        "app.log-20261127",
        "app.log-20261127-1795798862.gz",
        "app.log.2026-11-27_17-01.zst",
      ].concat(["app-2026-11-27.log", "app.1.log", "app-20261127.log.gz", "app.log.old"]),
      [
        "app.log",
        "app.log.gz",
        "app.log.err",
        "app.log.1.bz2",
        "app.log.swp",
        "app.logger.1",
        "other.log.1",
        "app-web.log",
      ],
    ],
    ["messages", ["messages.1", "messages-20261127.gz"], ["messages", "messages.err", "message.1"]],
  ];
  for (const [of, rotated, others] of names) {
    test(`is distinguished from others beside ${of}`, () => {
      assert.deepEqual(
        [...rotated, ...others].filter((name) => isRotated(name, of)),
        rotated,
      );
    });
  }
});
