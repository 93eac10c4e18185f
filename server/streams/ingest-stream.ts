import { sessionName } from "#batch/batch-identity.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { toShard } from "#stream/keys.ts";
import type { SessionKey } from "#stream/session-progress.ts";
import { refusalOf } from "../ingest.ts";
import { invalidArgument, type Refusal, unavailable, type Verdict } from "../outcome.ts";
import type { Epochs } from "../progress/epochs.ts";
import { ProgressReport, type StreamProgress } from "../progress/report.ts";
import { BatchPipeline } from "./batch-pipeline.ts";
import type { StreamParts } from "./create-streams.ts";
import type { OpenStream } from "./open-streams.ts";

/** A stream as its face carries it. What is given to it after the end, it drops. */
export interface StreamFace {
  readonly accept: (request: Uint8Array) => Promise<Verdict>;
  /** Sends one ack; calls `sent` when the connection has taken it, or never if it is gone. */
  readonly deliver: (verdict: Verdict, sent: () => void) => void;
  /** Sends a progress, or a response without any field; `sent` likewise. */
  readonly say: (progress: StreamProgress | undefined, sent: () => void) => void;
  /** There is room again after {@link IngestStream.isFull}: read on. */
  readonly readOn: () => void;
  readonly stopReading: () => void;
  /** The last word to the device; undefined: it is complete. */
  readonly finish: (ending: Refusal | undefined) => void;
}

/** A device that does not take its acks cannot keep a stream that has to end from ending. */
const lastAcksMs = 10_000;

/**
 * One StreamLogs call, whichever face carries it: batches in, their acks out in order (see BatchPipeline); beside them
 * how far a session is committed, if the device asked; a heartbeat when nothing else was said for a while. However
 * it ends, what was read before is answered first.
 */
export class IngestStream implements OpenStream {
  readonly #parts: StreamParts;
  readonly #face: StreamFace;
  readonly #pipeline: BatchPipeline;
  readonly #epochs: Epochs;
  #report: ProgressReport | undefined;
  #saidSomething = true;
  #beating = false;
  #ending = false;
  #closed = false;

  constructor(parts: StreamParts, face: StreamFace) {
    this.#parts = parts;
    this.#face = face;
    this.#epochs = parts.epochs.page;
    this.#pipeline = new BatchPipeline({
      accept: face.accept,
      deliver: (verdict, sent) => {
        this.#saidSomething = true;
        if (verdict.refusal === undefined) this.#report?.acknowledged(verdict.sequence);
        face.deliver(verdict, sent);
      },
      onRoom: () => {
        if (!this.#ending) face.readOn();
      },
      room: parts.room,
    });
    parts.openStreams.add(this);
  }

  /** Stop reading while it is; {@link StreamFace.readOn} tells when it is no longer. */
  get isFull(): boolean {
    return this.#ending || this.#pipeline.isFull;
  }

  /** Nothing more is taken: stop reading for good. */
  get isEnding(): boolean {
    return this.#ending;
  }

  push(request: Uint8Array, accept?: () => Promise<Verdict>): void {
    this.#pipeline.push(request, accept);
  }

  /** The device wants to know how far this session is committed. A wish that makes no sense ends the stream. */
  reportCommitted({ deviceId, sessionId }: Pick<SessionKey, "deviceId" | "sessionId">): void {
    if (this.#ending) return;
    try {
      const name = sessionName(deviceId, sessionId, "report_committed.");
      const before = this.#report?.name;
      if (before === undefined) this.#startReport(name);
      else if (before.deviceId !== name.deviceId || before.sessionId !== name.sessionId) {
        const [was, is] = [before, name].map((name) => `session "${name.sessionId}" of "${name.deviceId}"`);
        throw new InvalidBatchError(
          "report_committed",
          `is ${is}, but the stream already reports ${was}; one session per stream`,
        );
      }
    } catch (error) {
      void this.finish(refusalOf(error));
    }
  }

  /** The device has said all it has to say, or what it says cannot be read: answers the rest, then ends the stream. */
  async finish(ending: Refusal | undefined): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    if (ending !== undefined) this.#face.stopReading();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, lastAcksMs)));
    await Promise.race([this.#pipeline.whenIdle(), patience]);
    clearTimeout(timer);
    if (this.#closed) return;
    this.#face.finish(ending);
    this.close();
  }

  /** Sends the device away to connect again. */
  end(why: string): Promise<void> {
    return this.finish(away(why));
  }

  get isOutdated(): boolean {
    const { epochs } = this.#parts;
    return this.#report !== undefined && epochs.isOver(this.#epochs, this.#report.shard);
  }

  takeSaidSomething(): boolean {
    const said = this.#saidSomething;
    this.#saidSomething = false;
    return said;
  }

  beat(): void {
    if (this.#beating || this.#ending) return;
    this.#beating = true;
    this.#face.say(undefined, () => (this.#beating = false));
  }

  /** The connection is gone, or has had its last word. What is on its way to Redis goes on. */
  close(): void {
    this.#ending = true;
    this.#closed = true;
    this.#pipeline.abandon();
    this.#report?.close();
    this.#parts.openStreams.remove(this);
  }

  #startReport(name: SessionKey): void {
    const { shards, watches } = this.#parts;
    this.#report = new ProgressReport({
      name,
      shard: toShard(name.deviceId, shards),
      epochs: this.#epochs,
      watches,
      say: (progress, sent) => {
        this.#saidSomething = true;
        this.#face.say(progress, sent);
      },
    });
  }
}

/** What a device is told that is welcome at another server, or at this one later. */
export function away(why: string): Refusal {
  return { code: unavailable, field: "", message: `${why}: reconnect`, retryDelayMs: 0 };
}

/** The error of a malformed message. */
export function unreadable(field: string, error: unknown): Refusal {
  const why = error instanceof Error ? error.message : String(error);
  return {
    code: invalidArgument,
    field,
    message: `${field} is not an encoded message: ${why}`,
    retryDelayMs: 0,
  };
}
