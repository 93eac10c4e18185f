import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { after, before, test } from "node:test";
import { Client } from "pg";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { BinaryArray } from "./binary-array.ts";
import { readBinaryRows, readFields } from "./binary-rows.ts";

let database: TestDatabase;
let client: Client;

before(async () => {
  database = await createDatabase();
  client = new Client({ connectionString: database.url });
  await client.connect();
});

after(async () => {
  await client.end();
  await database[Symbol.asyncDispose]();
});

async function readAll(name: string, text: string, ...values: readonly string[]): Promise<Buffer[]> {
  const rows: Buffer[] = [];
  await readBinaryRows(client, { name, text, values }, (row) => rows.push(Buffer.from(row)));
  return rows;
}

test("reads every byte of rows of any size, in any cut of the network's chunks", async () => {
  const text = `select n, decode(repeat('00ff80c3', n % 50000), 'hex'), null from generate_series(1, $1::int, 1777) n`;
  const rows = await readAll("sizes", text, "200000");
  assert.equal(rows.length, 113);
  for (const [index, row] of rows.entries()) {
    const n = 1 + index * 1777;
    const [number, bytes, nothing] = readFields(row);
    assert.equal(number?.readInt32BE(), n);
    assert.deepEqual(bytes, Buffer.from("00ff80c3".repeat(n % 50_000), "hex"));
    assert.equal(nothing, undefined);
  }
});

test("statements before, between and after are answered as ever, also on an error", async () => {
  const halves = "select 1 / n from generate_series($1::int, 0, -1) n";
  for (let round = 0; round < 3; round++) {
    assert.deepEqual((await client.query("select 1 as n")).rows, [{ n: 1 }]);
    await assert.rejects(readAll("halves", halves, "2"), { code: "22012" });
    assert.deepEqual((await client.query("select $1::text as n", ["é"])).rows, [{ n: "é" }]);
  }
  await assert.rejects(readAll("wrong", "select from nowhere"), { code: "42P01" });
  assert.equal((await readAll("right", "select 1")).length, 1);
  for (let round = 0; round < 2; round++) assert.equal((await readAll("", `select ${round}`)).length, 1);
});

test("a notice whose beginning arrives with the end of a statement is heard", async () => {
  const { stream } = (client as unknown as { connection: { stream: Duplex } }).connection;
  const fields = Buffer.from("SNOTICE\0C00000\0Min two parts\0\0");
  const notice = Buffer.concat([Buffer.from("N\0\0\0"), Buffer.from([4 + fields.length]), fields]);
  const emit = stream.emit.bind(stream);
  const interrupted = (event: string, chunk?: Buffer): boolean => {
    const isEnd = event === "data" && chunk?.at(-6) === "Z".charCodeAt(0);
    if (!isEnd) return emit(event, chunk);
    stream.emit = emit;
    emit("data", Buffer.concat([chunk, notice.subarray(0, 3)]));
    return emit("data", notice.subarray(3));
  };
  stream.emit = interrupted as typeof emit;
  const heard: (string | undefined)[] = [];
  client.once("notice", ({ message }) => heard.push(message));
  assert.equal((await readAll("noticed", "select 1")).length, 1);
  assert.equal((await readAll("noticed", "select 1")).length, 1);
  assert.deepEqual(heard, ["in two parts"]);
});

test("what the reader of a row throws ends the call, and the connection goes on", async () => {
  const statement = { name: "many", text: "select generate_series(1, 10000)", values: [] };
  let calls = 0;
  const thrown = new Error("enough");
  const read = readBinaryRows(client, statement, () => {
    calls += 1;
    throw thrown;
  });
  await assert.rejects(read, thrown);
  assert.equal(calls, 1);
  assert.deepEqual((await client.query("select 2 as n")).rows, [{ n: 2 }]);
});

test("rows that take long leave turns to everything else", async () => {
  let [rows, rowsOfTurn, rowsOfTurnMax] = [0, 0, 0];
  let isReading = true;
  const count = () => {
    rowsOfTurnMax = Math.max(rowsOfTurnMax, rowsOfTurn);
    rowsOfTurn = 0;
    if (isReading) setImmediate(count);
  };
  setImmediate(count);
  const text = "select repeat('x', 10000) from generate_series(1, 400)";
  await readBinaryRows(client, { name: "long", text, values: [] }, () => {
    rows += 1;
    rowsOfTurn += 1;
    for (const startedMs = performance.now(); performance.now() < startedMs + 2; );
  });
  isReading = false;
  assert.equal(rows, 400);
  assert.ok(rowsOfTurnMax < 60, `${rowsOfTurnMax} rows in one turn`);
});

test("a connection that breaks ends the call", async () => {
  const other = new Client({ connectionString: database.url });
  other.on("error", () => {});
  await other.connect();
  const { rows } = await other.query("select pg_backend_pid() as pid");
  const read = readBinaryRows(other, { name: "slow", text: "select pg_sleep(60)", values: [] }, () => {});
  await client.query("select pg_terminate_backend($1)", [rows[0].pid]);
  await assert.rejects(read, { code: "57P01" });
});

test("an array is opened without decoding what is not asked for", async () => {
  const text = `select '{a,NULL,"",ÄÖ}'::text[], '{1,-2}'::int2[], '{3}'::int4[],
    array['2026-01-01Z', '0001-01-01Z']::timestamptz[], '{}'::text[], array['\\x00ff'::bytea, null]`;
  const [row] = await readAll("arrays", text);
  const [texts, small, ints, times, empty, bytes] = readFields(row as Buffer).map(
    (field) => new BinaryArray(field as Buffer),
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((place) => texts?.text(place)),
    ["a", "", "", "ÄÖ"],
  );
  assert.deepEqual(
    [0, 1, 2].map((place) => texts?.size(place)),
    [1, -1, 0],
  );
  assert.deepEqual([small?.int2(0), small?.int2(1), ints?.int4(0)], [1, -2, 3]);
  assert.equal(times?.int8(0), 820_540_800_000_000n);
  assert.equal(times?.int8(1), -63_082_281_600_000_000n);
  assert.deepEqual([empty?.length, bytes?.length, times?.length], [0, 2, 2]);
  assert.deepEqual([bytes?.slice(0), bytes?.slice(1)], [Buffer.from([0, 255]), undefined]);
});
