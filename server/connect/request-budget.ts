import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { retryLater } from "../ingest.ts";
import { refusalError } from "./refusal-error.ts";

/** The bytes of all unary requests that have arrived in part and are not answered yet. */
export class RequestBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The same handler; a request that would pass the budget is refused, to come later. Streams have bounds of their own. */
  within(handler: UniversalHandler): UniversalHandler {
    if (handler.method.methodKind !== "unary") return handler;
    const bounded: typeof handler = Object.assign(async (request: Parameters<UniversalHandler>[0]) => {
      if (!isStreamed(request.body)) return handler(request);
      let held = 0;
      const hold = (bytes: number) => {
        held += bytes;
        this.#bytes += bytes;
        if (this.#bytes <= this.#bytesMax) return;
        const why = `${this.#bytes} bytes of requests are being read, the limit is ${this.#bytesMax}`;
        throw refusalError(retryLater(BatchErrorCode.RESOURCE_EXHAUSTED, why));
      };
      try {
        return await handler({ ...request, body: counted(request.body, hold) });
      } finally {
        this.#bytes -= held;
      }
    }, handler);
    return bounded;
  }
}

function isStreamed(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

async function* counted(body: AsyncIterable<Uint8Array>, hold: (bytes: number) => void) {
  for await (const piece of body) {
    hold(piece.length);
    yield piece;
  }
}
