import assert from "node:assert/strict";
import { appendFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { emptyFingerprint } from "#client/follow/fingerprint.ts";
import { type FilePosition, PositionJournal } from "#client/follow/position-journal.ts";

let root = "";
let path = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "fleetlog-positions-"));
});
after(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  path = join(await mkdtemp(join(root, "case-")), "positions");
});

function at(offset: number, id = 1): FilePosition {
  return { ...emptyFingerprint, id, offset, device: "1", inode: "2", line: offset + 1, size: offset };
}

const open = (isSpooled = (_sequence: bigint) => false) =>
  new PositionJournal(path, ({ sequence }) => isSpooled(sequence));
const offsets = (journal: PositionJournal) => journal.readFiles("/a.log")?.map(({ offset }) => offset);
const batch = (sequence: bigint) => ({ sessionId: "s", sequence });

/** As a kill leaves it while the batch is written into the spool. */
function leaveUndone(sequence: bigint, offset: number): void {
  const journal = open();
  void journal.setWith(batch(sequence), "/a.log", { files: [at(offset)] }, () => new Promise(() => {}));
  journal[Symbol.dispose]();
}

describe("positions", () => {
  test("are as last written, for several files, without the forgotten ones", async () => {
    {
      using journal = open();
      assert.equal(offsets(journal), undefined);
      journal.set("/a.log", { files: [at(0), at(0, 2), at(0, 3)] });
      await journal.setWith(batch(1n), "/a.log", { files: [at(7)] }, async () => {});
      journal.set("/a.log", { forgotten: [2] });
    }
    using journal = open();
    assert.deepEqual(offsets(journal), [7, 0]);
  });

  for (const isSpooled of [true, false]) {
    test(`${isSpooled ? "count" : "do not count"} without a word that the batch is in the spool when it ${isSpooled ? "is" : "is not"}`, () => {
      leaveUndone(1n, 7);
      using journal = open((sequence) => isSpooled && sequence === 1n);
      assert.deepEqual(offsets(journal), isSpooled ? [7] : undefined);
    });
  }

  test("decide permanently whether the batch of a killed process counts", () => {
    leaveUndone(1n, 7);
    open(() => true)[Symbol.dispose]();
    using journal = open(() => false);
    assert.deepEqual(offsets(journal), [7]);
  });

  test("do not move when the batch could not be written", async () => {
    {
      using journal = open();
      journal.set("/a.log", { files: [at(3)] });
      const full = journal.setWith(batch(1n), "/a.log", { files: [at(7)] }, async () => {
        throw new Error("no space left");
      });
      await assert.rejects(full, /no space left/);
      assert.deepEqual(offsets(journal), [3]);
    }
    using journal = open();
    assert.deepEqual(offsets(journal), [3]);
  });

  test("ignore a partly written entry, and refuse a damaged file with a reason", () => {
    {
      using journal = open();
      journal.set("/a.log", { files: [at(3)] });
    }
    appendFileSync(path, '{"path":"/a.log","fi');
    {
      using journal = open();
      assert.deepEqual(offsets(journal), [3]);
    }
    writeFileSync(path, `nonsense\n${readFileSync(path, "utf8")}`);
    assert.throws(() => open(), /positions is damaged in line 1/);
  });

  test("stay a small file that only its owner can read", async () => {
    using journal = open();
    const files = Array.from({ length: 20 }, (_, id) => at(7, id));
    for (let sequence = 1n; sequence < 200n; sequence++) {
      await journal.setWith(batch(sequence), "/a.log", { files }, async () => {});
    }
    const { size, mode } = statSync(path);
    assert.ok(size < 300 * 1024, `${size} bytes`);
    assert.equal(mode & 0o777, 0o600);
  });
});
