import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { StreamFullError } from "#stream/errors.ts";
import { toRefusal } from "../ingest.ts";
import { refusalError } from "./refusal-error.ts";
import { SlowBodyError, withinTime } from "./slow-body.ts";

/** What one request holds of a budget, until it is disposed of. */
export interface BudgetShare extends Disposable {
  /** Throws StreamFullError for a request that would exceed the budget: it is to come later. */
  hold(bytes: number): void;
  /** The pieces of a body, held; also throws a SlowBodyError. */
  read<Piece extends Uint8Array>(body: AsyncIterable<Piece>): AsyncIterable<Piece>;
}

/**
 * The bytes of all unary requests that have arrived in part and are not answered yet, and the time that each has to
 * arrive: a few slow ones could hold all of the bytes forever.
 */
export class RequestBudget {
  readonly bodyMsMax: number;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number, bodyMsMax: number) {
    this.#bytesMax = bytesMax;
    this.bodyMsMax = bodyMsMax;
  }

  /** A share for one request. */
  open(): BudgetShare {
    let held = 0;
    const hold = (bytes: number) => {
      held += bytes;
      this.#bytes += bytes;
      // One alone always passes, or a large one would be refused forever.
      if (this.#bytes <= this.#bytesMax || this.#bytes === held) return;
      const why = `${this.#bytes} bytes of requests are being read, the limit is ${this.#bytesMax}`;
      throw new StreamFullError(why);
    };
    const { bodyMsMax } = this;
    return {
      hold,
      async *read(body) {
        for await (const piece of withinTime(body, bodyMsMax)) {
          hold(piece.length);
          yield piece;
        }
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
  try {
    yield* share.read(body);
  } catch (error) {
    const isOurs = error instanceof StreamFullError || error instanceof SlowBodyError;
    throw isOurs ? refusalError(toRefusal(error)) : error;
  }
}
