import type { Response } from "./response.ts";

/** The answer on a connection that was closed behind it. Not chunked bodies put together: their text is all there. */
export function readHttp1(received: Buffer): Response {
  const end = received.indexOf("\r\n\r\n");
  const [first = "", ...lines] = received.toString("latin1", 0, Math.max(end, 0)).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0);
  const headers = Object.fromEntries(
    lines.map((line) => [line.split(":", 1)[0]!.toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  return { status, headers, body: received.subarray(end + 4) };
}
