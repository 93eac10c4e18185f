import { once } from "node:events";
import type { Server } from "node:http";

/** Takes no new connection, lets what is being answered finish, and after `deadlineMs` cuts what is left. */
export async function closeServer(server: Server, deadlineMs: number): Promise<void> {
  const closed = once(server, "close");
  server.close();
  // A kept-alive connection is idle again, and in the way, after its last answer.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  const cut = setTimeout(() => server.closeAllConnections(), deadlineMs);
  try {
    await closed;
  } finally {
    clearInterval(sweep);
    clearTimeout(cut);
  }
}
