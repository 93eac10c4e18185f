import {
  createServer as createHttp1Server,
  type IncomingMessage,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Admit, type Caller } from "./admission.ts";
import { keepAlive } from "./keep-alive.ts";
import { sendError } from "./send-error.ts";
import type { NodeRequest, NodeResponse } from "./serve-call.ts";

/** HTTP/1.1 and HTTP/2 without TLS on one port. */
export interface HttpListener {
  readonly server: Server;
  /** Accepts no new connections, closes the others after their next call or when idle, waits for the calls in flight. */
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

export interface HttpListenerOptions {
  /** Asked before every request. */
  readonly admit: Admit;
  readonly http1?: ServerOptions;
  /** Answers what HTTP/1.1 could not read; the connection is ended without an answer unless set. */
  readonly onClientError?: (error: NodeJS.ErrnoException, socket: Duplex) => void;
  /** What a client may send ahead over HTTP/2, on one stream and on one connection. */
  readonly windowBytes: { readonly stream: number; readonly connection: number };
  /** Names and values of one HTTP/2 request; HTTP/1.1 has `http1.maxHeaderSize`. */
  readonly headerBytesMax?: number;
  readonly pingIntervalMs?: number;
}

/**
 * The first bytes of a connection tell which it is: HTTP/2 begins with "PRI", which is no method of HTTP/1.1. gRPC and
 * bidirectional streams need HTTP/2; curl and Nginx's proxy_pass speak HTTP/1.1.
 */
export function createHttpListener(
  onRequest: {
    readonly http1: (request: IncomingMessage, response: ServerResponse, caller: Caller) => void;
    readonly http2: (request: Http2ServerRequest, response: Http2ServerResponse, caller: Caller) => void;
  },
  {
    admit,
    http1: http1Options = {},
    onClientError,
    windowBytes,
    headerBytesMax,
    pingIntervalMs,
  }: HttpListenerOptions,
): HttpListener {
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  let closing = false;
  const admitted =
    <Request extends NodeRequest, Response extends NodeResponse>(
      serve: (request: Request, response: Response, caller: Caller) => void,
    ) =>
    (request: Request, response: Response): void => {
      const caller = admit(request);
      if ("error" in caller) sendError(request, response, caller);
      else serve(request, response, caller);
    };

  const serveHttp1 = admitted(onRequest.http1);
  const http1 = createHttp1Server(http1Options, (request, response) => {
    if (closing) response.setHeader("connection", "close");
    serveHttp1(request, response);
  });
  // It never listens itself, but its timeouts for slow requests and its list of idle connections begin with this event.
  http1.emit("listening");
  const http2 = createHttp2Server(
    {
      settings: {
        initialWindowSize: windowBytes.stream,
        maxConcurrentStreams: 256,
        ...(headerBytesMax && { maxHeaderListSize: headerBytesMax }),
      },
    },
    admitted(onRequest.http2),
  );
  http2.on("session", (session) => {
    session.setLocalWindowSize(windowBytes.connection);
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    keepAlive(session, pingIntervalMs);
  });
  for (const inner of [http1, http2]) {
    inner.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
      if (inner === http1 && onClientError !== undefined) onClientError(error, socket);
      else socket.destroy();
    });
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
      socket.unshift(head); // not before: it makes the socket readable again at once, and so forever
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
      // Not once(): it rejects when the other end resets a connection, which ends the wait for all the others.
      await Promise.all(
        [...sockets].map((socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()))),
      );
      clearTimeout(closeIdle);
    },
    destroy() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Closes the listener; what is still open after `deadlineMs` is destroyed. */
export async function closeListener(listener: HttpListener, deadlineMs: number): Promise<void> {
  const timer = setTimeout(() => listener.destroy(), deadlineMs);
  try {
    await listener.close();
  } finally {
    clearTimeout(timer);
  }
}
