import type { ServerHttp2Session } from "node:http2";

const intervalMs = 60_000;
const answerWithinMs = 20_000;

/** Finds a connection whose other end is gone without a word; Nginx and clients answer these pings. */
export function keepAlive(session: ServerHttp2Session): void {
  let late: NodeJS.Timeout | undefined;
  const interval = setInterval(() => {
    const isSent = session.ping(() => clearTimeout(late));
    if (isSent) late = setTimeout(() => session.destroy(), answerWithinMs);
  }, intervalMs);
  session.on("close", () => {
    clearInterval(interval);
    clearTimeout(late);
  });
}
