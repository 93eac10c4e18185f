import type { ServerHttp2Session } from "node:http2";

const everyMs = 60_000;

/**
 * Asks the other end of a connection again and again whether it is there; once without an answer until the next time,
 * the connection ends. Nginx and clients answer these pings. It is also the only end of a connection on which a GOAWAY
 * was followed by a frame that breaks the protocol: Node stops reading it and never notices that it is closed.
 */
export function keepAlive(session: ServerHttp2Session, intervalMs = everyMs): void {
  let isAnswered = true;
  const interval = setInterval(() => {
    if (!isAnswered) {
      session.destroy();
      return;
    }
    isAnswered = false;
    session.ping((error) => {
      if (error === null) isAnswered = true; // otherwise it could not even be sent
    });
  }, intervalMs);
  session.on("close", () => clearInterval(interval));
}
