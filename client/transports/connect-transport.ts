import { Agent as HttpAgent } from "node:http";
import { type AgentOptions, Agent as HttpsAgent } from "node:https";
import { type DescMethodUnary, fromBinary } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { type Client, createClient, type Transport as RpcTransport } from "@connectrpc/connect";
import { compressionGzip, createConnectTransport } from "@connectrpc/connect-node";
import { withOptions } from "#client/stream/record.ts";
import { ConnectLink } from "#client/transports/connect-link.ts";
import type { Link, LinkOptions, Sendable, SessionKey, Transport } from "#client/transports/transport.ts";
import {
  type GetSessionResponse,
  IngestService,
  type PushLogsResponseSchema,
} from "#proto/gen/fleetlog/v1/ingest_pb.ts";

export interface ConnectTransportOptions {
  /** Such as http://127.0.0.1:8080. */
  readonly baseUrl: string;
  /** Calls at the same time, each on a connection of its own that is kept; default 4. */
  readonly callsMax?: number | undefined;
  /** Compresses batches; default: none. */
  readonly compression?: "gzip" | undefined;
  /** TLS options of node:https. */
  readonly tls?: Pick<AgentOptions, "ca" | "cert" | "key" | "servername"> | undefined;
}

/**
 * PushLogs without decoding the request: a message type that knows no field keeps them all as unknown
 * fields, so the stored bytes are sent unchanged.
 */
const pushBytes: DescMethodUnary<typeof EmptySchema, typeof PushLogsResponseSchema> = {
  ...IngestService.method.pushLogs,
  input: EmptySchema,
};

/** Connect over HTTP/1.1, one batch per call, for networks that HTTP/2 does not cross. */
export class ConnectTransport implements Transport, Disposable {
  /** A call has one response, so progress must be polled. */
  readonly reportsProgress = false;
  readonly #agent: HttpAgent;
  readonly #rpc: RpcTransport;
  readonly #client: Client<typeof IngestService>;
  readonly #callsMax: number;

  constructor({ baseUrl, callsMax = 4, compression, tls }: ConnectTransportOptions) {
    const options = { keepAlive: true, maxSockets: callsMax, maxFreeSockets: callsMax };
    this.#agent = baseUrl.startsWith("https:")
      ? new HttpsAgent({ ...options, ...tls })
      : new HttpAgent(options);
    this.#rpc = createConnectTransport({
      baseUrl,
      httpVersion: "1.1",
      useBinaryFormat: true,
      nodeOptions: { agent: this.#agent },
      ...(compression && { sendCompression: compressionGzip }),
      // GetSession returns up to 2,000 ranges.
      readMaxBytes: 1024 * 1024,
    });
    this.#client = createClient(IngestService, this.#rpc);
    this.#callsMax = callsMax;
  }

  open<Batch extends Sendable>(options: LinkOptions<Batch>): Link<Batch> {
    return new ConnectLink(options, this.#callsMax, async ({ request }, signal) => {
      const message = fromBinary(EmptySchema, withOptions(request, options.encodeOptions));
      const response = await this.#rpc.unary(pushBytes, signal, options.ackTimeoutMs, undefined, message);
      return response.message.ack;
    });
  }

  getSession(session: SessionKey, timeoutMs: number): Promise<GetSessionResponse> {
    return this.#client.getSession(session, { timeoutMs });
  }

  close(): void {
    this.#agent.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
