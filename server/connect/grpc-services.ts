import { Code, ConnectError, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { Health as HealthService } from "#proto/gen/grpc/health/v1/health_pb.ts";
import type { StartRpc } from "#rpc/call-metrics.ts";
import { observeCalls } from "#rpc/observe-calls.ts";
import { type Health, unknownService, watchEnd } from "../health/health.ts";
import { reflectionServices, serveReflection } from "../reflection.ts";
import { blameSender } from "./blame-sender.ts";
import { mapSenderMistakes } from "./map-sender-mistakes.ts";

/** Names of services, messages and files. */
const messageBytesMax = 4 * 1024;

/** Health and reflection, which gRPC defines, by Connect and gRPC-Web: the handlers by path, for both kinds of encoding. */
export function createGrpcServices(
  health: Health,
  startRpc: StartRpc,
): ReadonlyMap<string, UniversalHandler> {
  const router = createConnectRouter({
    grpc: false, // the other face serves it
    readMaxBytes: messageBytesMax,
    acceptCompression: [],
    interceptors: [observeCalls(startRpc), mapSenderMistakes],
  });
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
  return new Map(router.handlers.map((handler) => [handler.requestPath, blameSender(handler)]));
}
