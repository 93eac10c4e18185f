import type { HttpListener } from "#rpc/http-listener.ts";

/** Takes no new connection, lets what is being answered finish, and after `deadlineMs` cuts what is left. */
export async function closeListener(listener: HttpListener, deadlineMs: number): Promise<void> {
  const cut = setTimeout(() => listener.destroy(), deadlineMs);
  try {
    await listener.close();
  } finally {
    clearTimeout(cut);
  }
}
