import type { Registry } from "#lib/metrics.ts";
import { decodeProgress } from "#stream/session-progress.ts";
import { Decompressor } from "../decompressor.ts";
import { EpochRegistry } from "../progress/epochs.ts";
import { SessionLookups } from "../progress/lookups.ts";
import { ProgressRequester, type ProgressRequesterOptions } from "../progress/requester.ts";
import { ProgressSubscriptions } from "../progress/subscriptions.ts";
import type { SharedBudget } from "./batch-pipeline.ts";
import { OpenStreams, type StreamLimits } from "./open-streams.ts";

/** Shared by all streams of the process. */
export interface StreamDependencies {
  readonly shards: number;
  readonly openStreams: OpenStreams;
  readonly budget: SharedBudget;
  readonly epochs: EpochRegistry;
  readonly subscriptions: ProgressSubscriptions;
  readonly lookups: SessionLookups;
  readonly decompressor: Decompressor;
  /** Receives what consumers publish. Throws SyntaxError for any other message. */
  readonly onProgressMessage: (message: string) => void;
}

export interface StreamOptions extends StreamLimits, ProgressRequesterOptions {
  readonly registry: Registry;
  /** Streams slow down above this many bytes in flight together. */
  readonly budgetBytesMax: number;
}

export function createStreams(options: StreamOptions): StreamDependencies {
  const { shards, registry, budgetBytesMax } = options;
  const requester = new ProgressRequester(options);
  const subscriptions = new ProgressSubscriptions(requester, registry);
  const lookups = new SessionLookups(requester);
  return {
    shards,
    openStreams: new OpenStreams(options, registry),
    budget: { bytes: 0, bytesMax: budgetBytesMax },
    epochs: new EpochRegistry(),
    subscriptions,
    lookups,
    decompressor: new Decompressor(),
    onProgressMessage(message) {
      // Most messages are about sessions of other servers; dropping them unread is cheaper.
      if (subscriptions.size === 0 && lookups.size === 0) return;
      for (const session of decodeProgress(message)) {
        subscriptions.onProgress(session);
        lookups.onProgress(session);
      }
    },
  };
}
