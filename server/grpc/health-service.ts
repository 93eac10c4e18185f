import { type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from "@grpc/grpc-js";
import { type Health, healthNames, unknownService, watchEnd } from "../health/health.ts";

interface Request {
  readonly service: string;
}

/** Health on grpc-js. grpc-health-check has handlers of its own, whose watches never end and keep a server from stopping. */
export function healthHandlers(health: Health) {
  return {
    check({ request: { service } }: ServerUnaryCall<Request, object>, callback: sendUnaryData<object>): void {
      const found = health.status(service);
      if (found === undefined) callback({ code: status.NOT_FOUND, details: unknownService(service) });
      else callback(null, { status: found });
    },
    watch(call: ServerWritableStream<Request, object>): void {
      const hungUp = new AbortController();
      call.on("cancelled", () => hungUp.abort());
      void sendStatus(health, call, hungUp.signal);
    },
    list(_call: ServerUnaryCall<object, object>, callback: sendUnaryData<object>): void {
      const statuses = healthNames.map((name) => [name, { status: health.status(name) }]);
      callback(null, { statuses: Object.fromEntries(statuses) });
    },
  };
}

async function sendStatus(health: Health, call: ServerWritableStream<Request, object>, hungUp: AbortSignal) {
  for await (const found of health.watch(call.request.service, hungUp)) call.write({ status: found });
  if (!hungUp.aborted) call.emit("error", { code: status.UNAVAILABLE, details: watchEnd });
}
