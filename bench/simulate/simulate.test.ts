import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { type FleetOptions, runFleet } from "#bench/simulate/fleet.ts";
import { readOptions } from "#bench/simulate/options.ts";
import { createReport, formatSummary } from "#bench/simulate/report.ts";
import { reportPage } from "#bench/simulate/report-page.ts";
import type { Tally } from "#bench/simulate/tally.ts";
import { storedByGateway } from "#bench/stored/stored-by-gateway.ts";
import { storedInPostgres } from "#bench/stored/stored-in-postgres.ts";
import { verify } from "#bench/stored/verify.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";

const prefix = "sim-test-";

describe("a simulated fleet", () => {
  let system: TestSystem;
  let options: FleetOptions;
  let tally: Tally;

  before(async () => {
    system = await startSystem({ servers: 1 });
    const parsed = readOptions(
      "--devices 8 --rate 800 --duration 1500ms --ramp 200ms --batch-interval 100ms --boots 500ms --reconnects 300ms --bad-network 50 --link-latency 40ms".split(
        " ",
      ),
    );
    options = { ...parsed, target: system.grpcAddress, prefix };
    tally = await runFleet(options);
  });
  after(() => system[Symbol.asyncDispose]());

  test("survives boots and broken connections, and every acknowledged record is stored once", async () => {
    assert(tally.acknowledgedRecords > 100, `${tally.acknowledgedRecords} records acknowledged`);
    assert(tally.boots > 0);
    assert(tally.reconnects > 0);
    assert.equal(tally.waitingBatches, 0, "each batch that was due has its end");
    for (const open of [
      () => storedInPostgres(system.databaseUrl, prefix),
      () => storedByGateway(system.httpUrl, prefix),
    ]) {
      await using stored = await open();
      const result = await verify(stored, tally.sessions);
      assert.deepEqual(result.faults, []);
      assert.equal(result.ok, true);
      assert.equal(result.storedRows, tally.acknowledgedRecords);
    }
  });

  test("makes a report whose page is self-contained", async () => {
    await using stored = await storedInPostgres(system.databaseUrl, prefix);
    const report = createReport("test", readOptions([]), tally, await verify(stored, tally.sessions));
    assert.match(formatSummary(report), /\nverified; /);
    assert.equal(report.latency.count, tally.acknowledgedBatches);
    const page = reportPage(report);
    assert.match(page, /<svg.*acknowledged/s);
    assert.doesNotMatch(page, /<script|<link|src=|NaN|undefined/);
    assert.deepEqual(JSON.parse(JSON.stringify(report)).records.acknowledged, tally.acknowledgedRecords);
  });

  test("many devices share connections", async () => {
    const shared = await runFleet({
      ...options,
      prefix: "sim-shared-",
      devices: 150,
      rate: 1_500,
      durationMs: 500,
      rampMs: 300,
      devicesPerConnection: 50,
      bootEveryMs: undefined,
      reconnectEveryMs: undefined,
      badNetwork: 0,
    });
    assert.equal(new Set(shared.sessions.map(({ deviceId }) => deviceId)).size, 150);
    assert.equal(shared.uncertainBatches, 0);
    await using stored = await storedInPostgres(system.databaseUrl, "sim-shared-");
    assert.equal((await verify(stored, shared.sessions)).ok, true);
  });

  test("detects a missing and a duplicate row", async () => {
    const client = new Client({ connectionString: system.databaseUrl });
    await client.connect();
    try {
      const session = tally.sessions.find(({ acknowledgedRecords }) => acknowledgedRecords > 2);
      assert(session);
      const its = `batch_id in (select id from batches where session_id = '${session.sessionId}')`;
      const [first, last] = ["asc", "desc"].map(
        (direction) =>
          `(batch_id, first_index) = (
            select batch_id, first_index from record_batches where ${its} order by batch_id ${direction} limit 1)`,
      );
      const columns = ["times", "severities", "loggers", "messages", "attributes"];
      const withoutFirst = columns.map((column) => `${column} = ${column}[2:]`);
      const lastTwice = columns.map(
        (column) => `${column} = ${column} || ${column}[cardinality(${column}):]`,
      );
      // The index of the second is that of the first.
      const indexes =
        "indexes = (select array_agg(n - 1) from generate_series(1, cardinality(times)) n) || (cardinality(times) - 1)";
      await client.query(`update record_batches set ${withoutFirst.join()}, first_index = 1 where ${first}`);
      await client.query(`update record_batches set ${lastTwice.join()}, ${indexes} where ${last}`);
      for (const open of [
        () => storedInPostgres(system.databaseUrl, prefix),
        () => storedByGateway(system.httpUrl, prefix),
      ]) {
        await using stored = await open();
        const result = await verify(stored, tally.sessions, { stallMs: 200 });
        assert.equal(result.ok, false);
        assert.deepEqual([result.missingRows, result.doubledRows, result.unexpectedRows], [1, 1, 0]);
        assert.equal(result.faults.length, 1);
        assert.match(result.faults[0] ?? "", new RegExp(session.sessionId));
      }
    } finally {
      await client.end();
    }
  });
});
