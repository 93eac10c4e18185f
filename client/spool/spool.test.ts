import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { crc32 } from "node:zlib";
import { Spool, SpoolError } from "#client/spool/spool.ts";
import { dropOldest } from "#client/stream/drop-oldest.ts";
import { PendingBatches } from "#client/stream/pending-batches.ts";
import { encodeRecord, encodeRequest } from "#client/stream/record.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fleetlog-spool-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const mebibyte = 1024 * 1024;
const toSession = (sessionId: string) => ({ deviceId: "host-1", sessionId });
const openSpool = (sessionId: string, bytesMax = 64 * mebibyte) =>
  new Spool({ folder }, toSession(sessionId), bytesMax);

/** The pending batches of a session, one per message. */
function fill(spool: Spool, ...messages: readonly string[]): PendingBatches<undefined> {
  const pending = new PendingBatches<undefined>(spool.journal);
  for (const [index, message] of messages.entries()) {
    const sequence = BigInt(index + 1);
    const request = encodeRequest({ ...spool.journal.session, sequence }, [encodeRecord({ message })]);
    pending.add({ sequence, recordCount: 1, note: undefined, request, byteLength: request.byteLength });
  }
  return pending;
}

const toSequences = (pending: PendingBatches<undefined> | undefined) =>
  pending?.all.map(({ sequence }) => Number(sequence));
const spoolFiles = () => readdirSync(folder).filter((name) => name.endsWith(".spool"));
const fileBytes = () =>
  spoolFiles().reduce((sum, name) => sum + readFileSync(join(folder, name)).byteLength, 0);

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
const openAt = (path: string) => new Spool({ folder: path }, toSession("s"), mebibyte);

describe("a spool", () => {
  test("gives the next process the unsettled batches, byte for byte, under their session", () => {
    let requests: readonly Buffer[];
    {
      using spool = openSpool("s-1");
      const pending = fill(spool, "one", "two", "three", "four");
      const [, second] = pending.all;
      if (second) pending.forget(second);
      requests = pending.all.map(({ request }) => request);
    }
    using spool = openSpool("s-2");
    assert.deepEqual(spool.problems, []);
    const [recovered] = spool.recovered;
    assert.deepEqual(recovered?.session, toSession("s-1"));
    assert.deepEqual(toSequences(recovered?.pending), [1, 3, 4]);
    assert.deepEqual(
      recovered?.pending.all.map(({ request }) => request),
      requests,
    );
    assert.equal(
      recovered?.pending.bytes,
      requests.reduce((sum, { byteLength }) => sum + byteLength, 0),
    );
  });

  test("keeps the sessions of several processes apart, and removes settled ones", () => {
    for (const [index, name] of ["s-1", "s-2", "s-3"].entries()) {
      using spool = openSpool(name);
      assert.equal(spool.recovered.length, index);
      fill(spool, "one", "two");
    }
    using spool = openSpool("s-4");
    for (const { pending } of spool.recovered.slice(0, 2))
      for (const batch of pending.all) pending.forget(batch);
    spool[Symbol.dispose]();
    using next = openSpool("s-5");
    assert.deepEqual(
      next.recovered.map(({ session }) => session.sessionId),
      ["s-3"],
    );
    assert.equal(spoolFiles().length, 1);
  });

  test("belongs to one process at a time", () => {
    using first = openSpool("s-1");
    assert.throws(() => openSpool("s-2"), new SpoolError(`the spool ${folder} is in use by another process`));
    first[Symbol.dispose]();
    using _ = openSpool("s-2");
  });

  test("cuts a torn tail at any byte, and keeps every complete batch before it", () => {
    {
      using spool = openSpool("s-1");
      fill(spool, "one", "two");
    }
    const [name = ""] = spoolFiles();
    const path = join(folder, name);
    const whole = readFileSync(path);
    for (let length = whole.byteLength; length >= 0; length--) {
      writeFileSync(path, whole.subarray(0, length));
      using spool = openSpool("s-2");
      const sequences = toSequences(spool.recovered[0]?.pending) ?? [];
      assert.deepEqual(sequences, [1, 2].slice(0, sequences.length));
      if (length === whole.byteLength) assert.equal(sequences.length, 2);
      for (const { request } of spool.recovered[0]?.pending.all ?? []) assert.notEqual(request.byteLength, 0);
      const damaged = readdirSync(folder).filter((file) => file.endsWith(".damaged"));
      for (const file of damaged) rmSync(join(folder, file));
    }
  });

  test("accepts neither zeros nor noise nor a flipped bit as a batch", () => {
    {
      using spool = openSpool("s-1");
      fill(spool, "one", "two");
    }
    const [name = ""] = spoolFiles();
    const path = join(folder, name);
    const whole = readFileSync(path);
    for (const tail of [Buffer.alloc(4_096), Buffer.alloc(4_096, 0xff), Buffer.from("noise".repeat(100))]) {
      writeFileSync(path, whole);
      appendFileSync(path, tail);
      using spool = openSpool("s-2");
      assert.deepEqual(toSequences(spool.recovered[0]?.pending), [1, 2]);
      assert.match(spool.problems.join(), /bytes after 3 frames are an incomplete frame and were truncated/);
    }
    for (let at = 0; at < whole.byteLength; at++) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      writeFileSync(path, flipped);
      using spool = openSpool("s-2");
      assert.equal(spool.problems.length, 1, `byte ${at}`);
      assert.ok((toSequences(spool.recovered[0]?.pending) ?? []).length < 2);
      for (const file of readdirSync(folder)) if (file.endsWith(".damaged")) rmSync(join(folder, file));
    }
  });

  test("is readable by its owner only, whatever the umask, and warns when others can write to its folder", () => {
    const umask = process.umask(0);
    try {
      const inner = join(folder, "made", "here");
      {
        using spool = new Spool({ folder: inner }, { deviceId: "d", sessionId: "s-1" }, 1 << 20);
        fill(spool, "one");
        assert.equal(modeOf(inner), "700");
        for (const name of readdirSync(inner)) assert.equal(modeOf(join(inner, name)), "600", name);
      }
      for (const name of readdirSync(inner)) chmodSync(join(inner, name), 0o644);
      chmodSync(inner, 0o777);
      using spool = new Spool({ folder: inner }, { deviceId: "d", sessionId: "s-2" }, 1 << 20);
      assert.match(spool.problems.join(), /other users may write to .*here: use chmod 700/);
      for (const name of readdirSync(inner)) assert.equal(modeOf(join(inner, name)), "600", name);
    } finally {
      process.umask(umask);
    }
  });

  test("reports why a folder cannot be used", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    for (const [path, reason] of [
      [file, /the spool .*file cannot be used: it is a file, not a folder/],
      [join(file, "below"), /cannot be used: a part of its path is a file, not a folder/],
      [join(folder, "x".repeat(300)), /cannot be used: its path is too long/],
    ] as const) {
      assert.throws(
        () => openAt(path),
        (error: unknown) => error instanceof SpoolError && reason.test(error.message),
      );
    }
  });

  test("does not return a batch that the disk altered", () => {
    using spool = openSpool("s-1");
    const pending = fill(spool, "one");
    truncateSync(join(folder, spoolFiles()[0] ?? ""), 100);
    assert.throws(() => pending.all[0]?.request, /is damaged at byte/);
  });

  test("sets a file that is none of a spool aside, with all of its bytes", () => {
    {
      using spool = openSpool("s-1");
      fill(spool, "one", "two");
    }
    const [name = ""] = spoolFiles();
    const damaged = readFileSync(join(folder, name));
    damaged[8] = 0xff; // the kind of the first frame
    const notes = Buffer.from("notes of a person\n");
    const foreign = new Map([
      [name, damaged],
      ["00000009-00000001.spool", notes],
    ]);
    for (const [file, bytes] of foreign) writeFileSync(join(folder, file), bytes);
    using spool = openSpool("s-2");
    assert.deepEqual(
      spool.problems,
      [...foreign.keys()].map((file) => `${file}: is not a spool file and was set aside`),
    );
    for (const [file, bytes] of foreign)
      assert.deepEqual(readFileSync(join(folder, `${file}.damaged`)), bytes);
  });

  test("leaves the files of a newer version untouched", () => {
    {
      using spool = openSpool("s-1");
      spool.journal.append({ sequence: 1n, recordCount: 1, request: Buffer.alloc(9), byteLength: 9 });
    }
    const [name = ""] = spoolFiles();
    const path = join(folder, name);
    const newer = encodeNewer(readFileSync(path));
    writeFileSync(path, newer);
    assert.throws(() => openSpool("s-2"), /cannot be read: format version 2/);
    assert.deepEqual(readFileSync(path), newer);
  });

  test("uses at most twice its bytes, although the oldest batch is never settled", () => {
    using spool = openSpool("s-1", 8 * mebibyte);
    const pending = new PendingBatches<undefined>(spool.journal);
    const message = "x".repeat(256 * 1024);
    for (let sequence = 1n; sequence <= 400n; sequence++) {
      const request = encodeRequest({ ...spool.journal.session, sequence }, [encodeRecord({ message })]);
      pending.add({ sequence, recordCount: 1, note: undefined, request, byteLength: request.byteLength });
      const last = pending.all.at(-1);
      if (last && sequence > 1n) pending.forget(last);
    }
    assert.ok(fileBytes() <= 2 * 8 * mebibyte + mebibyte, `${fileBytes()} bytes`);
    assert.equal(pending.count, 1);
    assert.match(pending.all[0]?.request.toString() ?? "", /xxxx/);
    spool[Symbol.dispose]();
    using next = openSpool("s-2", 8 * mebibyte);
    assert.deepEqual(toSequences(next.recovered[0]?.pending), [1]);
  });

  test("remembers which batches may have been received: only the others can be dropped", () => {
    {
      using spool = openSpool("s-1");
      const pending = fill(spool, "one", "two", "three");
      pending.written();
      pending.written();
    }
    using spool = openSpool("s-2");
    const [recovered] = spool.recovered;
    assert.deepEqual(
      recovered?.pending.oldestUnwritten(9).map(({ sequence }) => sequence),
      [3n],
    );
  });

  test("syncs a declaration of drops in an earlier session as it does a batch", async () => {
    {
      using spool = openSpool("s-1");
      fill(spool, "one", "two", "three");
    }
    const options = { folder, syncMs: 0 };
    using spool = new Spool(options, toSession("s-2"), mebibyte);
    const [recovered] = spool.recovered;
    assert.ok(recovered);
    const { pending, journal, session } = recovered;
    const isOver = () => pending.count > 1;
    dropOldest(pending, { session, isOver, pendingBatchesMax: 64, events: {} });
    assert.equal(journal.isDirty, true);
    await spool.appended(assert.fail);
    assert.equal(journal.isDirty, false);
  });

  test("remembers them although the file that says so is removed, by this process and by the next ones", () => {
    {
      using spool = openSpool("s-1", mebibyte);
      const large = Array.from({ length: 20 }, () => "x".repeat(256 * 1024));
      const pending = fill(spool, ...large.slice(0, 2));
      pending.written();
      pending.written();
      fill(spool, ...large); // the same batches, and those behind them
      assert.ok(!spoolFiles().includes("00000001-00000001.spool"));
    }
    for (const process of ["s-2", "s-3"]) {
      using spool = openSpool(process, mebibyte);
      const [recovered] = spool.recovered;
      assert.deepEqual(
        recovered?.pending.oldestUnwritten(2).map(({ sequence }) => sequence),
        [3n, 4n],
      );
      recovered?.journal.compact(0);
    }
  });
});

/** The same bytes with version 2 in the first frame, and its checksum. */
function encodeNewer(bytes: Buffer): Buffer {
  const newer = Buffer.from(bytes);
  newer[9] = 2;
  const end = 8 + newer.readUInt32LE(0);
  newer.writeUInt32LE(crc32(newer.subarray(8, end), crc32(newer.subarray(0, 4))), 4);
  return newer;
}
