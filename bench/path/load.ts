import { randomUUID } from "node:crypto";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { createBatchPool, encodeBatch } from "#bench/path/batch-pool.ts";
import { FrameReader, frame, frameHeaderBytes, packFrame } from "#bench/path/grpc-frame.ts";
import { pacedStream } from "#bench/path/paced-stream.ts";
import { Latencies } from "#bench/simulate/latencies.ts";
import { PushLogsResponseSchema, StreamLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/**
 * The load: a process of its own, forked by the benchmark, that speaks gRPC over bare `node:http2`, so that what is
 * measured is the servers and as little as possible the client. The parent sends one {@link LoadJob} at a time and
 * gets one {@link LoadResult}. Closed loop: each stream keeps `inFlightPerStream` batches in flight; an open one with
 * `batchesPerSecond`.
 */
export interface LoadJob {
  /** host:port; several, separated by commas, share the streams. */
  readonly target: string;
  /** PushLogsByConnect: the unary call by Connect's protocol instead of gRPC. */
  readonly rpc: "StreamLogs" | "PushLogs" | "PushLogsByConnect";
  readonly streams: number;
  readonly inFlightPerStream: number;
  readonly devicesPerStream: number;
  /** The number of batches to send: the first ones of the pool, repeated as needed. */
  readonly batches: number;
  /** Whether gRPC messages are compressed. */
  readonly isGzip?: boolean;
  /** Whether the peer echoes the request instead of answering with an Ack. */
  readonly echo: boolean;
  /** Only for StreamLogs: an open loop with this rate over all streams, instead of a closed loop. */
  readonly batchesPerSecond?: number;
  /** The sessions of the streams begin with it; the same batches again are then the same batches. Default: random. */
  readonly session?: string;
}

export interface LoadResult {
  readonly batches: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** ms from the time each batch was due to its ack; only for an open loop. */
  readonly latency?: { readonly p50: number; readonly p99: number };
}

const [poolBatches = 3_000, recordsPerBatch = 100] = process.argv.slice(2).map(Number);
const pool = createBatchPool(poolBatches, recordsPerBatch);

process.on("message", (job: LoadJob) => {
  run(job).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.stderr.write(`load: ${String(error)}\n`);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");

async function run(job: LoadJob): Promise<LoadResult> {
  const targets = job.target.split(",");
  const sessions = Array.from({ length: job.streams }, (_, index) =>
    open(targets[index % targets.length] as string),
  );
  await Promise.all(
    sessions.map((session) => new Promise((resolve) => session.once("remoteSettings", resolve))),
  );
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const latencies = new Latencies();
  const sender =
    job.rpc !== "StreamLogs"
      ? calls
      : job.batchesPerSecond === undefined
        ? stream
        : (...args: Parameters<typeof stream>) => paced(...args, latencies);
  await Promise.all(sessions.map((session, index) => sender(session, job, share(job, index), index)));
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  for (const session of sessions) session.close();
  return {
    batches: job.batches,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    ...(job.batchesPerSecond !== undefined && {
      latency: { p50: latencies.percentile(50), p99: latencies.percentile(99) },
    }),
  };
}

const share = ({ batches, streams }: LoadJob, index: number) =>
  Math.floor(batches / streams) + (index < batches % streams ? 1 : 0);

function open(target: string): ClientHttp2Session {
  const session = connect(`http://${target}`, { settings: { initialWindowSize: 1 << 20 } });
  session.on("connect", () => session.setLocalWindowSize(8 << 20));
  return session;
}

function request(session: ClientHttp2Session, rpc: LoadJob["rpc"], isGzip = false) {
  return session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: `/fleetlog.v1.IngestService/${rpc === "StreamLogs" ? rpc : "PushLogs"}`,
    [constants.HTTP2_HEADER_CONTENT_TYPE]:
      rpc === "PushLogsByConnect" ? "application/proto" : "application/grpc",
    [constants.HTTP2_HEADER_TE]: "trailers",
    ...(isGzip && { "grpc-encoding": "gzip" }),
  });
}

/** The next frames of one stream, which carries the batches of several devices in turn. */
function frames(stream: number, { devicesPerStream: devices, session, isGzip = false }: LoadJob) {
  const sessionId = session === undefined ? randomUUID() : `${session}-${stream}`;
  let count = 0;
  return () => {
    const records = pool[count % pool.length];
    if (records === undefined) throw new Error("the pool is empty");
    const device = `device-${stream}-${count % devices}`;
    const sequence = Math.floor(count / devices) + 1;
    count += 1;
    const whole = frame(encodeBatch(device, sessionId, BigInt(sequence), records));
    return isGzip ? packFrame(whole) : whole;
  };
}

function stream(session: ClientHttp2Session, job: LoadJob, batches: number, index: number): Promise<void> {
  const nextFrame = frames(index, job);
  return new Promise((resolve, reject) => {
    const call = request(session, "StreamLogs", job.isGzip);
    let sent = 0;
    let acknowledged = 0;
    const send = () => {
      while (sent < batches && sent - acknowledged < job.inFlightPerStream) {
        sent += 1;
        call.write(nextFrame());
      }
      if (sent === batches) call.end();
    };
    const reader = new FrameReader((message) => {
      if (!job.echo) checkAck(fromBinary(StreamLogsResponseSchema, message).ack);
      acknowledged += 1;
      if (sent < batches) send();
    });
    call.on("data", (chunk: Buffer) => reader.push(chunk));
    call.on("error", reject);
    call.on("close", () =>
      acknowledged === batches
        ? resolve()
        : reject(new Error(`${acknowledged} of ${batches} batches were answered`)),
    );
    send();
  });
}

/** Each stream's share of the rate; the streams alternate. */
function paced(
  session: ClientHttp2Session,
  job: LoadJob,
  batches: number,
  index: number,
  latencies: Latencies,
): Promise<void> {
  const stepMs = (1_000 * job.streams) / (job.batchesPerSecond ?? 1);
  return pacedStream(request(session, "StreamLogs"), {
    nextFrame: frames(index, job),
    batches,
    stepMs,
    firstAfterMs: (stepMs * index) / job.streams,
    onAck: (message, latencyMs) => {
      if (!job.echo) checkAck(fromBinary(StreamLogsResponseSchema, message).ack);
      latencies.record(latencyMs);
    },
  });
}

async function calls(
  session: ClientHttp2Session,
  job: LoadJob,
  batches: number,
  index: number,
): Promise<void> {
  const nextFrame = frames(index, job);
  let sent = 0;
  const worker = async () => {
    while (sent < batches) {
      sent += 1;
      await (job.rpc === "PushLogs"
        ? callOnce(session, nextFrame(), job)
        : connectOnce(session, nextFrame().subarray(frameHeaderBytes), job.echo));
    }
  };
  await Promise.all(Array.from({ length: job.inFlightPerStream }, worker));
}

function callOnce(session: ClientHttp2Session, body: Buffer, { echo, isGzip }: LoadJob): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(session, "PushLogs", isGzip);
    let acknowledged = 0;
    const reader = new FrameReader((message) => {
      if (!echo) checkAck(fromBinary(PushLogsResponseSchema, message).ack);
      acknowledged += 1;
    });
    call.on("data", (chunk: Buffer) => reader.push(chunk));
    call.on("error", reject);
    call.on("close", () =>
      acknowledged === 1 ? resolve() : reject(new Error(`${acknowledged} answers to one call`)),
    );
    call.end(body);
  });
}

/** By Connect a unary body is the message itself; an error has another status than 200. */
function connectOnce(session: ClientHttp2Session, body: Buffer, echo: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(session, "PushLogsByConnect");
    const chunks: Buffer[] = [];
    let status: number | undefined;
    call.on("response", (headers) => (status = headers[":status"]));
    call.on("data", (chunk: Buffer) => chunks.push(chunk));
    call.on("error", reject);
    call.on("close", () => {
      const response = Buffer.concat(chunks);
      if (status !== 200) reject(new Error(`HTTP status ${status}: ${response.toString("utf8", 0, 200)}`));
      else {
        if (!echo) checkAck(fromBinary(PushLogsResponseSchema, response).ack);
        resolve();
      }
    });
    call.end(body);
  });
}

function checkAck(ack: { accepted: number; error?: { message: string } | undefined } | undefined): void {
  if (ack?.accepted === recordsPerBatch) return;
  throw new Error(`a batch was not taken whole: ${ack?.error?.message ?? `${ack?.accepted} accepted`}`);
}
