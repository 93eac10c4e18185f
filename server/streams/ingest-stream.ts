import { sessionName } from "#batch/batch-identity.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { toShard } from "#stream/keys.ts";
import type { SessionKey } from "#stream/session-progress.ts";
import { toRefusal } from "../ingest.ts";
import type { Outcome, Refusal } from "../outcome.ts";
import type { EpochSnapshot } from "../progress/epochs.ts";
import { ProgressReport, type StreamProgress } from "../progress/report.ts";
import { BatchPipeline } from "./batch-pipeline.ts";
import type { StreamDependencies } from "./create-streams.ts";
import type { OpenStream } from "./open-streams.ts";

/** How a transport carries a stream. It drops what it gets after the end. */
export interface StreamTransport {
  /** Sends one ack; calls `sent` once the connection accepted it, or never if it is gone. */
  readonly sendAck: (outcome: Outcome, sent: () => void) => void;
  /** Sends a progress, or for undefined an empty response (a heartbeat); `sent` likewise. */
  readonly sendProgress: (progress: StreamProgress | undefined, sent: () => void) => void;
  /** Called when the stream is no longer full after {@link IngestStream.isFull}. */
  readonly resumeReading: () => void;
  readonly stopReading: () => void;
  /** Ends the stream: with this refusal, or OK. */
  readonly finish: (ending: Refusal | undefined) => void;
}

/** A device that does not read its acks cannot keep a stream open for longer. */
const lastAcksMs = 10_000;

/**
 * One StreamLogs call on any transport. Receives batches and sends their acks in order (see BatchPipeline), the progress of
 * a session if the device subscribed to it, and heartbeats while the stream is quiet. However it ends, it acknowledges
 * the batches it read first.
 */
export class IngestStream implements OpenStream {
  readonly #shared: StreamDependencies;
  readonly #transport: StreamTransport;
  readonly #pipeline: BatchPipeline;
  readonly #epochs: EpochSnapshot;
  #report: ProgressReport | undefined;
  #wasActive = true;
  #sendingHeartbeat = false;
  #ending = false;
  #closed = false;

  constructor(shared: StreamDependencies, transport: StreamTransport) {
    this.#shared = shared;
    this.#transport = transport;
    this.#epochs = shared.epochs.snapshot;
    this.#pipeline = new BatchPipeline({
      sendAck: (outcome, sent) => {
        this.#wasActive = true;
        const { refusal, assignedSession, sequence } = outcome;
        if (!refusal && assignedSession === undefined) this.#report?.acknowledged(sequence);
        transport.sendAck(outcome, sent);
      },
      onDrain: () => {
        if (!this.#ending) transport.resumeReading();
      },
      budget: shared.budget,
    });
    shared.openStreams.add(this);
  }

  /** Stop reading while true, until {@link StreamTransport.resumeReading} is called. */
  get isFull(): boolean {
    return this.#ending || this.#pipeline.isFull;
  }

  /** Stop reading for good. */
  get isEnding(): boolean {
    return this.#ending;
  }

  /** A batch of this many bytes, which `accept` validates and appends. */
  push(bytes: number, accept: () => Promise<Outcome>): void {
    this.#pipeline.push(bytes, accept);
  }

  /** Subscribes to the progress of a session. An invalid or second one ends the stream. */
  reportCommitted({ deviceId, sessionId }: Pick<SessionKey, "deviceId" | "sessionId">): void {
    if (this.#ending) return;
    try {
      const name = sessionName(deviceId, sessionId, "report_committed.");
      const before = this.#report?.session;
      if (before === undefined) this.#startReport(name);
      else if (before.deviceId !== name.deviceId || before.sessionId !== name.sessionId) {
        const [was, is] = [before, name].map((name) => `session "${name.sessionId}" of "${name.deviceId}"`);
        throw new InvalidBatchError(
          "report_committed",
          `is ${is}, but the stream already reports ${was}; one session per stream`,
        );
      }
    } catch (error) {
      void this.finish(toRefusal(error));
    }
  }

  /** The device is done, or sent something unreadable: acknowledges the rest, then ends the stream. */
  async finish(ending: Refusal | undefined): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    if (ending !== undefined) this.#transport.stopReading();
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, lastAcksMs)));
    await Promise.race([this.#pipeline.whenIdle(), patience]);
    clearTimeout(timer);
    if (this.#closed) return;
    this.#transport.finish(ending);
    this.close();
  }

  /** Ends the stream with UNAVAILABLE: the device connects again. */
  end(why: string): Promise<void> {
    return this.finish(connectAgain(why));
  }

  get isOutdated(): boolean {
    const { epochs } = this.#shared;
    return this.#report !== undefined && epochs.isOver(this.#epochs, this.#report.shard);
  }

  consumeActivityFlag(): boolean {
    const wasActive = this.#wasActive;
    this.#wasActive = false;
    return wasActive;
  }

  sendHeartbeat(): void {
    if (this.#sendingHeartbeat || this.#ending) return;
    this.#sendingHeartbeat = true;
    this.#transport.sendProgress(undefined, () => (this.#sendingHeartbeat = false));
  }

  /** The connection is gone or ended. Appends in flight continue. */
  close(): void {
    this.#ending = true;
    this.#closed = true;
    this.#pipeline.abandon();
    this.#report?.close();
    this.#shared.openStreams.remove(this);
  }

  #startReport(name: SessionKey): void {
    const { shards, subscriptions } = this.#shared;
    this.#report = new ProgressReport({
      session: name,
      shard: toShard(name.deviceId, shards),
      epochs: this.#epochs,
      subscriptions,
      send: (progress, sent) => {
        this.#wasActive = true;
        this.#transport.sendProgress(progress, sent);
      },
    });
  }
}

/** Asks the device to reconnect: another server, or this one later, accepts its stream. */
export function connectAgain(why: string): Refusal {
  return { code: BatchErrorCode.UNAVAILABLE, field: "", message: `${why}: reconnect`, retryDelayMs: 0 };
}

/** The error of a malformed message. */
export function unreadableMessage(field: string, error: unknown): Refusal {
  const why = error instanceof Error ? error.message : String(error);
  return {
    code: BatchErrorCode.INVALID_ARGUMENT,
    field,
    message: `${field} is not an encoded message: ${why}`,
    retryDelayMs: 0,
  };
}
