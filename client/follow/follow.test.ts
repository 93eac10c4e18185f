import assert from "node:assert/strict";
import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { InputError } from "#client/files/read-inputs.ts";
import { exitCodes } from "#client/send/send.ts";
import { SpoolError } from "#client/spool/spool.ts";
import { startFollowing, toMessages } from "#client/testing/following.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { waitFor } from "#test/support/wait-for.ts";

let root = "";
let folder = "";
let path = "";
let spool = "";
let peer: TestPeer;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "fleetlog-follow-"));
});
after(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(root, "case-"));
  path = join(folder, "app.log");
  spool = join(folder, "spool");
  peer = await new TestPeer().start();
});
afterEach(() => peer[Symbol.dispose]());

const append = (...lines: string[]) => appendFileSync(path, lines.map((line) => `${line}\n`).join(""));
const start = () => startFollowing(peer, { inputs: [path], spool });
const old = (number: number) => `${path}.${number}`;

/** As logrotate's copytruncate. */
function copyTruncate(to: string): void {
  copyFileSync(path, to);
  truncateSync(path);
}

type Rotation = readonly [what: string, rotate: () => void];

const rotations: readonly Rotation[] = [
  ["is renamed, and another one made", () => renameSync(path, old(1))],
  ["is copied and truncated", () => copyTruncate(old(1))],
  [
    "is renamed and compressed with gzip",
    () => {
      const content = gzipSync(readBack());
      writeFileSync(`${old(1)}.gz`, content);
      rmSync(path);
    },
  ],
  [
    "is renamed by date and compressed with zstd",
    () => {
      writeFileSync(join(folder, "app-2026-11-27.log.zst"), zstdCompressSync(readBack()));
      rmSync(path);
    },
  ],
];

const readBack = () => readFileSync(path);

describe("fleetlog send --follow", () => {
  test("sends existing and appended lines, each once it is complete", async () => {
    append("1", "2");
    await using following = start();
    await following.received("1", "2");
    appendFileSync(path, "thr");
    append("ee", "4");
    await following.received("three", "4");
    assert.equal(await following.stop(), exitCodes.acknowledged);
    assert.deepEqual(toMessages(peer), ["1", "2", "three", "4"]);
    assert.deepEqual(following.problems, []);
  });

  test("waits for a missing file, and for one that is removed and comes back", async () => {
    await using following = start();
    append("1");
    await following.received("1");
    rmSync(path);
    append("2");
    await following.received("2");
    await following.stop();
    assert.deepEqual(toMessages(peer), ["1", "2"]);
  });

  for (const [what, rotate] of rotations.slice(0, 2)) {
    test(`continues when the file ${what}`, async () => {
      append("1", "2");
      await using following = start();
      await following.received("1", "2");
      for (let turn = 0; turn < 3; turn++) {
        append(`before ${turn}`);
        rotate();
        append(`after ${turn}`);
        await following.received(`before ${turn}`, `after ${turn}`);
      }
      await following.stop();
      const wanted = ["1", "2", ...[0, 1, 2].flatMap((turn) => [`before ${turn}`, `after ${turn}`])];
      assert.deepEqual(toMessages(peer).toSorted(), wanted.toSorted());
    });
  }

  test("keeps reading a renamed file while its program still writes to it", async () => {
    append("1");
    await using following = start();
    await following.received("1");
    renameSync(path, old(1));
    append("new");
    await following.received("new");
    appendFileSync(old(1), "late\nlast words");
    await following.received("late", "last words");
    await following.stop();
    assert.deepEqual(toMessages(peer), ["1", "new", "late", "last words"]);
  });

  test("detects truncation even when the file grows past its old position", async () => {
    append("1", "2");
    await using following = start();
    await following.received("1", "2");
    writeFileSync(path, `${"x".repeat(5_000)}\nlast\n`);
    await following.received("x".repeat(5_000), "last");
    await following.stop();
    assert.deepEqual(toMessages(peer), ["1", "2", "x".repeat(5_000), "last"]);
  });

  test("skips the hole of a program that keeps its offset in a truncated file", async () => {
    append("1", "2");
    await using following = start();
    await following.received("1", "2");
    const { size } = statSync(path);
    truncateSync(path);
    truncateSync(path, size);
    append("3");
    await following.received("3");
    await following.stop();
    assert.deepEqual(toMessages(peer), ["1", "2", "3"]);
    assert.match(following.problems.join(), /skipped 4 NUL bytes/);
  });
});

describe("fleetlog send --follow, restarted", () => {
  test("resumes at its position in the middle of the file, and sends nothing twice", async () => {
    append("1", "2");
    {
      await using following = start();
      await following.received("1", "2");
      await following.stop();
    }
    append("3");
    await using following = start();
    await following.received("3");
    await following.stop();
    assert.deepEqual(toMessages(peer), ["1", "2", "3"]);
  });

  for (const [what, rotate] of rotations) {
    test(`finds the rest of a file that ${what} meanwhile`, async () => {
      append("1", "2");
      {
        await using following = start();
        await following.received("1", "2");
        await following.stop();
      }
      append("3");
      rotate();
      append("4");
      await using following = start();
      await following.received("3", "4");
      await following.stop();
      assert.deepEqual(toMessages(peer), ["1", "2", "3", "4"]);
    });
  }

  for (const [what, rotate] of rotations.slice(0, 2)) {
    test(`finds every file that came and went while the file ${what} several times`, async () => {
      append("1", "2");
      writeFileSync(old(9), "much older\n");
      append("2b");
      {
        await using following = start();
        await following.received("1", "2", "2b");
        await following.stop();
      }
      for (const turn of [1, 2, 3]) {
        append(`turn ${turn}`);
        for (const number of [3, 2, 1])
          if (statSync(old(number), { throwIfNoEntry: false })) renameSync(old(number), old(number + 1));
        rotate();
      }
      append("now");
      await using following = start();
      await following.received("turn 1", "turn 2", "turn 3", "now");
      await following.stop();
      assert.deepEqual(toMessages(peer), ["1", "2", "2b", "turn 1", "turn 2", "turn 3", "now"]);
    });
  }

  test("reports that the file it was reading is gone, and reads the one that has its name", async () => {
    append("1", "2");
    {
      await using following = start();
      await following.received("1", "2");
      await following.stop();
    }
    rmSync(path);
    append("3");
    await using following = start();
    await following.received("3");
    await following.stop();
    assert.match(following.problems.join(), /the file that was read up to byte 4 is gone, and no copy/);
  });

  test("sends the batches in the spool first after the server was unavailable, and still exits with 0", async () => {
    append("1");
    peer.kill();
    {
      await using following = start();
      await waitFor("the spool", () =>
        following.problems.some((problem) => problem.startsWith("no connection")),
      );
      assert.equal(await following.stop(), exitCodes.acknowledged);
      assert.match(following.problems.join(), /1 batches are kept in /);
    }
    append("2");
    await peer.start();
    await using following = start();
    await following.received("1", "2");
    await following.stop();
    assert.deepEqual(toMessages(peer).toSorted(), ["1", "2"]);
  });
});

describe("fleetlog send --follow refuses", () => {
  test("to run without a spool, of standard input, of a folder, and of a spool that is in use", async () => {
    await assert.rejects(startFollowing(peer, { inputs: [path], spool: undefined }).running, InputError);
    await assert.rejects(startFollowing(peer, { inputs: ["-"], spool }).running, InputError);
    await assert.rejects(startFollowing(peer, { inputs: [folder], spool }).running, InputError);
    append("1");
    await using following = start();
    await following.received("1");
    await assert.rejects(start().running, SpoolError);
  });

  test("a file in UTF-16, with a reason, and follows the others", async () => {
    writeFileSync(path, Buffer.from("\uFEFFa\n", "utf16le"));
    const other = join(folder, "other.log");
    writeFileSync(other, "fine\n");
    await using following = startFollowing(peer, { inputs: [path, other], spool });
    await following.received("fine");
    assert.match(following.problems.join(), /app\.log: it is UTF-16/);
  });
});
