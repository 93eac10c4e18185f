import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { duplexPair } from "node:stream";
import { type Server, ServerCredentials } from "@grpc/grpc-js";

/**
 * Hands calls that arrived on our own HTTP/2 connections to a server of grpc-js within this process. Each connection
 * that needs it has another one behind it, which lives as long as itself.
 */
export class Tunnel {
  readonly #injector: ReturnType<Server["createConnectionInjector"]>;
  readonly #sessions = new WeakMap<ServerHttp2Session, ClientHttp2Session>();

  constructor(server: Server) {
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  pass(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    // Cancelled in the same breath as it was made.
    if (stream.session === undefined || stream.destroyed || stream.closed) return;
    let inner: ClientHttp2Stream;
    try {
      inner = this.#behind(stream.session as ServerHttp2Session).request(headers);
    } catch {
      // Headers that no client may send, such as those of CONNECT.
      stream.respond({ [constants.HTTP2_HEADER_STATUS]: 400 }, { endStream: true });
      return;
    }
    stream.on("error", () => {}); // told by the close that follows
    let trailers: IncomingHttpHeaders = {};
    inner.on("response", (answer, flags) => {
      if (stream.destroyed || stream.closed) return;
      if (flags & constants.NGHTTP2_FLAG_END_STREAM) return stream.respond(answer, { endStream: true });
      stream.respond(answer, { waitForTrailers: true });
      inner.pipe(stream); // not before: Node would send headers of its own
    });
    inner.on("trailers", (received) => (trailers = received));
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    inner.on("error", () => {}); // told by the code with which it closes
    inner.on("close", () => {
      if (inner.rstCode !== constants.NGHTTP2_NO_ERROR) stream.close(inner.rstCode);
      else if (!stream.headersSent) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    });
    stream.on("close", () => inner.close(constants.NGHTTP2_CANCEL));
    stream.pipe(inner);
  }

  #behind(session: ServerHttp2Session): ClientHttp2Session {
    const known = this.#sessions.get(session);
    if (known !== undefined) return known;
    const [ours, theirs] = duplexPair();
    this.#injector.injectConnection(theirs);
    const inner = connect("http://inner", { createConnection: () => ours });
    inner.on("error", () => {}); // its calls tell
    session.on("close", () => inner.destroy());
    this.#sessions.set(session, inner);
    return inner;
  }
}
