import { type Call, callGateway, type QueryResponse } from "#bench/query/call-gateway.ts";
import type { BenchQuery } from "#bench/query/queries.ts";
import type { QuerySystem } from "#bench/query/query-system.ts";
import { Latencies, type Percentiles } from "#bench/simulate/latencies.ts";

export interface MeasuredQuery extends Pick<BenchQuery, "name" | "title" | "wanted"> {
  readonly uncached: Percentiles;
  readonly cached: Percentiles;
  /** ms of CPU per uncached response, gateway and PostgreSQL together. */
  readonly cpuMs: number;
}

/** Asks up to `rounds` times, no longer than some seconds, then the last again and again. */
export async function measureQuery(
  system: Pick<QuerySystem, "cpu">,
  target: string,
  { name, title, wanted, call, check }: BenchQuery,
  rounds: number,
): Promise<MeasuredQuery> {
  for (let round = 1; round <= warmUps; round++) await callGateway(target, call(-round));
  const [uncached, cached] = [new Latencies(), new Latencies()];
  const until = performance.now() + uncachedMsMax;
  const before = await system.cpu();
  let called = 0;
  for (let round = 0; round < rounds && performance.now() < until; round++) {
    const { ms, isCached, body } = await callEveryPage(target, call(round));
    check(body);
    called += 1;
    if (!isCached) uncached.record(ms);
  }
  const cpuMs = (1000 * ((await system.cpu()) - before)) / called;
  await callUntilCached(target, call(called - 1));
  for (let round = 0; round < rounds; round++) {
    const { ms, isCached } = await callGateway(target, call(called - 1));
    if (isCached) cached.record(ms);
  }
  return {
    name,
    title,
    ...(wanted && { wanted }),
    uncached: uncached.percentiles,
    cached: cached.percentiles,
    cpuMs,
  };
}

/** The gateway skips a slow cache for a second, longer than a round of cheap queries. */
async function callUntilCached(target: string, call: Call): Promise<void> {
  const until = performance.now() + cachedWithinMs;
  while (!(await callGateway(target, call)).isCached && performance.now() < until);
}

/**
 * A slow log search returns a partial page: then the query is all pages up to the first full one, or the
 * last.
 */
async function callEveryPage(target: string, call: Call): Promise<QueryResponse> {
  let response = await callGateway(target, call);
  if (call.method !== "ListLogs") return response;
  const logs = [...(response.body.logs ?? [])];
  for (let pageToken = response.body.nextPageToken; pageToken && logs.length < Number(call.body.pageSize); ) {
    const next = await callGateway(target, { ...call, body: { ...call.body, pageToken } });
    logs.push(...(next.body.logs ?? []));
    pageToken = next.body.nextPageToken;
    response = { ...next, ms: response.ms + next.ms };
  }
  return { ...response, body: { ...response.body, logs } };
}

/** Warms connections, code and plans, and the part of the table that the query reads. */
const warmUps = 5;
const uncachedMsMax = 15_000;
const cachedWithinMs = 5_000;
