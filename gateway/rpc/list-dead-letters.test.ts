import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Pool } from "pg";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
let pool: Pool;
before(async () => {
  gateway = await startWithTwoHosts();
  pool = new Pool({ connectionString: gateway.databaseUrl, max: 1 });
  pool.on("error", () => {}); // the database ends before the pool
});
after(async () => {
  await pool.end();
  await gateway[Symbol.asyncDispose]();
});

interface Letter {
  readonly reason: string;
  readonly recordCount: number;
  readonly isJson: boolean;
  readonly rawText: string;
  readonly raw: string;
}

async function insert(reason: string, raw: Buffer, options: { count?: number; isJson?: boolean }) {
  await pool.query(
    `insert into dead_letters (reason, raw, raw_bytes, record_count, is_json) values ($1, $2, $3, $4, $5)`,
    [reason, raw, raw.length, options.count ?? 1, options.isJson ?? false],
  );
}

test("a dead letter has its number of records, and its JSON as text without split characters", async () => {
  await insert("many", Buffer.from('{"a":1}'), { count: 250 });
  await insert("json", Buffer.from('{"message":"é"}'), { isJson: true });
  await insert("cut", Buffer.from("é".repeat(600).padStart(1_023, "x")), { isJson: true });
  await insert("cut within a character", Buffer.from(`x${"é".repeat(600)}`), { isJson: true });
  await insert("no UTF-8", Buffer.from("7b22ff227d", "hex"), { isJson: true });
  await insert("ends within a character", Buffer.from("22c3", "hex"), { isJson: true });

  const { body } = await gateway.get("/v1/dead-letters");
  const deadLetters = body.deadLetters as Letter[];
  assert.deepEqual(
    deadLetters.map(({ reason, recordCount, isJson, rawText }) => [reason, recordCount, isJson, rawText]),
    [
      ["ends within a character", 1, true, '"\uFFFD'],
      ["no UTF-8", 1, true, '{"\uFFFD"}'],
      ["cut within a character", 1, true, `x${"é".repeat(511)}`],
      ["cut", 1, true, `${"x".repeat(423)}${"é".repeat(300)}`],
      ["json", 1, true, '{"message":"é"}'],
      ["many", 250, false, ""],
    ],
  );
  assert.equal(Buffer.from(deadLetters.at(-1)!.raw, "base64").toString(), '{"a":1}');
});
