import { Counter, type Registry } from "#lib/metrics.ts";

/** Counts what was refused so that everybody gets a share. */
export function createRefusedCalls(registry: Registry): Counter<"of"> {
  return new Counter({
    name: "fleetlog_refused_calls_total",
    help: "Calls that were refused because too many of their kind ran or waited, of all clients or of their own",
    labelNames: ["of"],
    registers: [registry],
  });
}
