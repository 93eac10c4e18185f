import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { residentMiB } from "#bench/ratios/resident-memory.ts";

/*
 * How much memory a process holds once it has let go of what it does not need. Our programs are made to collect its
 * garbage, over the inspector it listens with (`--inspect`), between looks at its resident set; the lowest look counts.
 */

const polls = 6;
const pollPauseMs = 100;
const inspectorTimeoutMs = 30_000;

/** Resident MiB of a process. `inspectorUrl`: undefined for what is not Node. */
export async function settledMiB(pid: number, inspectorUrl: string | undefined): Promise<number> {
  let lowest = Number.POSITIVE_INFINITY;
  for (let poll = 0; poll < polls; poll += 1) {
    if (inspectorUrl !== undefined && poll % 3 === 0) await collectGarbage(inspectorUrl);
    lowest = Math.min(lowest, await residentMiB(pid));
    await sleep(pollPauseMs);
  }
  return lowest;
}

async function collectGarbage(inspectorUrl: string): Promise<void> {
  const socket = new WebSocket(inspectorUrl);
  const signal = AbortSignal.timeout(inspectorTimeoutMs);
  try {
    await once(socket, "open", { signal });
    socket.send(JSON.stringify({ id: 1, method: "HeapProfiler.collectGarbage" }));
    await once(socket, "message", { signal });
  } finally {
    socket.close();
  }
}
