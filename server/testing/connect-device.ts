import { PassThrough } from "node:stream";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { IngestService, type StreamLogsResponse } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { Scope } from "./server-program.ts";

type Request = MessageInitShape<typeof StreamLogsRequestSchema>;

/** One open StreamLogs call over Connect and HTTP/2. */
export interface ConnectStream {
  readonly responses: StreamLogsResponse[];
  send(request: Request): void;
  /** Ends the sending side. */
  close(): void;
  /** Resolves once the call has ended, with its error if there was one. */
  readonly ended: Promise<unknown>;
}

export function openConnectStream(scope: Scope, address: string, useBinaryFormat: boolean): ConnectStream {
  const baseUrl = `http://${address}`;
  const client = createClient(
    IngestService,
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat }),
  );
  const requests = new PassThrough({ objectMode: true });
  const aborted = new AbortController();
  const responses: StreamLogsResponse[] = [];
  const read = async () => {
    try {
      for await (const response of client.streamLogs(requests, { signal: aborted.signal })) {
        responses.push(response);
      }
      return undefined;
    } catch (error) {
      return error;
    }
  };
  scope.after(() => {
    requests.end();
    aborted.abort();
  });
  return {
    responses,
    ended: read(),
    send: (request) => requests.write(request),
    close: () => requests.end(),
  };
}
