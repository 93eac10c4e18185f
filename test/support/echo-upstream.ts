import { createServer as createHttpServer, type Server } from "node:http";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";

export interface EchoUpstream {
  /** host:port. */
  readonly grpc: string;
  readonly http: string;
  /** Paths of the calls that arrived. */
  readonly calls: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** The smallest thing that behind a proxy looks like an ingest server: echoes bytes, over h2c as gRPC and over HTTP/1.1. */
export async function startEchoUpstream(): Promise<EchoUpstream> {
  const calls: string[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const grpc = createServer();
  grpc.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  grpc.on("stream", (stream, headers) => {
    calls.push(String(headers[":path"]));
    stream.on("error", () => {}); // the other side went away, as some tests want it to
    const respond = () =>
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => {
      if (!stream.destroyed) stream.sendTrailers({ "grpc-status": "0" });
    });
    if (headers[":path"]?.endsWith("/StreamLogs")) {
      respond();
      stream.pipe(stream);
      return;
    }
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => {
      if (stream.destroyed) return; // refused by the proxy while it was being sent
      respond();
      stream.end(Buffer.concat(parts));
    });
  });
  const http = createHttpServer((request, response) => {
    calls.push(request.url ?? "");
    if (request.url === "/readyz") {
      response.writeHead(503).end("postgres: starting\n");
      return;
    }
    if (request.url === "/v1/tail") {
      response.write("id: 1\n\n"); // and nothing more, for now
      return;
    }
    response.writeHead(200, { "content-type": request.headers["content-type"] ?? "text/plain" });
    request.pipe(response);
  });
  return {
    grpc: await listening(grpc),
    http: await listening(http),
    calls,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      http.closeAllConnections();
      await Promise.all([grpc, http].map((server) => new Promise((done) => server.close(done))));
    },
  };
}

async function listening(server: Http2Server | Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
