import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { digest } from "#batch/digest.ts";

import { readJsonRequest } from "#batch/json/json-request.ts";

import { scan } from "#batch/scan.ts";
import { Random } from "#batch/testing/random.ts";
import { reEncodeBytes } from "#batch/testing/re-encode.ts";
import {
  createFixture,
  type Fixture,
  makeEntry,
  records,
  shardCount,
  startConsumer,
} from "#consumer/testing/fixture.ts";
import { startProgram } from "#consumer/testing/program.ts";
import { projectFolder } from "#dev/folders.ts";
import type { Entry } from "#stream/entry.ts";
import { waitFor } from "./support/wait-for.ts";

// `fleetlog dead-letters`, as its own process, against real parts.

test("a rejected record is replayed repaired, once, with its device, its time and its origin", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  const [timed] = records(1);
  const sent = makeEntry(5, [{ ...timed!, message: "a\0b" }, { message: "x".repeat(70_000) }, ...records(2)]);
  await fixture.append(sent);
  await letters(fixture, 2);

  const dry = await deadLetters(fixture, ["replay", "--dry-run"]);
  assert.match(dry.out, /store it as device-1 ~letter-1 1, message: NUL is replaced/);
  assert.equal(await fixture.count("batches"), 1);

  const done = await deadLetters(fixture, ["replay", "--yes"]);
  assert.deepEqual([done.code, done.said.includes("2 of 2 are stored")], [0, true], done.said);
  const again = await deadLetters(fixture, ["replay", "--yes", "1", "2"]);
  assert.match(again.said, /0 of 0 dead letters can be replayed; 2 do not exist or are already replayed/);

  assert.deepEqual(
    await fixture.rows(`select device_id, to_char(time at time zone 'utc', 'HH24:MI:SS.US') as time, length(message) as length,
        attributes->>'fleetlog.origin' as origin, attributes->>'fleetlog.repairs' as repairs
      from logs where session_id like '~letter-%' order by session_id`),
    [
      {
        device_id: "device-1",
        time: "23:59:59.500000",
        length: 3,
        origin: "boot-1 5 0",
        repairs: "message: NUL is replaced",
      },
      {
        device_id: "device-1",
        time: "23:59:59.500000",
        length: 65_532,
        origin: "boot-1 5 1",
        repairs: "only the first 65536 bytes were kept",
      },
    ],
  );
  assert.deepEqual(
    await fixture.rows(`select letter.id, replayed_at is not null as replayed, session_id from dead_letters as letter
      join (select id, session_id as name from batches) as stored on stored.id = replayed_batch order by 1`),
    [1, 2].map((id) => ({ id: String(id), replayed: true, session_id: "boot-1" })),
  );
});

test("a record in JSON is kept as written, and replayed with its meaning", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  const texts = [
    '{"severity":"LOUD","message":"m 1","time_unix_nano":"2026-01-31T12:00:00Z","attributes":{"a":{"b":[1]},"c":true}}',
    '{"severity":"warn","message":{"text":"m 2"},"timeUnixNano":-5}',
    '"m 3"',
  ];
  const json = `{"batch":{"deviceId":"device-1","sessionId":"boot-1","sequence":"5","records":[${texts.join()}]}}`;
  const batch = readJsonRequest(Buffer.from(json)).batch!;
  await fixture.append({ ...makeEntry(5, records(1)), batch, digest: digest(scan(batch)) });
  await letters(fixture, 3);
  assert.deepEqual(
    await fixture.rows(
      "select convert_from(raw, 'utf8') as raw, is_json, raw_bytes from dead_letters order by idx",
    ),
    texts.map((raw) => ({ raw, is_json: true, raw_bytes: raw.length })),
  );
  const shown = await deadLetters(fixture, ["show", "1"]);
  assert.ok(shown.out.includes(` ${texts[0]!.length} bytes of JSON, `), shown.out);
  assert.ok(shown.out.endsWith(`\n${texts[0]}\n`), shown.out);
  const whole = JSON.parse((await deadLetters(fixture, ["show", "1", "--json"])).out) as Record<
    string,
    unknown
  >;
  assert.deepEqual(
    [whole["text"], whole["isJson"], whole["recordCount"], whole["raw"]],
    [texts[0], true, 1, Buffer.from(texts[0]!).toString("base64")],
  );

  const done = await deadLetters(fixture, ["replay", "--yes"]);
  assert.deepEqual([done.code, done.said.includes("3 of 3 are stored")], [0, true], done.said);
  assert.deepEqual(
    await fixture.rows(`select to_char(time at time zone 'utc', 'HH24:MI:SS.US') as time, severity, message,
        attributes - 'fleetlog.dead_letter' - 'fleetlog.origin' as attributes
      from logs where session_id like '~letter-%' order by session_id`),
    [
      {
        time: "12:00:00.000000",
        severity: 0,
        message: "m 1",
        attributes: {
          a: '{"b":[1]}',
          c: true,
          "fleetlog.repairs": 'severity: was LOUD; attributes["a"]: was not a string',
        },
      },
      {
        time: "23:59:59.500000",
        severity: 13,
        message: '{"text":"m 2"}',
        attributes: { "fleetlog.repairs": "message: was not a string; time_unix_nano: was -5" },
      },
      {
        time: "23:59:59.500000",
        severity: 0,
        message: '"m 3"',
        attributes: {
          "fleetlog.repairs": "it is not a complete JSON object, so its text becomes the message",
        },
      },
    ],
  );
});

test("a batch that PostgreSQL refused is replayed under its own identity, and a device's retry is a duplicate", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  await fixture.rows("alter table batches add constraint no_13 check (sequence <> 13)");
  const sent = makeEntry(13, records(1_000, "x".repeat(200)));
  await fixture.append(sent);
  await letters(fixture, 1);
  const refused = await deadLetters(fixture, ["replay", "--yes", "--wait", "1"]);
  assert.equal(refused.code, 2, refused.said);
  const reencoded = reEncoded(sent);
  await fixture.append(reencoded);
  await waitFor("the retry to be settled", async () => (await fixture.unacknowledged()) === 0);
  assert.equal(
    await fixture.count("dead_letters"),
    1,
    "one letter, however often and in which bytes it was sent",
  );
  await fixture.rows("alter table batches drop constraint no_13");

  const done = await deadLetters(fixture, ["replay", "--yes", "--kind", "batch", "--device", "device-1"]);
  assert.equal(done.code, 0, done.said);
  const next = makeEntry(14, records(1));
  await fixture.append(sent, reencoded, next);
  await waitFor("the retry to be settled", async () => (await fixture.unacknowledged()) === 0);
  assert.deepEqual(
    await fixture.rows(`select sequence, record_count, encode(digest, 'hex') as digest,
      extract(epoch from received_at) * 1000000 = ${sent.receivedAtMicros} as as_received from batches order by sequence`),
    [
      { sequence: "13", record_count: 1_000, digest: sent.digest.toString("hex"), as_received: true },
      { sequence: "14", record_count: 1, digest: next.digest.toString("hex"), as_received: true },
    ],
  );
  assert.equal(await fixture.count("dead_letters where replayed_batch is null"), 0);
});

test("a command and a consumer that are killed halfway store every dead letter once", async () => {
  await using fixture = await createFixture();
  const first = await startConsumer(fixture);
  await fixture.append(...[1, 2, 3].map((sequence) => makeEntry(sequence, [{ message: `\0 ${sequence}` }])));
  await letters(fixture, 3);
  await waitFor("the stream to be settled", async () => (await fixture.unacknowledged()) === 0);
  await first.stop();

  const killed = start(fixture, ["replay", "--yes", "--wait", "60"]);
  await waitFor("the first entries", async () => (await fixture.unacknowledged()) >= 3);
  killed.kill("SIGKILL");
  await once(killed, "exit");
  const second = await deadLetters(fixture, ["replay", "--yes", "--wait", "0"]);
  assert.deepEqual([second.code, second.said.includes("0 of 3 are stored")], [2, true], second.said);
  assert.equal(await fixture.unacknowledged(), 6);

  await fixture.holdFlushes();
  const consumer = await startProgram(fixture);
  await fixture.heldFlush();
  consumer.child.kill("SIGKILL");
  await consumer.exited;
  await fixture.rows("commit");
  await startProgram(fixture);
  await waitFor("all to be stored", async () => (await fixture.unacknowledged()) === 0);
  assert.deepEqual(
    await fixture.rows(`select message, (select count(*)::int from batches where id = replayed_batch) as stored
      from dead_letters join records on batch_id = replayed_batch order by message`),
    [1, 2, 3].map((number) => ({ message: `\uFFFD ${number}`, stored: 1 })),
  );
  assert.equal(await fixture.count("records"), 3);
});

test("a record that PostgreSQL refuses again stays unmarked, and gets another dead letter", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  await fixture.rows(
    "alter table record_batches add constraint no_secrets check (array_to_string(messages, ' ') !~ 'secret')",
  );
  await fixture.append(makeEntry(1, [{ message: "secret" }, ...records(1)]));
  await letters(fixture, 1);
  const refused = await deadLetters(fixture, ["replay", "--yes", "--wait", "1"]);
  assert.equal(refused.code, 2, refused.said);
  await letters(fixture, 2);
  await fixture.rows("alter table record_batches drop constraint no_secrets");
  const [newest] = (await deadLetters(fixture, ["list", "--limit", "1"])).out.split(" ");
  const done = await deadLetters(fixture, ["replay", "--yes", newest!]);
  assert.deepEqual([done.code, done.said.includes("1 of 1 are stored")], [0, true], done.said);
  assert.deepEqual(
    await fixture.rows("select sequence, replayed_at is null as left_over from dead_letters order by id"),
    [true, false].map((left_over) => ({ sequence: "1", left_over })),
  );
});

test("says why a dead letter cannot be replayed, lists by filter and shows bytes", async () => {
  await using fixture = await createFixture();
  await startConsumer(fixture);
  const noBatch = { ...makeEntry(1, records(1)), batch: Buffer.from("\xff\xff noise") };
  await fixture.append(noBatch, makeEntry(2, [{ message: "\0\x1b[31m" }]));
  await letters(fixture, 2);

  const plan = await deadLetters(fixture, ["replay", "--dry-run", "--kind", "batch"]);
  assert.deepEqual([plan.code, /cannot be repaired: batch /.test(plan.out)], [2, true], plan.out);
  const list = await deadLetters(fixture, [
    "list",
    "--kind",
    "record",
    "--reason",
    "nul",
    "--since",
    "2026-01-01",
    "--json",
  ]);
  const [listed, ...others] = list.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual([listed?.["deviceId"], listed?.["index"], others], ["device-1", 0, []]);
  const shown = await deadLetters(fixture, ["show", String(listed?.["id"])]);
  assert.match(
    shown.out,
    /NUL at byte 0.*a replay would: store it as device-1 ~letter-.*000000 {2}22 06 00 1b/s,
  );
  assert.ok(!shown.out.includes("\x1b"));
  assert.match(list.out, /^(?!.*"text":)/);
  await fixture.rows(`insert into dead_letters (device_id, reason, raw, raw_bytes, record_count)
    values ('device-1', 'too many', '', 0, 250)`);
  const counted = await deadLetters(fixture, ["list", "--kind", "count"]);
  assert.match(counted.out, /^\d+ {2}\S+ {2}count of 250 records {2}device-1.* {2}too many\n$/);
  const missing = await deadLetters(fixture, ["show", "999"]);
  assert.deepEqual([missing.code, missing.said], [1, "dead letter 999 not found\n"]);
  const unasked = await deadLetters(fixture, ["replay"]);
  assert.deepEqual([unasked.code, /use --yes or --dry-run/.test(unasked.said)], [1, true], unasked.said);
});

function letters(fixture: Fixture, count: number): Promise<boolean> {
  return waitFor(`${count} dead letters`, async () => (await fixture.count("dead_letters")) === count);
}

/** The same batch as another encoder would write it. */
function reEncoded(entry: Entry): Entry {
  const batch = reEncodeBytes(new Random(1), entry.batch);
  return { ...entry, batch, digest: digest(scan(batch)) };
}

function start(fixture: Fixture, args: readonly string[]) {
  return spawn(process.execPath, [join(projectFolder, "client/fleetlog.mjs"), "dead-letters", ...args], {
    env: {
      PATH: "",
      DATABASE_URL: fixture.databaseUrl,
      REDIS_URL: fixture.redisUrl,
      STREAM_SHARDS: String(shardCount),
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function deadLetters(fixture: Fixture, args: readonly string[]) {
  const child = start(fixture, args);
  const [out, said, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  return { out, said, code: code as number };
}
