import { once } from "node:events";
import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { limits } from "#batch/limits.ts";
import { keepAlive } from "../keep-alive.ts";

/** HTTP/1.1 and HTTP/2 without TLS on one port. */
export interface HttpFace {
  readonly server: Server;
  /** Takes no new connections, ends the others with their next call or when idle, waits for the calls under way. */
  close(): Promise<void>;
  /** Ends what is still open. */
  destroy(): void;
}

/** A connection that says nothing for this long is ended. */
const firstByteTimeoutMs = 10_000;

/**
 * A proxy may send a call on a kept-alive connection at the moment in which we close it, and that call fails. So
 * when the server stops, connections go away as answers to calls ("connection: close"); only what was idle for all of
 * this time is closed by us.
 */
const idleGraceMs = 1_000;

/**
 * The first bytes of a connection tell which it is: HTTP/2 begins with "PRI", which is no method of HTTP/1.1. Streams
 * need HTTP/2; curl and Nginx's proxy_pass speak HTTP/1.1.
 */
export function createHttpFace(
  listener: (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ) => void,
  { pingIntervalMs }: { readonly pingIntervalMs?: number } = {},
): HttpFace {
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  let closing = false;

  const http1 = createHttp1Server((request, response) => {
    if (closing) response.setHeader("connection", "close");
    listener(request, response);
  });
  // It never listens itself, but its timeouts for slow requests and its list of idle connections begin with this event.
  http1.emit("listening");
  const http2 = createHttp2Server(
    { settings: { initialWindowSize: limits.batchBytesMax, maxConcurrentStreams: 256 } },
    listener,
  );
  http2.on("session", (session) => {
    session.setLocalWindowSize(4 * limits.batchBytesMax);
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    keepAlive(session, pingIntervalMs);
  });
  for (const inner of [http1, http2]) {
    inner.on("clientError", (_error: Error, socket: Socket) => socket.destroy());
  }

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(firstByteTimeoutMs, () => socket.destroy());
    let head = Buffer.alloc(0);
    const choose = () => {
      const piece = socket.read() as Buffer | null;
      if (piece === null) return;
      head = Buffer.concat([head, piece]);
      if (head.length < 3 && "PRI".startsWith(head.toString("latin1"))) return;
      socket.off("readable", choose);
      socket.unshift(head); // not before: it makes the socket readable again at once, and so for ever
      socket.setTimeout(0);
      (head.toString("latin1", 0, 3) === "PRI" ? http2 : http1).emit("connection", socket);
    };
    socket.on("readable", choose);
  });

  return {
    server,
    async close() {
      closing = true;
      server.close();
      for (const session of sessions) session.close();
      const closeIdle = setTimeout(() => http1.close(), idleGraceMs);
      await Promise.all([...sockets].map((socket) => once(socket, "close")));
      clearTimeout(closeIdle);
    },
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
