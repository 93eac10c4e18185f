import { type Answer, ask, type Call } from "#bench/query/ask.ts";
import type { QuerySystem } from "#bench/query/query-system.ts";
import type { Question } from "#bench/query/questions.ts";
import { Latencies, type Percentiles } from "#bench/simulate/latencies.ts";

export interface MeasuredQuestion extends Pick<Question, "name" | "title" | "wanted"> {
  readonly uncached: Percentiles;
  readonly cached: Percentiles;
  /** ms of CPU per uncached answer, gateway and PostgreSQL together. */
  readonly cpuMs: number;
}

/** Asks up to `rounds` times, no longer than some seconds, then the last again and again. */
export async function measureQuestion(
  system: Pick<QuerySystem, "cpu">,
  target: string,
  { name, title, wanted, call, check }: Question,
  rounds: number,
): Promise<MeasuredQuestion> {
  for (let round = 1; round <= warmUps; round++) await ask(target, call(-round));
  const [uncached, cached] = [new Latencies(), new Latencies()];
  const until = performance.now() + uncachedMsMax;
  const before = await system.cpu();
  let asked = 0;
  for (let round = 0; round < rounds && performance.now() < until; round++) {
    const { ms, isCached, body } = await askToTheEnd(target, call(round));
    check(body);
    asked += 1;
    if (!isCached) uncached.record(ms);
  }
  const cpuMs = (1000 * ((await system.cpu()) - before)) / asked;
  await askUntilCached(target, call(asked - 1));
  for (let round = 0; round < rounds; round++) {
    const { ms, isCached } = await ask(target, call(asked - 1));
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

/** The gateway leaves a cache that was slow once alone for a second, and rounds of cheap questions are over by then. */
async function askUntilCached(target: string, call: Call): Promise<void> {
  const until = performance.now() + cachedWithinMs;
  while (!(await ask(target, call)).isCached && performance.now() < until);
}

/** A search of logs that takes long answers with part of a page: then it is the pages up to the first that is full, or the last. */
async function askToTheEnd(target: string, call: Call): Promise<Answer> {
  let answer = await ask(target, call);
  if (call.method !== "ListLogs") return answer;
  const logs = [...(answer.body.logs ?? [])];
  for (let pageToken = answer.body.nextPageToken; pageToken && logs.length < Number(call.body.pageSize); ) {
    const next = await ask(target, { ...call, body: { ...call.body, pageToken } });
    logs.push(...(next.body.logs ?? []));
    pageToken = next.body.nextPageToken;
    answer = { ...next, ms: answer.ms + next.ms };
  }
  return { ...answer, body: { ...answer.body, logs } };
}

/** Connections, code and plans; and the part of the table that the question is about. */
const warmUps = 5;
const uncachedMsMax = 15_000;
const cachedWithinMs = 5_000;
