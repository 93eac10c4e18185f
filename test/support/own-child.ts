import { type ChildProcess, spawn } from "node:child_process";
import { waitFor } from "./wait-for.ts";

/**
 * Ties a child with a piped stderr to this process. A test file that ends by an error outside of its tests does no
 * clean-up, nor calls "exit" listeners: a small shell watches a pipe to us and ends the child. A program that stayed
 * behind with an inherited stderr would keep `npm test` waiting forever.
 */
export function tieToProcess(child: ChildProcess): void {
  child.stderr?.pipe(process.stderr, { end: false });
  const watchdog = spawn("/bin/sh", ["-c", 'read -r released || kill -s KILL "$0"', String(child.pid)], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watchdog.stdin.on("error", () => {}); // it was ended before it was released
  watchdog.unref();
  (watchdog.stdin as unknown as { unref?: () => void }).unref?.();
  child.once("exit", () => watchdog.stdin.end("released\n"));
}

/** Returns the first value that `find` returns. Throws immediately when the child exits before. */
export async function waitForChild<T extends object>(
  child: ChildProcess,
  what: string,
  find: () => T | undefined,
): Promise<T> {
  // Its last words may come after its exit, and not after the end of its output.
  const seen = await waitFor(what, () => find() ?? (child.stdout?.readableEnded && "ended"));
  if (seen === "ended") throw new Error(`ended with ${child.exitCode ?? child.signalCode} before ${what}`);
  return seen;
}
