import type { IncomingHttpHeaders } from "node:http";

/** Whether the client accepts gzip (RFC 9110, 12.5.3): named, or meant by "*", and not with a weight of 0. */
export function acceptsGzip({ headers }: WithHeaders): boolean {
  const weights = readWeights(headers["accept-encoding"]);
  return (weights.get("gzip") ?? weights.get("x-gzip") ?? weights.get("*") ?? 0) > 0;
}

/** Whether the client accepts HTML, as curl does by any type; a client that does not say accepts anything. */
export function acceptsHtml({ headers }: WithHeaders): boolean {
  const weights = readWeights(headers.accept || "*/*");
  return (weights.get("text/html") ?? weights.get("text/*") ?? weights.get("*/*") ?? 0) > 0;
}

/** Whether the client asks for HTML by its name, as browsers do. */
export function namesHtml({ headers }: WithHeaders): boolean {
  return (readWeights(headers.accept).get("text/html") ?? 0) > 0;
}

interface WithHeaders {
  readonly headers: IncomingHttpHeaders;
}

/** The weight of each name in the list, in lower case. */
function readWeights(list = ""): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const part of list.split(",")) {
    const [name = "", ...parameters] = part.split(";").map((one) => one.trim().toLowerCase());
    const weight = parameters.find((one) => one.startsWith("q="))?.slice(2) ?? "1";
    weights.set(name, Number(weight));
  }
  return weights;
}
