import { Counter, Histogram, latencyBuckets, type Registry } from "#lib/metrics.ts";

/** The kinds of call under their usual names. */
export type RpcType = "unary" | "bidi_stream" | "server_stream" | "client_stream";

/** Counts one call; the returned function is called with the name of its code, such as "OK", and only its first call counts. */
export type StartRpc = (type: RpcType, service: string, method: string) => (code: string) => void;

/** Rate, errors and duration of every call, under the names that gRPC servers of all languages use. */
export function createRpcMetrics(registry: Registry): StartRpc {
  const registers = [registry];
  const labelNames = ["grpc_type", "grpc_service", "grpc_method"] as const;
  const started = new Counter({
    name: "grpc_server_started_total",
    help: "Calls started.",
    labelNames,
    registers,
  });
  const handled = new Counter({
    name: "grpc_server_handled_total",
    help: "Calls completed, by code.",
    labelNames: [...labelNames, "grpc_code"] as const,
    registers,
  });
  const seconds = new Histogram({
    name: "grpc_server_handling_seconds",
    help: "Duration of unary calls; streams are not measured.",
    labelNames,
    buckets: latencyBuckets,
    registers,
  });
  const cached = new Map<string, ReturnType<typeof bind>>();

  /** Looking labels up costs more than counting: each is looked up once. The codes and methods are few. */
  function bind(type: RpcType, service: string, method: string) {
    const codes = new Map<string, { inc(): void }>();
    return {
      started: started.labels(type, service, method),
      seconds: type === "unary" ? seconds.labels(type, service, method) : undefined,
      handled: (code: string): void => {
        let counter = codes.get(code);
        if (counter === undefined) {
          counter = handled.labels(type, service, method, labelOf(code));
          codes.set(code, counter);
        }
        counter.inc();
      },
    };
  }

  return (type, service, method) => {
    const key = `${service}/${method}`;
    let rpc = cached.get(key);
    if (rpc === undefined) cached.set(key, (rpc = bind(type, service, method)));
    const { started, handled, seconds } = rpc;
    started.inc();
    const startedAt = performance.now();
    let ended = false;
    return (code) => {
      if (ended) return;
      ended = true;
      handled(code);
      seconds?.observe((performance.now() - startedAt) / 1000);
    };
  };
}

/** "InvalidArgument" for INVALID_ARGUMENT and Connect's invalid_argument, as these metrics have it in every language; OK stays OK. */
function labelOf(code: string): string {
  if (code === "OK") return code;
  if (code === "CANCELLED") return "Canceled";
  return code.toLowerCase().replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
