import { Counter, type Registry } from "#lib/metrics.ts";

/** Counts the calls that a concurrency limit refused. */
export function createRefusedCallsCounter(registry: Registry): Counter<"limit"> {
  return new Counter({
    name: "fleetlog_refused_calls_total",
    help: "Calls refused by a concurrency limit, of all clients or per client",
    labelNames: ["limit"],
    registers: [registry],
  });
}
