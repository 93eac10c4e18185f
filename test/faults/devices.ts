import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { Random } from "#batch/testing/random.ts";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { encodeRequest } from "#client/stream/record.ts";
import { openChannel } from "#client/transports/grpc-channel.ts";
import { GrpcTransport } from "#client/transports/grpc-transport.ts";
import { type Ack, PushLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { Journal, JournalBatch } from "./journal.ts";
import { reEncodeRequest, reEncodingTransport } from "./re-encoding.ts";
import type { SecretRecords } from "./secret-record.ts";

/** The totals of a run's devices. */
export interface FleetTally {
  /** Streams that ended, and calls that failed without a response. */
  broken: number;
  /** Postponed batches by gRPC code: 8 full, 14 unavailable. */
  readonly later: Map<number, number>;
}

export interface DeviceDependencies {
  readonly deviceId: string;
  readonly journal: Journal;
  readonly secrets: SecretRecords;
  readonly random: Random;
  readonly tally: FleetTally;
  /** The time a record gets, in microseconds since 1970; 0n for none. */
  readonly clock: () => bigint;
  /** Aborted: stop waiting for acks. */
  readonly signal: AbortSignal;
  /** Keeps messages, not bytes, as generated clients do: every time a batch is sent it is encoded in another way. */
  readonly reEncodes?: boolean | undefined;
  /** When a device with a stream forgets a batch. */
  readonly keepUntil?: "accepted" | "committed" | undefined;
}

/** Sends batches one by one; resolves when the journal has the outcome, or there is capacity for the next. */
export interface Device {
  send(): Promise<void>;
  /** Resolves when every batch is settled. */
  flush(): Promise<void>;
  close(): void;
}

const sessionId = "boot-1";

/** Opens a batch of 1 to 12 records in the journal. */
export function openBatch(
  dependencies: DeviceDependencies,
  sequence: bigint,
  session = sessionId,
): JournalBatch {
  const { deviceId, journal, secrets, random, clock } = dependencies;
  const place = { deviceId, sessionId: session, sequence: String(sequence) };
  const records = Array.from({ length: 1 + random.below(12) }, (_, index) =>
    secrets.make({ ...place, index }, clock()),
  );
  return journal.open({ deviceId, sessionId: session, sequence, records });
}

/** The bytes of a PushLogsRequest, the same every time. */
export function toRequest(batch: JournalBatch): Buffer {
  return encodeRequest(
    batch,
    batch.records.map(({ bytes }) => bytes),
  );
}

/** Speaks StreamLogs, by the library that devices use. */
export function streamingDevice(dependencies: DeviceDependencies, address: string): Device {
  const { journal, tally, random, reEncodes } = dependencies;
  const transport = reEncodes
    ? reEncodingTransport(random, new GrpcTransport(openChannel(address), true))
    : undefined;
  const stream = new DeviceStream<JournalBatch>({
    deviceId: dependencies.deviceId,
    sessionId,
    address,
    transport,
    ackTimeoutMs: 4_000,
    backoff: { baseMs: 30, capMs: 500 },
    giveUpAfterMs: 3_600_000,
    keepUntil: dependencies.keepUntil,
    onAcknowledged: ({ note }, ack) => journal.acknowledge(note, ack),
    onRefused: ({ note }, error) => journal.refuse(note, error),
    onDelayed: (_batch, { code }) => void tally.later.set(code, (tally.later.get(code) ?? 0) + 1),
    onReconnect: () => void (tally.broken += 1),
    onFailed: (error) => journal.contradictions.push(`${dependencies.deviceId}: ${error.message}`),
  });
  dependencies.signal.addEventListener("abort", () => stream.close());
  let sequence = 0n;
  return {
    async send() {
      const batch = openBatch(dependencies, ++sequence);
      await stream.send(
        batch.records.map(({ bytes }) => bytes),
        batch,
      );
    },
    flush: () => stream.flush(),
    close() {
      stream.close();
      transport?.close();
    },
  };
}

/** How a call ended: with an ack, or with a gRPC code, undefined when no server answered. */
type CallEnd = Ack | { readonly code: number | undefined; readonly message: string };

/** Sends the batch until a server accepts it. The pauses are short on purpose: it ignores RetryInfo. */
export async function pushUntilAccepted(
  {
    journal,
    tally,
    random,
    signal,
    reEncodes = false,
  }: Pick<DeviceDependencies, "journal" | "tally" | "random" | "signal"> & Partial<DeviceDependencies>,
  batch: JournalBatch,
  call: (request: Buffer) => Promise<CallEnd>,
): Promise<void> {
  const request = toRequest(batch);
  for (;;) {
    signal.throwIfAborted();
    const end = await call(reEncodes ? reEncodeRequest(random, request) : request);
    if (!("code" in end)) return journal.acknowledge(batch, end);
    if (end.code === status.INVALID_ARGUMENT) return journal.refuse(batch, end);
    if (end.code === status.RESOURCE_EXHAUSTED || end.code === status.UNAVAILABLE) {
      tally.later.set(end.code, (tally.later.get(end.code) ?? 0) + 1);
    } else tally.broken += 1;
    await sleep(20 + random.below(60));
  }
}

/** Speaks unary gRPC. */
export function pushingDevice(dependencies: DeviceDependencies, address: string): Device {
  const client = openChannel(address);
  const call = (request: Buffer) =>
    new Promise<CallEnd>((resolve) => {
      client.makeUnaryRequest(
        "/fleetlog.v1.IngestService/PushLogs",
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => fromBinary(PushLogsResponseSchema, bytes),
        request,
        { deadline: Date.now() + 4_000 },
        (error, response) => resolve(response?.ack ?? asEnd(error)),
      );
    });
  return oneByOne(dependencies, call, () => client.close());
}

/** Speaks Connect: one protobuf message in a POST over HTTP/1.1. */
export function postingDevice(dependencies: DeviceDependencies, baseUrl: () => string): Device {
  return oneByOne(
    dependencies,
    (request) => post(baseUrl(), request),
    () => undefined,
  );
}

export async function post(baseUrl: string, request: Buffer): Promise<CallEnd> {
  try {
    const response = await fetch(`${baseUrl}/fleetlog.v1.IngestService/PushLogs`, {
      method: "POST",
      headers: { "content-type": "application/proto" },
      body: new Uint8Array(request),
      signal: AbortSignal.timeout(4_000),
    });
    const body = Buffer.from(await response.arrayBuffer());
    if (response.ok) return fromBinary(PushLogsResponseSchema, body).ack ?? asEnd(undefined);
    const { code, message } = JSON.parse(body.toString()) as { code: string; message: string };
    return { code: status[code.toUpperCase() as keyof typeof status], message };
  } catch (error) {
    return asEnd(error); // no response: it may be stored or not
  }
}

function oneByOne(
  dependencies: DeviceDependencies,
  call: (request: Buffer) => Promise<CallEnd>,
  close: () => void,
): Device {
  let sequence = 0n;
  let last: Promise<void> = Promise.resolve();
  return {
    send() {
      last = pushUntilAccepted(dependencies, openBatch(dependencies, ++sequence), call);
      return last;
    },
    flush: () => last,
    close,
  };
}

function asEnd(error: unknown): CallEnd {
  const { code } = (error ?? {}) as Partial<ServiceError>;
  return { code: typeof code === "number" ? code : undefined, message: String(error) };
}
