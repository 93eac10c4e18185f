import { Agent, request as http1Request } from "node:http";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import type { Response } from "./response.ts";

export interface HttpCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Written one after the other. */
  readonly pieces: readonly Buffer[];
  /** After the pieces: the call is ended as it should be, or the sender is gone. */
  readonly end: "end" | "vanish";
}

const hungUp: Response = { status: 0, headers: {}, body: Buffer.alloc(0) };

/** Calls over HTTP/2 without TLS: one connection, another when it is gone. */
export class Http2Calls {
  readonly #origin: string;
  #session: ClientHttp2Session | undefined;

  constructor(address: string) {
    this.#origin = `http://${address}`;
  }

  send({ path, headers, pieces, end }: HttpCall): Promise<Response> {
    return new Promise((resolve) => {
      const stream = this.#open().request({ ":method": "POST", ":path": path, ...headers });
      let status = 0;
      const seen: Record<string, string | string[] | undefined> = {};
      const chunks: Buffer[] = [];
      stream.on("response", (response) => {
        status = response[":status"] ?? 0;
        Object.assign(seen, response);
      });
      stream.on("trailers", (trailers) => Object.assign(seen, trailers));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("error", () => {}); // the outcome reports it
      stream.on("close", () => resolve({ status, headers: seen, body: Buffer.concat(chunks) }));
      for (const piece of pieces) stream.write(piece);
      if (end === "end") stream.end();
      else setImmediate(() => stream.close(constants.NGHTTP2_CANCEL));
    });
  }

  close(): void {
    this.#session?.destroy();
  }

  #open(): ClientHttp2Session {
    const open = this.#session;
    if (open && !open.closed && !open.destroyed) return open;
    const session = connect(this.#origin);
    session.on("error", () => {}); // its streams report it
    session.on("goaway", () => session.close());
    this.#session = session;
    return session;
  }
}

/** Calls over HTTP/1.1. */
export class Http1Calls {
  readonly #origin: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(address: string) {
    this.#origin = `http://${address}`;
  }

  send({ path, headers, pieces, end }: HttpCall): Promise<Response> {
    return new Promise((resolve) => {
      const request = http1Request(this.#origin + path, { method: "POST", headers, agent: this.#agent });
      request.on("error", () => resolve(hungUp));
      request.on("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", () => {}); // "close" follows
        response.on("close", () => {
          const headers = { ...response.headers, ...response.trailers };
          resolve({ status: response.statusCode ?? 0, headers, body: Buffer.concat(chunks) });
        });
      });
      for (const piece of pieces) request.write(piece);
      if (end === "end") request.end();
      else setImmediate(() => request.destroy());
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
