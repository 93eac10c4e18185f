import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import {
  Server,
  type ServerInterceptor,
  type ServerOptions,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

/**
 * The methods that @grpc/grpc-js serves. Its own listener is not used: it answers a call of an unknown method without
 * checking whether the call was cancelled, which throws where nothing catches and ends the process; it also has no
 * place to check the host before the call starts. So streams come from a listener of ours.
 */
export class MethodRegistry {
  readonly #server: Server;
  /** Whether each is unary. */
  readonly #paths = new Map<string, boolean>();

  constructor(options: ServerOptions) {
    this.#server = new Server({ ...options, "grpc.enable_channelz": 0 });
    if (typeof internals(this.#server)._streamHandler !== "function") {
      throw new Error("this version of @grpc/grpc-js has no Server._streamHandler");
    }
  }

  add(service: ServiceDefinition, handlers: UntypedServiceImplementation): void {
    this.#server.addService(service, handlers);
    for (const { path, requestStream, responseStream } of Object.values(service))
      this.#paths.set(path, !requestStream && !responseStream);
  }

  /** By its path, such as "/grpc.health.v1.Health/Check". */
  has(path: string | undefined): boolean {
    return path !== undefined && this.#paths.has(path);
  }

  isUnary(path: string | undefined): boolean {
    return this.#paths.get(path ?? "") === true;
  }

  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    internals(this.#server)._streamHandler([], stream, headers);
  }
}

/** Private in grpc-js, whose public interface takes connections only. Its version is pinned. */
interface Internals {
  _streamHandler(
    interceptors: readonly ServerInterceptor[],
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ): void;
}

function internals(server: Server): Internals {
  return server as unknown as Internals;
}
