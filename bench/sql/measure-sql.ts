import type { Pool } from "pg";
import { callGateway } from "#bench/query/call-gateway.ts";
import { Latencies } from "#bench/simulate/latencies.ts";
import type { SqlQuery } from "./queries.ts";

export interface MeasuredSql {
  readonly title: string;
  readonly rows: number;
  /** Partitions of records that it read, of all that there are. */
  readonly days: number;
  readonly sqlMs: number;
  /** Undefined: the gateway has no such call. */
  readonly gatewayMs: number | undefined;
}

/** The medians of `rounds` of the statement and the call, in turns. */
export async function measureSql(
  pool: Pool,
  target: string,
  queryAt: (round: number) => SqlQuery,
  rounds: number,
): Promise<MeasuredSql> {
  const [ofSql, ofGateway] = [new Latencies(), new Latencies()];
  let rows = 0;
  const until = performance.now() + roundsMsMax;
  for (let round = -1; round < rounds && (round < 1 || performance.now() < until); round++) {
    const { sql, call } = queryAt(round);
    const startedAt = performance.now();
    ({ length: rows } = (await pool.query(sql)).rows);
    // The first round warms both.
    if (round >= 0) ofSql.record(performance.now() - startedAt);
    if (call === undefined) continue;
    const { ms, isCached } = await callGateway(target, call);
    if (round >= 0 && !isCached) ofGateway.record(ms);
  }
  return {
    title: queryAt(0).title,
    rows,
    days: await countDays(pool, queryAt(0).sql),
    sqlMs: ofSql.percentile(50),
    gatewayMs: queryAt(0).call && ofGateway.percentile(50),
  };
}

interface PlanNode {
  readonly "Relation Name"?: string;
  readonly "Actual Loops": number;
  readonly "Actual Rows": number;
  readonly Plans?: readonly PlanNode[];
}

/** How many partitions of records gave rows, or were read in vain. */
async function countDays(pool: Pool, sql: string): Promise<number> {
  const { rows } = await pool.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
    `explain (analyze, format json) ${sql}`,
  );
  const days = new Set<string>();
  const visit = (node: PlanNode): void => {
    const name = node["Relation Name"] ?? "";
    if (/^record_batches_\d/.test(name) && node["Actual Loops"] > 0) days.add(name);
    for (const inner of node.Plans ?? []) visit(inner);
  };
  visit((rows[0] as (typeof rows)[0])["QUERY PLAN"][0].Plan);
  return days.size;
}

const roundsMsMax = 10_000;
