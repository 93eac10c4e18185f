import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Pool } from "pg";
import { projectFolder } from "#dev/folders.ts";
import { ensurePartitions } from "#postgres/partitions.ts";
import { createDatabase as createKysely } from "#postgres/pool.ts";
import { storeRecords } from "#postgres/testing/store-records.ts";
import { createDatabase, type TestDatabase } from "./support/postgres.ts";

const days = 6;
const startMs = Date.UTC(2026, 0, 26);
const [from, to] = ["2026-01-29 10:00Z", "2026-01-29 11:00Z"];

let database: TestDatabase;
let pool: Pool;

before(async () => {
  database = await createDatabase();
  pool = new Pool({ connectionString: database.url, max: 2 });
  const db = createKysely(pool);
  await ensurePartitions(db, { now: new Date(startMs + days * 86_400_000), daysBack: days, daysAhead: 0 });
  await fill();
});
after(async () => {
  await pool.end();
  await database[Symbol.asyncDispose]();
});

/** Six days of 20 devices, 288 batches a day; some are up to two days late, some are an hour long. */
async function fill(): Promise<void> {
  await pool.query(`
    insert into devices (device_id, first_seen, last_seen) select 'host-' || n, now(), now() from generate_series(1, 20) n;
    insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count, rejected_count,
      severities, bytes, session_id, digest, attributes)
    select next_batch_id(at), at, at - late - length, at - late, n, 1 + n % 20, 20, 0, -1, 2000, 'boot-' || n % 20,
      decode(md5(n::text), 'hex'), case when n % 3 = 0 then '{"firmware": "2.1.0", "ap": 9}'::jsonb end
    from generate_series(1, ${days * 288}) n,
      lateral (select timestamptz '2026-01-26 00:00Z' + n * interval '5 minutes' as at,
        case when n % 17 = 0 then interval '2 days' * (n % 100) / 100 else interval '0' end as late,
        case when n % 50 = 0 then interval '1 hour' else interval '3 minutes' end as length) at
    order by n;
    ${storeRecords(
      `select id, place, first_time + (last_time - first_time) * place / 19, 1 + (place * 7 + sequence) % 24,
        case when place % 4 = 0 then 'net.wifi' else 'disk' end,
        case when place = 3 and sequence % 100 = 0 then 'a BROWNOUT' else 'Timeout after ' || place end,
        case when place % 2 = 0 then jsonb_build_object('ap', place % 4 + 1)::text end,
        case when place = 2 then 'boot' end
      from batches, generate_series(0, 19) place`,
      ["attributes", "event_name"],
    )};
    update record_batches rows set
      severity_texts = array_fill(null::text, array[1]) || array['notice'] || array_fill(null::text, array[18]),
      uptimes = array_fill(null::bigint, array[1]) || array[1500000000] || array_fill(null::bigint, array[18]),
      observed_times = array_fill(null::timestamptz, array[1]) || received_at || array_fill(null::timestamptz, array[18]),
      flags = array[null, 5, 8]::smallint[] || array_fill(null::smallint, array[17])
    from batches where batches.id = rows.batch_id;
    insert into log_statistics select date_trunc('minute', time), severity, count(*) from records group by 1, 2;
    insert into device_statistics select date_trunc('hour', received_at), device_key, count(*), sum(record_count), 3, 0, 1
      from batches group by 1, 2;`);
  await pool.query("vacuum analyze");
}

describe("the functions over logs return the same rows as the view", () => {
  const row =
    "(time, received_at, device_id, batch_id, idx, severity, severity_text, attributes, uptime, time_source, is_text_repaired)";
  const ranges = [
    [from, to],
    ["2026-01-26 00:00Z", "2026-01-26 00:10Z"],
    ["2026-01-27 23:30Z", "2026-01-28 02:00Z"],
    ["-infinity", "infinity"],
    ["2026-02-09 00:00Z", "infinity"],
  ] as const;
  for (const range of ranges) {
    test(`from ${range.join(" to ")}`, async () => {
      await compare(
        `select ${row}::text from logs_between($1, $2) as logs`,
        `select ${row}::text from logs where time between $1 and $2`,
        range,
      );
      await compare(
        `select ${row}::text from logs_received_between($1, $2) as logs`,
        `select ${row}::text from logs where received_at between $1 and $2`,
        range,
      );
    });
  }

  test("the newest, of all and up to a time, fewer when there are fewer", async () => {
    for (const [count, until] of [
      [100, "infinity"],
      [1000, "2026-01-29 11:00Z"],
      [10, "2026-01-26 00:10Z"],
      [1_000_000, "infinity"],
    ] as const) {
      const newest = `select row_number() over (order by time desc, batch_id desc, idx desc), time, batch_id, idx`;
      await compare(
        `${newest} from newest_logs($1::int, $2)`,
        `(${newest} from logs where time <= $2 order by time desc, batch_id desc, idx desc limit $1::int)`,
        [count, until],
      );
    }
  });

  test("with every column of the view, by its name and type", async () => {
    const { fields } = await pool.query("select * from logs limit 0");
    for (const call of [
      "logs_between(now(), now())",
      "logs_received_between(now(), now())",
      "newest_logs(1)",
    ]) {
      const { fields: ofCall } = await pool.query(`select * from ${call} limit 0`);
      assert.deepEqual(
        ofCall.map(({ name, dataTypeID }) => [name, dataTypeID]),
        fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
      );
    }
  });

  test("with what few records have, in words", async () => {
    const { rows } = await pool.query(
      `select severity_text, uptime::text, observed_time = received_at as is_observed, is_text_repaired, time_source
       from logs where idx in (1, 2, 3) and sequence = 1 order by idx`,
    );
    const usual = { uptime: null, is_observed: null, is_text_repaired: false };
    assert.deepEqual(rows, [
      {
        ...usual,
        severity_text: "notice",
        uptime: "00:00:01.5",
        is_observed: true,
        is_text_repaired: true,
        time_source: "uptime",
      },
      { ...usual, severity_text: "WARN4", time_source: "received" },
      { ...usual, severity_text: "FATAL3", time_source: "device" },
    ]);
  });
});

describe("a range reads the days and batches of that range alone", () => {
  for (const [title, query, daysMax] of [
    ["logs_between", `select * from logs_between('${from}', '${to}')`, 3],
    ["counted", `select severity, count(*) from logs_between('${from}', '${to}') group by 1`, 3],
    ["with a device", `select * from logs_between('${from}', '${to}') where device_id = 'host-3'`, 3],
    ["as parameters", "select * from logs_between($1, $2)", 3],
    ["logs_received_between", `select * from logs_received_between('${from}', '${to}')`, 1],
    ["newest_logs", "select * from newest_logs(500, '2026-02-01')", 2],
  ] as const) {
    test(title, async () => {
      const plan = await explain(query, query.includes("$1") ? [from, to] : []);
      assert.ok(plan.days.size <= daysMax, `reads ${[...plan.days].join(", ")}`);
      assert.ok(plan.days.size > 0);
      assert.deepEqual(plan.wholeTables, []);
    });
  }
});

describe("docs/SQL.md", () => {
  const text = readFileSync(join(projectFolder, "docs/SQL.md"), "utf8");
  const examples = [...text.matchAll(/```sql\n([^]*?)```/g)].map(([, example = ""]) => example.trim());

  for (const example of examples) {
    test(`has rows: ${example.split("\n").slice(0, 2).join(" ").slice(0, 90)}`, async () => {
      const sql = asGrafanaSends(example);
      const { rows } = await pool.query(sql);
      assert.ok(rows.length > 0, sql);
      if (!/logs_between|logs_received_between|newest_logs/.test(sql)) return;
      const plan = await explain(sql);
      assert.ok(plan.days.size <= 3, `reads ${[...plan.days].join(", ")}: ${sql}`);
      assert.deepEqual(plan.wholeTables, [], sql);
    });
  }

  test("has a dozen of them", () => {
    assert.ok(examples.length >= 10);
  });
});

/** The two statements return the same rows. */
async function compare(left: string, right: string, parameters: readonly unknown[]): Promise<void> {
  const { rows } = await pool.query(`${left} except all ${right}`, [...parameters]);
  assert.deepEqual(rows, []);
  const { rows: others } = await pool.query(`${right} except all ${left}`, [...parameters]);
  assert.deepEqual(others, []);
}

/** The macros of Grafana's PostgreSQL data source. */
function asGrafanaSends(sql: string): string {
  return sql
    .replaceAll("$__timeFrom()", `'${from}'`)
    .replaceAll("$__timeTo()", `'${to}'`)
    .replaceAll(/\$__timeFilter\((\w+)\)/g, `$1 BETWEEN '${from}' AND '${to}'`)
    .replaceAll(/\$__timeGroup\((\w+), '1m'\)/g, "floor(extract(epoch from $1)/60)*60")
    .replaceAll("2026-01-31 1", "2026-01-30 1");
}

/** A table of one page is rightly read from end to end. */
const onePageRows = 100;

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Loops": number;
  readonly "Actual Rows": number;
  readonly Plans?: readonly PlanNode[];
}

/** The partitions of records that a statement read, and the tables that it read from end to end. */
async function explain(sql: string, parameters: readonly unknown[] = []) {
  const { rows } = await pool.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
    `explain (analyze, format json) ${sql}`,
    [...parameters],
  );
  const nodes = flatten((rows[0] as (typeof rows)[0])["QUERY PLAN"][0].Plan).filter(
    (node) => node["Actual Loops"] > 0,
  );
  const read = nodes.filter((node) => node["Relation Name"] !== undefined && node["Actual Rows"] > 0);
  return {
    days: new Set(
      read.map((node) => node["Relation Name"]).filter((name) => name?.startsWith("record_batches_")),
    ),
    wholeTables: read
      .filter((node) => node["Node Type"] === "Seq Scan" && node["Relation Name"] !== "devices")
      .filter((node) => node["Actual Rows"] > onePageRows)
      .map((node) => node["Relation Name"]),
  };
}

function flatten(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}
