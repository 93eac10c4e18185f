import type { RecoveredSession } from "#client/spool/recover-session.ts";
import { Delivery, type DeliveryOptions } from "#client/stream/delivery.ts";
import { type DropOptions, dropOldest } from "#client/stream/drop-oldest.ts";

/**
 * Delivers the batches that earlier processes left in a spool, one session after the other, with the same
 * bytes under the same session and numbers. It sends all of them whatever the server already has of the
 * session: another sender may have sent batches in its name, and only an ack for these bytes proves that
 * they arrived. The server recognises stored ones.
 */
export class RecoveredSessions {
  readonly #options: Omit<DeliveryOptions<undefined>, "session" | "pending">;
  #left: readonly RecoveredSession[];
  #delivery: Delivery<undefined> | undefined;
  #ended = false;
  #failure: string | undefined;

  constructor(
    sessions: readonly RecoveredSession[],
    options: Omit<DeliveryOptions<undefined>, "session" | "pending">,
  ) {
    this.#left = sessions;
    this.#options = options;
    this.#next();
  }

  /** Batches that are not settled yet. */
  get count(): number {
    return this.#left.reduce((sum, { pending }) => sum + pending.count, 0);
  }

  get bytes(): number {
    return this.#left.reduce((sum, { pending }) => sum + pending.bytes, 0);
  }

  get failure(): string | undefined {
    return this.#failure ?? this.#delivery?.failure;
  }

  /** See {@link dropOldest}. */
  drop(options: Omit<DropOptions<undefined>, "session" | "events">): void {
    const { events } = this.#options;
    for (const { pending, session } of this.#left) dropOldest(pending, { ...options, session, events });
    this.#delivery?.pump();
  }

  end(reason: string): void {
    this.#ended = true;
    this.#delivery?.fail(reason);
  }

  #next(): void {
    const [first] = this.#left;
    if (!first) return;
    const { session, pending } = first;
    this.#delivery = new Delivery<undefined>({
      ...this.#options,
      session,
      pending,
      onChange: () => this.#onChange(first),
    });
    this.#delivery.pump();
    this.#onChange(first);
  }

  #onChange({ pending, journal }: RecoveredSession): void {
    if (pending.count === 0 && this.#left[0]?.pending === pending && !this.#ended) {
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
