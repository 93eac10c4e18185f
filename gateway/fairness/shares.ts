import { Code } from "@connectrpc/connect";
import type { Counter } from "#lib/metrics.ts";
import { retryLater } from "../query/error-mapping.ts";

export interface SharesOptions {
  /** What is shared, such as "exports". */
  readonly name: string;
  /** The setting that says how many there are; undefined: none does. */
  readonly setting?: string;
  readonly max: number;
  readonly refused: Counter<"limit">;
}

/**
 * Shares something that is held for long among clients. A client gets one more as long as it holds fewer than are left:
 * alone it comes to half of all, and whoever asks for a first one gets it while there is any.
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

  /** Returns how to give it back. Throws RESOURCE_EXHAUSTED when the client has its share. */
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
