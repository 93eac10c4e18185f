import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below the range from which systems take ports for connections and for listeners that ask for any (RFC 6335, Linux). */
const portRange = { first: 20_000, end: 32_768 } as const;
const triesMax = 100;

/**
 * A TCP port that is free now, for programs that cannot choose one themselves or that stop and start again: no connection
 * gets it meanwhile, and no listener that asks for any port.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = randomInt(portRange.first, portRange.end);
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${triesMax} ports from ${portRange.first} to ${portRange.end - 1} is free`);
}

/** Whether a program could listen on this loopback port now. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isListening = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (isListening) await new Promise<void>((resolve) => server.close(() => resolve()));
  return isListening;
}

/** Runs `start` with a free port, and with another one if a process took it in between. */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (attempt === 3 || !/address already in use/i.test(String(error))) throw error;
    }
  }
}
