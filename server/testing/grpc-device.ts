import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  type Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  type Ack,
  type Progress,
  PushLogsResponseSchema,
  type StreamLogsResponse,
  StreamLogsResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { BadRequestSchema, RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#proto/gen/google/rpc/status_pb.ts";

import type { Scope } from "./server-program.ts";

const bytes = (value: Buffer): Buffer => value;
const readAck = (response: Buffer): Ack | undefined => fromBinary(PushLogsResponseSchema, response).ack;
const service = "/fleetlog.v1.IngestService";

/** A gRPC client that sends any bytes as its request. */
export function connectGrpc(scope: Scope, address: string): Client {
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.max_send_message_length": -1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 200,
    "grpc.use_local_subchannel_pool": 1,
  });
  scope.after(() => client.close());
  return client;
}

/** PushLogs: the ack, or throws the ServiceError. */
export function pushGrpc(client: Client, request: Uint8Array, method = "PushLogs"): Promise<Ack | undefined> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      `${service}/${method}`,
      bytes,
      readAck,
      Buffer.from(request),
      (error: ServiceError | null, ack) => (error ? reject(error) : resolve(ack)),
    );
  });
}

/** One open StreamLogs call. */
export interface DeviceStream {
  readonly acks: Ack[];
  readonly progress: Progress[];
  /** Responses without any field. */
  readonly heartbeats: number;
  readonly call: ClientDuplexStream<Uint8Array, StreamLogsResponse>;
  /** Returns false when the call must drain before the next send. */
  send(request: Uint8Array): boolean;
  /** Resolves with the status once the call has ended. */
  readonly ended: Promise<{ code: number; details: string; metadata: Metadata }>;
}

export function openStream(client: Client): DeviceStream {
  const call = client.makeBidiStreamRequest(
    `${service}/StreamLogs`,
    (request: Uint8Array) => Buffer.from(request),
    (response: Buffer) => fromBinary(StreamLogsResponseSchema, response),
  );
  const acks: Ack[] = [];
  const progress: Progress[] = [];
  let heartbeats = 0;
  call.on("data", (response: StreamLogsResponse) => {
    if (response.ack) acks.push(response.ack);
    if (response.progress) progress.push(response.progress);
    if (!response.ack && !response.progress) heartbeats += 1;
  });
  call.on("error", () => {}); // the status reports it
  const ended: DeviceStream["ended"] = new Promise((resolve) => call.on("status", resolve));
  return {
    acks,
    progress,
    get heartbeats() {
      return heartbeats;
    },
    call,
    ended,
    send: (request) => call.write(request),
  };
}

/** The google.rpc details of an error. */
export function readDetails(metadata: Metadata): { fields: string[]; retryDelayMs: number | undefined } {
  const [encoded] = metadata.get("grpc-status-details-bin");
  const fields: string[] = [];
  let retryDelayMs: number | undefined;
  for (const any of fromBinary(StatusSchema, encoded as Buffer).details) {
    const badRequest = anyUnpack(any, BadRequestSchema);
    fields.push(...(badRequest?.fieldViolations.map(({ field }) => field) ?? []));
    const delay = anyUnpack(any, RetryInfoSchema)?.retryDelay;
    if (delay) retryDelayMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
  }
  return { fields, retryDelayMs };
}
