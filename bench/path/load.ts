import { randomUUID } from "node:crypto";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { createBatchPool, encodeBatch } from "#bench/path/batch-pool.ts";
import { FrameReader, frame } from "#bench/path/grpc-frame.ts";
import { PushLogsResponseSchema, StreamLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/**
 * The load: a process of its own, forked by the benchmark, that speaks gRPC over bare `node:http2`, so that what is
 * measured is the servers and as little as possible the client. The parent sends one {@link LoadJob} at a time and
 * gets one {@link LoadResult}. Closed loop: each stream keeps `inFlightPerStream` batches under way.
 */
export interface LoadJob {
  readonly target: string;
  readonly rpc: "StreamLogs" | "PushLogs";
  readonly streams: number;
  readonly inFlightPerStream: number;
  readonly devicesPerStream: number;
  /** How many batches to send in all; they are the first so many of the pool, again from its start beyond. */
  readonly batches: number;
  /** Whether the peer echoes the request instead of answering with an Ack. */
  readonly echo: boolean;
}

export interface LoadResult {
  readonly batches: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
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
  const sessions = Array.from({ length: job.streams }, () => open(job.target));
  await Promise.all(
    sessions.map((session) => new Promise((resolve) => session.once("remoteSettings", resolve))),
  );
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const sender = job.rpc === "StreamLogs" ? stream : calls;
  await Promise.all(sessions.map((session, index) => sender(session, job, share(job, index), index)));
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  for (const session of sessions) session.close();
  return { batches: job.batches, seconds, cpuSeconds: (user + system) / 1e6 };
}

const share = ({ batches, streams }: LoadJob, index: number) =>
  Math.floor(batches / streams) + (index < batches % streams ? 1 : 0);

function open(target: string): ClientHttp2Session {
  const session = connect(`http://${target}`, { settings: { initialWindowSize: 1 << 20 } });
  session.on("connect", () => session.setLocalWindowSize(8 << 20));
  return session;
}

function request(session: ClientHttp2Session, rpc: LoadJob["rpc"]) {
  return session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: `/fleetlog.v1.IngestService/${rpc}`,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
    [constants.HTTP2_HEADER_TE]: "trailers",
  });
}

/** The next frames of one stream, which carries the batches of several devices in turn. */
function frames(stream: number, devices: number) {
  const sessionId = randomUUID();
  let count = 0;
  return () => {
    const records = pool[count % pool.length];
    if (records === undefined) throw new Error("the pool is empty");
    const device = `device-${stream}-${count % devices}`;
    const sequence = Math.floor(count / devices) + 1;
    count += 1;
    return frame(encodeBatch(device, sessionId, BigInt(sequence), records));
  };
}

function stream(session: ClientHttp2Session, job: LoadJob, batches: number, index: number): Promise<void> {
  const nextFrame = frames(index, job.devicesPerStream);
  return new Promise((resolve, reject) => {
    const call = request(session, "StreamLogs");
    let sent = 0;
    let answered = 0;
    const send = () => {
      while (sent < batches && sent - answered < job.inFlightPerStream) {
        sent += 1;
        call.write(nextFrame());
      }
      if (sent === batches) call.end();
    };
    const reader = new FrameReader((message) => {
      if (!job.echo) checkAck(fromBinary(StreamLogsResponseSchema, message).ack);
      answered += 1;
      if (sent < batches) send();
    });
    call.on("data", (chunk: Buffer) => reader.push(chunk));
    call.on("error", reject);
    call.on("close", () =>
      answered === batches ? resolve() : reject(new Error(`${answered} of ${batches} batches were answered`)),
    );
    send();
  });
}

async function calls(
  session: ClientHttp2Session,
  job: LoadJob,
  batches: number,
  index: number,
): Promise<void> {
  const nextFrame = frames(index, job.devicesPerStream);
  let sent = 0;
  const worker = async () => {
    while (sent < batches) {
      sent += 1;
      await callOnce(session, nextFrame(), job.echo);
    }
  };
  await Promise.all(Array.from({ length: job.inFlightPerStream }, worker));
}

function callOnce(session: ClientHttp2Session, body: Buffer, echo: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(session, "PushLogs");
    let answered = 0;
    const reader = new FrameReader((message) => {
      if (!echo) checkAck(fromBinary(PushLogsResponseSchema, message).ack);
      answered += 1;
    });
    call.on("data", (chunk: Buffer) => reader.push(chunk));
    call.on("error", reject);
    call.on("close", () =>
      answered === 1 ? resolve() : reject(new Error(`${answered} answers to one call`)),
    );
    call.end(body);
  });
}

function checkAck(ack: { accepted: number; error?: { message: string } | undefined } | undefined): void {
  if (ack?.accepted === recordsPerBatch) return;
  throw new Error(`a batch was not taken whole: ${ack?.error?.message ?? `${ack?.accepted} accepted`}`);
}
