import { Code } from "@connectrpc/connect";
import type { Counter } from "#lib/metrics.ts";
import { retryLater } from "../query/error-mapping.ts";

export interface SharesOptions {
  /** What is shared, such as "exports". */
  readonly name: string;
  /** The setting with the limit; undefined: it is fixed. */
  readonly setting?: string;
  readonly max: number;
  readonly refused: Counter<"limit">;
}

/**
 * Shares something that is held for long among clients. A client gets one more while it holds fewer than are
 * free: alone it gets half of all, and a client without any gets one while there is one.
 */
export class Shares {
  readonly #options: SharesOptions;
  readonly #held = new Map<string, number>();
  #used = 0;

  constructor(options: SharesOptions) {
    this.#options = options;
  }

  get used(): number {
    return this.#used;
  }

  /** Returns a function that releases the share. Throws RESOURCE_EXHAUSTED when the client has its share. */
  acquire(client: string): () => void {
    const { name, setting, max, refused } = this.#options;
    const held = this.#held.get(client) ?? 0;
    if (held >= max - this.#used) {
      refused.inc({ limit: name });
      const limit = setting === undefined ? "the limit" : `the limit of ${setting}`;
      throw retryLater(
        `${this.#used} ${name} are open, ${held} by this client: ${limit} is ${max}`,
        Code.ResourceExhausted,
      );
    }
    this.#used += 1;
    this.#held.set(client, held + 1);
    let isHeld = true;
    return () => {
      if (isHeld) this.#release(client);
      isHeld = false;
    };
  }

  #release(client: string): void {
    this.#used -= 1;
    const left = (this.#held.get(client) ?? 0) - 1;
    if (left > 0) this.#held.set(client, left);
    else this.#held.delete(client);
  }
}
