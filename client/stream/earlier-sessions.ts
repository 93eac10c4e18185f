import type { EarlierSession } from "#client/spool/load-run.ts";
import { Delivery, type DeliveryOptions } from "#client/stream/delivery.ts";
import { type DropOptions, dropOldest } from "#client/stream/drop-oldest.ts";

/**
 * Brings what earlier processes left in a spool to the server, one session after the other and each as it was: the same
 * bytes under the same session and numbers. All of it, whatever the server has of the session already: anybody may have
 * sent batches in its name, and only an ack for these bytes says that it has them. What is stored is recognised.
 */
export class EarlierSessions {
  readonly #options: Omit<DeliveryOptions<undefined>, "session" | "kept">;
  #left: readonly EarlierSession[];
  #delivery: Delivery<undefined> | undefined;
  #ended = false;
  #failure: string | undefined;

  constructor(
    sessions: readonly EarlierSession[],
    options: Omit<DeliveryOptions<undefined>, "session" | "kept">,
  ) {
    this.#left = sessions;
    this.#options = options;
    this.#next();
  }

  /** Batches that are not settled yet. */
  get count(): number {
    return this.#left.reduce((sum, { kept }) => sum + kept.count, 0);
  }

  get bytes(): number {
    return this.#left.reduce((sum, { kept }) => sum + kept.bytes, 0);
  }

  get failure(): string | undefined {
    return this.#failure ?? this.#delivery?.failure;
  }

  /** See {@link dropOldest}. */
  drop(options: Omit<DropOptions<undefined>, "session" | "events">): void {
    const { events } = this.#options;
    for (const { kept, session } of this.#left) dropOldest(kept, { ...options, session, events });
    this.#delivery?.pump();
  }

  end(reason: string): void {
    this.#ended = true;
    this.#delivery?.fail(reason);
  }

  #next(): void {
    const [first] = this.#left;
    if (!first) return;
    const { session, kept } = first;
    this.#delivery = new Delivery<undefined>({
      ...this.#options,
      session,
      kept,
      onChange: () => this.#onChange(first),
    });
    this.#delivery.pump();
    this.#onChange(first);
  }

  #onChange({ kept, journal }: EarlierSession): void {
    if (kept.count === 0 && this.#left[0]?.kept === kept && !this.#ended) {
      this.#left = this.#left.slice(1);
      const done = this.#delivery;
      this.#delivery = undefined;
      done?.fail("delivery of earlier sessions");
      try {
        journal.remove();
        this.#next();
      } catch (error) {
        this.#failure = `the spool's files cannot be removed: ${(error as Error).message}`;
      }
    }
    this.#options.onChange();
  }
}
