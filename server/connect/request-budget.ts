import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { StreamFullError } from "#stream/errors.ts";
import { toRefusal } from "../ingest.ts";
import { refusalError } from "./refusal-error.ts";

/** What one request holds of a budget, until it is disposed of. */
export interface BudgetShare extends Disposable {
  /** Throws StreamFullError for a request that would exceed the budget: it is to come later. */
  hold(bytes: number): void;
}

/** The bytes of all unary requests that have arrived in part and are not answered yet. */
export class RequestBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** A share for one request. */
  open(): BudgetShare {
    let held = 0;
    return {
      hold: (bytes) => {
        held += bytes;
        this.#bytes += bytes;
        // One alone always passes, or a large one would be refused forever.
        if (this.#bytes <= this.#bytesMax || this.#bytes === held) return;
        const why = `${this.#bytes} bytes of requests are being read, the limit is ${this.#bytesMax}`;
        throw new StreamFullError(why);
      },
      [Symbol.dispose]: () => {
        this.#bytes -= held;
      },
    };
  }

  /** The same handler, with a share for each request. Streams have bounds of their own. */
  within(handler: UniversalHandler): UniversalHandler {
    if (handler.method.methodKind !== "unary") return handler;
    const bounded: typeof handler = Object.assign(async (request: Parameters<UniversalHandler>[0]) => {
      if (!isStreamed(request.body)) return handler(request);
      using share = this.open();
      return await handler({ ...request, body: counted(request.body, share) });
    }, handler);
    return bounded;
  }
}

function isStreamed(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

async function* counted(body: AsyncIterable<Uint8Array>, share: BudgetShare) {
  for await (const piece of body) {
    try {
      share.hold(piece.length);
    } catch (error) {
      throw refusalError(toRefusal(error));
    }
    yield piece;
  }
}
