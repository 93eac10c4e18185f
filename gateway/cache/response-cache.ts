import { hash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { createContextKey } from "@connectrpc/connect";
import { createAsyncIterable, type UniversalHandler } from "@connectrpc/connect/protocol";
import { LRUCache } from "lru-cache";
import type { Counter } from "#lib/metrics.ts";
import type { StartRpc } from "#rpc/call-metrics.ts";
import { isRead } from "../http/not-modified.ts";

/*
 * In front of the cache in Redis: the last bytes sent, compressed as they were, for a request of identical
 * bytes, which is not even parsed. No response is kept longer than in Redis.
 */

/**
 * The remaining lifetime in ms of the response to the call, set by cacheInterceptor. Undefined: it is not
 * cacheable.
 */
export const responseLifetime = createContextKey<number | undefined>(undefined);

/** The request, byte for byte. */
export interface RawRequest {
  readonly name: string;
  /** Empty for GET. */
  readonly body: Uint8Array;
}

export interface CachedResponse {
  readonly header: Headers;
  readonly body: Uint8Array;
}

type UniversalResponse = Awaited<ReturnType<UniversalHandler>>;

export class ResponseCache {
  readonly #answers = new LRUCache<string, CachedResponse>({
    maxSize: keptBytesMax,
    maxEntrySize: answerBytesMax,
    sizeCalculation: ({ body }) => body.byteLength + besideBytes,
  });
  readonly #startRpc: StartRpc;
  readonly #count: Counter<"method" | "result">;

  constructor(startRpc: StartRpc, count: Counter<"method" | "result">) {
    this.#startRpc = startRpc;
    this.#count = count;
  }

  /** Reads the request if its response is cacheable. Afterwards the body of `request` is only in `body`. */
  async read({ method }: UniversalHandler, request: IncomingMessage): Promise<RawRequest | undefined> {
    const { headers } = request;
    if (method.methodKind !== "unary") return undefined;
    if (method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) return undefined;
    const isGet = isRead(request);
    if (!isGet && !(Number(headers["content-length"]) <= requestBytesMax)) return undefined;
    const body = isGet ? new Uint8Array() : Buffer.concat(await request.toArray());
    const words = [
      isGet ? "GET" : "POST",
      request.url,
      ...headersThatCount.map((name) => headers[name] ?? ""),
    ];
    const name = hash("sha256", Buffer.concat([Buffer.from(`${words.join("\0")}\0`), body]), "base64url");
    return { name, body };
  }

  /** The response to an identical request, counted as a call. */
  find({ method }: UniversalHandler, { name }: RawRequest): CachedResponse | undefined {
    const answer = this.#answers.get(name);
    if (answer === undefined) return undefined;
    this.#startRpc("unary", method.parent.typeName, method.name)("OK");
    this.#count.inc({ method: method.name, result: "hit" });
    return answer;
  }

  /** Caches the response, and returns it. */
  async keep(
    request: RawRequest,
    response: UniversalResponse,
    lifetimeMs: number,
  ): Promise<UniversalResponse> {
    const { status, header, body } = response;
    if (status !== 200 || header === undefined || body === undefined) return response;
    const bytes = Buffer.concat(await Array.fromAsync(body));
    const kept = new Headers(header);
    kept.set("x-cache", "hit");
    this.#answers.set(request.name, { header: kept, body: bytes }, { ttl: Math.max(1, lifetimeMs) });
    return { ...response, body: createAsyncIterable([bytes]) };
  }
}

/** The request headers that Connect's response depends on. */
const headersThatCount = [
  "content-type",
  "content-encoding",
  "accept-encoding",
  "connect-protocol-version",
  "connect-timeout-ms",
];
const requestBytesMax = 64 * 1024;
const keptBytesMax = 32 * 1024 * 1024;
const answerBytesMax = 1024 * 1024;
/** Headers, key and bookkeeping of a response. */
const besideBytes = 1024;
