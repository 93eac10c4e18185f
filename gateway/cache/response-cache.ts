import { hash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { createContextKey } from "@connectrpc/connect";
import { createAsyncIterable, type UniversalHandler } from "@connectrpc/connect/protocol";
import { LRUCache } from "lru-cache";
import type { Counter } from "#lib/metrics.ts";
import type { StartRpc } from "#rpc/call-metrics.ts";

/*
 * In front of the cache in Redis: the last bytes that were sent, compressed as they were, for whoever asks in the very
 * same words. Such a question is not even parsed. No answer is kept longer than Redis would keep it.
 */

/** For how many ms more the answer to the call counts; set by cacheAnswers. Undefined: it is not to be kept. */
export const responseLifetime = createContextKey<number | undefined>(undefined);

/** What was asked, word for word. */
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

  /** Reads what is asked, if an answer to it could be kept. After that the body of `request` is in `body` alone. */
  async read({ method }: UniversalHandler, request: IncomingMessage): Promise<RawRequest | undefined> {
    const { headers } = request;
    if (method.methodKind !== "unary") return undefined;
    if (method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) return undefined;
    const isGet = request.method === "GET";
    if (!isGet && !(Number(headers["content-length"]) <= requestBytesMax)) return undefined;
    const body = isGet ? new Uint8Array() : Buffer.concat(await request.toArray());
    const words = [request.method, request.url, ...headersThatCount.map((name) => headers[name] ?? "")];
    const name = hash("sha256", Buffer.concat([Buffer.from(`${words.join("\0")}\0`), body]), "base64url");
    return { name, body };
  }

  /** The answer to the same question, counted as a call. */
  find({ method }: UniversalHandler, { name }: RawRequest): CachedResponse | undefined {
    const answer = this.#answers.get(name);
    if (answer === undefined) return undefined;
    this.#startRpc("unary", method.parent.typeName, method.name)("OK");
    this.#count.inc({ method: method.name, result: "hit" });
    return answer;
  }

  /** Keeps what was answered, and returns it. */
  async keep(
    question: RawRequest,
    response: UniversalResponse,
    lifetimeMs: number,
  ): Promise<UniversalResponse> {
    const { status, header, body } = response;
    if (status !== 200 || header === undefined || body === undefined) return response;
    const bytes = Buffer.concat(await Array.fromAsync(body));
    const kept = new Headers(header);
    kept.set("x-cache", "hit");
    this.#answers.set(question.name, { header: kept, body: bytes }, { ttl: Math.max(1, lifetimeMs) });
    return { ...response, body: createAsyncIterable([bytes]) };
  }
}

/** Of a request, as far as Connect's answer depends on them. */
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
/** Headers, key and bookkeeping of an answer. */
const besideBytes = 1024;
