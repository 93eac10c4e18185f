import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { Health as HealthService } from "#proto/gen/grpc/health/v1/health_pb.ts";
import { createHandlers, type HandlerOptions } from "#rpc/create-handlers.ts";
import { type Health, unknownService, watchEnd } from "../health/health.ts";
import { reflectionServices, serveReflection } from "../reflection.ts";

/** Names of services, messages and files. */
const messageBytesMax = 4 * 1024;

/** Health and reflection, which gRPC defines, by Connect and gRPC-Web: the handlers by path, for both kinds of encoding. */
export function createGrpcServices(
  health: Health,
  { startRpc, logger }: Pick<HandlerOptions, "startRpc" | "logger">,
): ReadonlyMap<string, UniversalHandler> {
  const routes = (router: ConnectRouter) => {
    router.service(HealthService, {
      check({ service }) {
        const status = health.status(service);
        if (status === undefined) throw new ConnectError(unknownService(service), Code.NotFound);
        return { status };
      },
      async *watch({ service }, { signal }) {
        for await (const status of health.watch(service, signal)) yield { status };
        if (!signal.aborted) throw new ConnectError(watchEnd, Code.Unavailable);
      },
    });
    for (const service of reflectionServices)
      router.service(service, { serverReflectionInfo: serveReflection });
  };
  const handlers = createHandlers(routes, {
    startRpc,
    logger,
    grpc: false, // the other transport serves it
    readMaxBytes: messageBytesMax,
    acceptCompression: [],
  });
  return new Map(handlers.map((handler) => [handler.requestPath, handler]));
}
