import { settledBy } from "#client/commit-tracker.ts";
import { Delivery, type DeliveryOptions } from "#client/delivery.ts";
import { type DropOptions, dropOldest } from "#client/drop-oldest.ts";
import type { EarlierSession } from "#client/spool/load-run.ts";

/**
 * Brings what earlier processes left in a spool to the server, one session after the other and each as it was: the same
 * bytes under the same session and numbers. The server is asked first what of a session it has already.
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
    void this.#next();
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

  async #next(): Promise<void> {
    const [first] = this.#left;
    if (!first) return;
    const { session, kept } = first;
    const { transport, settings, events } = this.#options;
    // Who cannot tell is sent everything, which is just as good.
    const state = await transport.getSession(session, settings.ackTimeoutMs).catch(() => undefined);
    if (this.#ended) return;
    const settled = state ? kept.commitUnanswered(settledBy(state)) : [];
    for (const batch of settled) if (batch.droppedUntil === undefined) events.onCommitted?.(batch);
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
      done?.fail("everything is delivered");
      try {
        journal.remove();
        void this.#next();
      } catch (error) {
        this.#failure = `the spool's files cannot be removed: ${(error as Error).message}`;
      }
    }
    this.#options.onChange();
  }
}
