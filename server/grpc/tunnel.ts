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
    if (stream.session === undefined) return;
    let inner: ClientHttp2Stream;
    try {
      inner = this.#behind(stream.session as ServerHttp2Session).request(headers);
    } catch {
      // Headers that no client may send, such as those of CONNECT.
      stream.respond({ [constants.HTTP2_HEADER_STATUS]: 400 }, { endStream: true });
      return;
    }
    let trailers: IncomingHttpHeaders = {};
    inner.on("response", (answer, flags) => {
      if (stream.destroyed) return;
      if (flags & constants.NGHTTP2_FLAG_END_STREAM) stream.respond(answer, { endStream: true });
      else stream.respond(answer, { waitForTrailers: true });
    });
    inner.on("trailers", (received) => (trailers = received));
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    inner.on("error", () => {}); // told by the code with which it closes
    inner.on("close", () => {
      if (inner.rstCode !== constants.NGHTTP2_NO_ERROR) stream.close(inner.rstCode);
    });
    stream.on("close", () => inner.close(constants.NGHTTP2_CANCEL));
    stream.pipe(inner);
    inner.pipe(stream);
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
