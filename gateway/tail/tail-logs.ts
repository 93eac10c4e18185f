import { setImmediate } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type QueryService,
  type TailLogsRequest,
  type TailLogsResponse,
  TailLogsResponseSchema,
  TailState,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { StreamRedis } from "#stream/connection.ts";
import type { StreamPositions } from "#stream/tail-reader.ts";
import { type Caller, readCaller } from "../fairness/caller.ts";
import type { Shares } from "../fairness/shares.ts";
import { readCount } from "../fields/page-size.ts";
import { timestampFromMicros } from "../fields/time.ts";
import { endedFilter } from "../fields/time-range.ts";
import { readLogFilter } from "../logs/read-log-filter.ts";
import { retryLater } from "../query/error-mapping.ts";
import type { ReadPool } from "../query/read-pool.ts";
import { CatchUp } from "./catch-up.ts";
import { readLastLogs } from "./last-logs.ts";
import { findMissed, toGap } from "./missed.ts";
import { inPieces } from "./pieces.ts";
import { decodeResumeToken, encodeResumeToken } from "./resume-token.ts";
import type { Tail, TailMessage } from "./tail.ts";
import type { TailHub } from "./tail-hub.ts";
import type { TailMetrics } from "./tail-metrics.ts";

/** The resources of live tails. */
export interface TailSources {
  readonly hub: TailHub;
  readonly readPool: ReadPool;
  /** For short commands. */
  readonly redis: StreamRedis;
  readonly heartbeatMs: number;
  readonly replicaLagMsMax: number;
  readonly metrics: TailMetrics;
  /** How many tails a client may have open, and how many of them catching up. */
  readonly shares: Shares;
  readonly catchUps: Shares;
}

/** Follows the records that arrive; query.proto states the guarantees. Undefined sources: there is no Redis. */
export function tailLogs(sources: TailSources | undefined): ServiceImpl<typeof QueryService>["tailLogs"] {
  if (sources === undefined) {
    return () => {
      throw new ConnectError("live tail requires REDIS_URL on the gateway", Code.Unimplemented);
    };
  }
  const { hub, metrics } = sources;
  const catchUp = new CatchUp(hub, sources.redis, sources.catchUps);
  return async function* (request, context) {
    const caller = readCaller(context);
    const { signal } = caller;
    const filter = readLogFilter(request);
    const last = readCount("last", request.last, { ifZero: 0, max: 1000 });
    const positions = decodeResumeToken(request.resumeToken);
    const giveBack = sources.shares.acquire(caller.client);
    const tail = hub.enter(filter);
    // Also when the client disconnects during a write, and the next message is never requested.
    const leave = () => {
      hub.leave(tail);
      giveBack();
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      let before = positions;
      for await (const { news, at } of beginning(
        { ...sources, catchUp },
        { tail, last, positions, caller },
      )) {
        yield* toMessages({ before, at }, metrics, news);
        before = [...at];
      }
      yield* following(sources, tail, signal);
    } finally {
      leave();
    }
    if (signal.reason instanceof ConnectError) throw signal.reason;
    if (hub.closing.aborted)
      throw retryLater("the gateway is stopping: resume with resume_token", Code.Unavailable);
  } satisfies (request: TailLogsRequest, context: HandlerContext) => AsyncGenerator<TailLogsResponse>;
}

interface Beginning {
  readonly tail: Tail;
  readonly last: number;
  readonly positions: StreamPositions | undefined;
  readonly caller: Caller;
}

/**
 * The messages before the tail follows: those since the token, or the last records; each with the positions up
 * to which the client then has everything.
 */
async function* beginning(
  sources: TailSources & { readonly catchUp: CatchUp },
  { tail, last, positions, caller }: Beginning,
): AsyncGenerator<{ readonly news: TailMessage; readonly at: StreamPositions }> {
  const { hub, redis, catchUp, replicaLagMsMax } = sources;
  await hub.ready();
  if (positions !== undefined) {
    const gap =
      positions.length === hub.coveredAfter.length
        ? (await findMissed(redis, positions))?.gap
        : toGap(0, Date.now(), "the number of shards has changed");
    if (gap === undefined) {
      for await (const news of catchUp.run(tail, positions, caller.client))
        yield { news, at: tail.positions };
      return;
    }
    yield { news: { gap }, at: hub.coveredAfter };
  }
  const { slots, coveredAfter } = hub.followFromNow(tail);
  if (last === 0) return;
  // While PostgreSQL is queried, the ring may evict slots that the tail has not read: that is reported later.
  const at = [...tail.positions];
  const lastLogs = await readLastLogs(sources, {
    filter: endedFilter(tail.filter, sources.readPool.nowMicros()),
    count: last,
    slots,
    coveredAfter,
    replicaLagMsMax,
    caller,
  });
  tail.leaveOut(lastLogs.shown);
  if (lastLogs.gap !== undefined) yield { news: { gap: lastLogs.gap }, at };
  if (lastLogs.logs.length > 0) yield { news: { logs: lastLogs.logs }, at };
}

async function* following(
  { hub, heartbeatMs, metrics }: TailSources,
  tail: Tail,
  signal: AbortSignal,
): AsyncGenerator<TailLogsResponse> {
  let sent: TailState = TailState.UNSPECIFIED;
  let heartbeatAtMs = performance.now() + heartbeatMs;
  const sending = () => {
    heartbeatAtMs = performance.now() + heartbeatMs;
  };
  while (!signal.aborted && !hub.closing.aborted) {
    const before = [...tail.positions];
    const news = tail.take();
    const state = hub.isInterrupted ? TailState.INTERRUPTED : TailState.FOLLOWING;
    if (news !== undefined) {
      sending();
      yield* toMessages({ before, at: tail.positions }, metrics, news);
    } else if (!tail.isBehind && state !== sent) {
      sent = state;
      sending();
      yield response(tail.positions, { case: "state", value: state });
    } else if (performance.now() >= heartbeatAtMs) {
      // Batches without a matching record are no message, and do not put it off.
      sending();
      yield response(tail.positions, { case: undefined });
    } else if (tail.isBehind) await setImmediate();
    else await tail.wait(heartbeatAtMs - performance.now(), signal);
  }
}

/** The positions before the news, undefined at the beginning of a tail, and after all of it. */
interface Passage {
  readonly before: StreamPositions | undefined;
  readonly at: StreamPositions;
}

/** One message, or several for records that are large together: only the last one passes their batches. */
function* toMessages(
  { before, at }: Passage,
  metrics: TailMetrics,
  news: TailMessage,
): Generator<TailLogsResponse, void> {
  if (!("logs" in news)) return yield toMessage(at, metrics, news);
  if (news.logs.length === 0) return yield response(at, { case: undefined });
  let sent = 0;
  for (const logs of inPieces(news.logs)) {
    sent += logs.length;
    yield response(sent < news.logs.length ? before : at, { case: "logs", value: { logs: [...logs] } });
  }
}

function toMessage(
  at: StreamPositions,
  metrics: TailMetrics,
  news: Exclude<TailMessage, { readonly logs: unknown }>,
): TailLogsResponse {
  if ("skipped" in news) {
    metrics.skipped.inc(news.skipped);
    return response(at, { case: "skipped", value: { recordCount: BigInt(news.skipped) } });
  }
  metrics.gaps.inc();
  const { startMs, endMs, reason } = news.gap;
  const [startTime, endTime] = [startMs, endMs].map((ms) =>
    timestampFromMicros(BigInt(Math.max(0, ms)) * 1000n),
  );
  return response(at, { case: "gap", value: { startTime, endTime, reason } });
}

function response(
  at: StreamPositions | undefined,
  event: NonNullable<MessageInit["event"]>,
): TailLogsResponse {
  return create(TailLogsResponseSchema, {
    event,
    resumeToken: at === undefined ? "" : encodeResumeToken(at),
  });
}

type MessageInit = MessageInitShape<typeof TailLogsResponseSchema>;
