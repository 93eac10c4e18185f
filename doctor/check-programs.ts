import { lookup } from "node:dns/promises";
import { type Finding, fail, ok, warn } from "./finding.ts";

/**
 * Checks each program's /readyz and repeats its reasons; a name with several addresses, as of a scaled
 * service, is checked at each.
 */
export async function checkReady(address: string): Promise<Finding[]> {
  const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(address) ?? [];
  const found = await lookup(host, { all: true, family: 4 });
  const addresses = found.length === 1 ? [address] : found.map((one) => `${one.address}:${port}`);
  return Promise.all(addresses.map((one) => checkOne(one === address ? address : `${host} ${one}`, one)));
}

async function checkOne(name: string, address: string): Promise<Finding> {
  const check = `ready ${name}`;
  try {
    const response = await fetch(`http://${address}/readyz`, { signal: AbortSignal.timeout(5_000) });
    const text = (await response.text()).trim().slice(0, 1_000);
    if (response.ok) {
      const notes = text.split("\n").slice(1).join("; ");
      return notes === ""
        ? ok(check, "ready")
        : warn(check, notes, "See FleetlogBatchesRefused in docs/operations/runbooks.md.");
    }
    return fail(
      check,
      text.replaceAll("\n", "; ") || `status ${response.status}`,
      "Fix the reason it names; its log has details.",
    );
  } catch (error) {
    return fail(check, `does not answer: ${findReason(error)}`, "Start it. If it exits, check its log.");
  }
}

/** The innermost reason of a failure, such as "connect ECONNREFUSED 127.0.0.1:8080". */
export function findReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AggregateError && error.errors.length > 0) return findReason(error.errors[0]);
  return error.cause === undefined ? error.message : findReason(error.cause);
}
