import type { Code, ConnectError, HandlerContext } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { Counter, Histogram, latencyBuckets, type Registry } from "#lib/metrics.ts";

type Method = HandlerContext["method"];

/** Rate, errors and duration of the RPCs, under the names of go-grpc-prometheus; REST calls count as their RPC. */
export function createRpcMetrics(registry: Registry) {
  const registers = [registry];
  const handled = new Counter({
    name: "grpc_server_handled_total",
    help: "RPCs answered, by the code of the answer",
    labelNames: ["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
    registers,
  });
  const seconds = new Histogram({
    name: "grpc_server_handling_seconds",
    help: "Seconds from the parsed request to the answer",
    labelNames: ["grpc_type", "grpc_service", "grpc_method"],
    buckets: latencyBuckets,
    registers,
  });
  /** Counts a stream that is over; how long it was says nothing. */
  const ended = (method: Method, error?: ConnectError): void => {
    handled.inc({ ...labelsOf(method), grpc_code: error === undefined ? "OK" : grpcName(error.code) });
  };
  return {
    ended,
    /** Counts one answer; without an error it was OK. */
    answered(method: Method, startedAtMs: number, error?: ConnectError): void {
      ended(method, error);
      seconds.observe(labelsOf(method), (performance.now() - startedAtMs) / 1000);
    },
  };
}

function labelsOf(method: Method) {
  return {
    grpc_type: method.methodKind,
    grpc_service: method.parent.typeName,
    grpc_method: method.name,
  };
}

export type RpcMetrics = ReturnType<typeof createRpcMetrics>;

/** "InvalidArgument", as gRPC's own metrics write it. */
function grpcName(code: Code): string {
  return codeToString(code).replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
