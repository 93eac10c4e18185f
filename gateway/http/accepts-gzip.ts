import type { IncomingMessage } from "node:http";

/** Whether the client takes gzip (RFC 9110, 12.5.3): named, or meant by "*", and not with a weight of 0. */
export function acceptsGzip({ headers }: IncomingMessage): boolean {
  const weights = new Map<string, number>();
  for (const part of (headers["accept-encoding"] ?? "").split(",")) {
    const [name = "", ...parameters] = part.split(";").map((one) => one.trim().toLowerCase());
    const weight = parameters.find((one) => one.startsWith("q="))?.slice(2) ?? "1";
    weights.set(name, Number(weight));
  }
  return (weights.get("gzip") ?? weights.get("x-gzip") ?? weights.get("*") ?? 0) > 0;
}
