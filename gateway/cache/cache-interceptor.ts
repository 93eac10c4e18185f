import { createHash } from "node:crypto";
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { Interceptor } from "@connectrpc/connect";
import type { Counter } from "#lib/metrics.ts";
import { readCaller } from "../fairness/caller.ts";
import type { RedisResponseCache } from "./redis-response-cache.ts";
import { responseLifetime } from "./response-cache.ts";
import { SingleFlight } from "./single-flight.ts";

/*
 * The same request gets the same response for a while: 5 min when its time range is over, 1 s when it is not. A range
 * that is over can still receive records, of a device that was offline; they appear when the response has expired.
 *
 *     x-cache: hit    from Redis, from the last bytes sent (response-cache.ts), or from a concurrent identical call
 *     x-cache: miss   from PostgreSQL
 *     cache-control, etag: the same for browsers; see not-modified.ts
 *
 * A request with `explain` wants the query to run: it is neither answered from the cache nor cached.
 */

/** Caches every call that reads, on every transport. Without a store it only joins concurrent identical calls. */
export function createCacheInterceptor(
  store: RedisResponseCache | undefined,
  requests: Counter<"method" | "result">,
): Interceptor {
  const flights = new SingleFlight<Uint8Array>();
  return (next) => async (request) => {
    if (request.stream || request.method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) {
      return await next(request);
    }
    if ((request.message as { explain?: boolean }).explain === true) {
      const response = await next(request);
      response.header.set("cache-control", "no-store");
      return response;
    }
    const { input, output, name: method } = request.method;
    const name = createHash("sha256")
      .update(`with its time ${method}\0`)
      .update(toBinary(input, request.message))
      .digest("base64url");
    const lifetimeMs = responseLifetimeMs(request.message);
    const kept = await store?.get(name);
    let response: Awaited<ReturnType<typeof next>> | undefined;
    const flight =
      kept === undefined
        ? await flights.run(
            name,
            readCaller({ values: request.contextValues, signal: request.signal }),
            async () => {
              const answered = await next(request);
              if (answered.stream)
                throw new Error(`${method} is said to be unary and answered with a stream`);
              response = answered;
              const bytes = toBinary(output, answered.message as Message & { $typeName: string });
              // Redis is written after the caller has its response.
              if (store !== undefined) setImmediate(() => store.set(name, bytes, lifetimeMs));
              return bytes;
            },
          )
        : { result: kept.bytes, isShared: true };
    if (store !== undefined) {
      const leftMs = kept === undefined ? lifetimeMs : Math.min(kept.untilMs - Date.now(), lifetimeMs);
      request.contextValues.set(responseLifetime, leftMs);
    }
    const bytes = flight.result;
    response ??= toResponse(request, output, bytes);
    requests.inc({ method, result: flight.isShared ? "hit" : "miss" });
    response.header.set("x-cache", flight.isShared ? "hit" : "miss");
    response.header.set("cache-control", `private, max-age=${lifetimeMs / 1000}`);
    response.header.set("etag", `W/"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`);
    return response;
  };
}

type Request = Parameters<ReturnType<Interceptor>>[0];

function toResponse(request: Request, output: DescMessage, bytes: Uint8Array) {
  const contentType = responseContentType(request);
  return {
    stream: false as const,
    service: request.service,
    method: request.method,
    header: new Headers({ "content-type": contentType }),
    trailer: new Headers(/^application\/grpc/i.test(contentType) ? { "grpc-status": "0" } : {}),
    message: fromBinary(output, bytes),
  } as Awaited<ReturnType<ReturnType<Interceptor>>>;
}

/**
 * Connect sets it, with the status of gRPC, on responses of methods that were called; a client without it reads
 * nothing.
 */
function responseContentType({ requestMethod, url, header }: Request): string {
  if (requestMethod === "GET") return `application/${new URL(url).searchParams.get("encoding") ?? "proto"}`;
  return (header.get("content-type") ?? "application/json").split(";", 1)[0] ?? "";
}

function responseLifetimeMs(message: object): number {
  const { endTime } = message as { endTime?: Timestamp };
  if (endTime === undefined) return openLifetimeMs;
  return Number(endTime.seconds) * 1000 < Date.now() - settledAfterMs ? closedLifetimeMs : openLifetimeMs;
}

const openLifetimeMs = 1000;
const closedLifetimeMs = 300_000;
/** Batches that were in flight when a range ended have arrived by then. */
const settledAfterMs = 60_000;
