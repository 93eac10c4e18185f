import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { GrpcLink } from "#client/transports/grpc-link.ts";
import type { Link, LinkOptions, Sendable, SessionKey, Transport } from "#client/transports/transport.ts";
import {
  GetSessionRequestSchema,
  type GetSessionResponse,
  GetSessionResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";

/** gRPC over HTTP/2: one StreamLogs call at a time. */
export class GrpcTransport implements Transport {
  readonly reportsProgress = true;
  readonly #client: Client;
  readonly #ownsClient: boolean;

  /** `client` comes from `openChannel`; with `ownsClient` it is closed with the transport. */
  constructor(client: Client, ownsClient: boolean) {
    this.#client = client;
    this.#ownsClient = ownsClient;
  }

  open<Batch extends Sendable>(options: LinkOptions<Batch>): Link<Batch> {
    return new GrpcLink(this.#client, options);
  }

  getSession(session: SessionKey, timeoutMs: number): Promise<GetSessionResponse> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        "/fleetlog.v1.IngestService/GetSession",
        (name: SessionKey) =>
          Buffer.from(toBinary(GetSessionRequestSchema, create(GetSessionRequestSchema, name))),
        (bytes: Buffer) => fromBinary(GetSessionResponseSchema, bytes),
        session,
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (response) resolve(response);
          else reject(error ?? new Error("GetSession returned no response"));
        },
      );
    });
  }

  close(): void {
    if (this.#ownsClient) this.#client.close();
  }
}
