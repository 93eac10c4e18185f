import { once } from "node:events";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { StreamLogsRequestSchema, StreamLogsResponseSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** What the peer does with a stream instead of serving it. */
export type Misbehaviour = (stream: ServerHttp2Stream) => void;

export interface HostileBatch {
  readonly sequence: bigint;
  readonly request: Buffer;
}

/** StreamLogs on a bare HTTP/2 server, which can break every rule that a gRPC server keeps. */
export class HostilePeer {
  readonly seen: HostileBatch[] = [];
  streams = 0;
  /** Done to the streams of this number and below; those after it are served as they should be. */
  misbehaviour: { readonly times: number; readonly act: Misbehaviour } = { times: 0, act: () => {} };
  readonly #server = createServer();
  readonly #sessions = new Set<ServerHttp2Session>();

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("error", () => {}); // the client's own abort
      session.on("close", () => this.#sessions.delete(session));
    });
    this.#server.on("stream", (stream, { ":path": path }) => {
      stream.on("error", () => {}); // likewise
      if (!path?.endsWith("/StreamLogs")) {
        const unimplemented = { "content-type": "application/grpc", "grpc-status": "12" };
        stream.respond({ ":status": 200, ...unimplemented }, { endStream: true });
        return;
      }
      const { times, act } = this.misbehaviour;
      if (++this.streams <= times) act(stream);
      else this.#serve(stream);
    });
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return this;
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
  }

  /** Calls back for every batch that arrives on the stream, until that gives false. */
  onBatch(stream: ServerHttp2Stream, callback: (batch: HostileBatch) => boolean): void {
    let left = Buffer.alloc(0);
    let goesOn = true;
    stream.on("data", (chunk: Buffer) => {
      if (!goesOn) return;
      left = Buffer.concat([left, chunk]);
      while (goesOn && left.byteLength >= 5 && left.byteLength >= 5 + left.readUInt32BE(1)) {
        const request = left.subarray(5, 5 + left.readUInt32BE(1));
        left = left.subarray(5 + request.byteLength);
        const { batch } = fromBinary(StreamLogsRequestSchema, request);
        if (!batch) continue;
        this.seen.push({ sequence: batch.sequence, request });
        goesOn = callback({ sequence: batch.sequence, request });
      }
    });
  }

  #serve(stream: ServerHttp2Stream): void {
    beginResponse(stream);
    stream.write(answer({ progress: { committedThrough: 1_000n, epoch: BigInt(this.streams) } }));
    this.onBatch(stream, ({ sequence }) => {
      stream.write(answer({ ack: { sequence, accepted: 1 } }));
      return true;
    });
  }
}

export function beginResponse(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" });
}

/** Bytes as one gRPC message. */
export function framed(bytes: Uint8Array, length = bytes.byteLength): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
}

export function answer(response: MessageInitShape<typeof StreamLogsResponseSchema>): Buffer {
  return framed(toBinary(StreamLogsResponseSchema, create(StreamLogsResponseSchema, response)));
}
