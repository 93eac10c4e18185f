import type { Registry } from "#lib/metrics.ts";
import { decodeProgress } from "#stream/session-progress.ts";
import { Unpacker } from "../decompressor.ts";
import { EpochBook } from "../progress/epochs.ts";
import { SessionLookups } from "../progress/lookups.ts";
import { SessionQuestions, type SessionQuestionsParts } from "../progress/requester.ts";
import { SessionWatches } from "../progress/subscriptions.ts";
import type { SharedRoom } from "./batch-pipeline.ts";
import { OpenStreams, type StreamLimits } from "./open-streams.ts";

/** What all streams of the process share. */
export interface StreamParts {
  readonly shards: number;
  readonly openStreams: OpenStreams;
  readonly room: SharedRoom;
  readonly epochs: EpochBook;
  readonly watches: SessionWatches;
  readonly lookups: SessionLookups;
  readonly unpacker: Unpacker;
  /** Takes what consumers publish. Throws SyntaxError when it is no news of theirs. */
  readonly hear: (message: string) => void;
}

export interface StreamPartsOptions extends StreamLimits, SessionQuestionsParts {
  readonly registry: Registry;
  /** Streams slow down when they have so much under way together. */
  readonly roomBytesMax: number;
}

export function createStreamParts(options: StreamPartsOptions): StreamParts {
  const { shards, registry, roomBytesMax } = options;
  const questions = new SessionQuestions(options);
  const watches = new SessionWatches(questions, registry);
  const lookups = new SessionLookups(questions);
  return {
    shards,
    openStreams: new OpenStreams(options, registry),
    room: { bytes: 0, bytesMax: roomBytesMax },
    epochs: new EpochBook(),
    watches,
    lookups,
    unpacker: new Unpacker(),
    hear(message) {
      // Most news are of sessions that nobody here asked for, and reading them costs more than dropping them.
      if (watches.size === 0 && lookups.size === 0) return;
      for (const session of decodeProgress(message)) {
        watches.hear(session);
        lookups.hear(session);
      }
    },
  };
}
