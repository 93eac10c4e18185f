import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readFrame } from "#client/spool/frames.ts";
import { filesByRun } from "#client/spool/load-run.ts";

/** Whether a batch was ever written into the spool as a whole: it is there, or the mark that it is settled. */
export function hasBatch(folder: string, sessionId: string, sequence: bigint): boolean {
  const files = [...filesByRun(folder).values()].flat();
  return files.some((name) => {
    const bytes = readFileSync(join(folder, name));
    let isOfSession = false;
    for (let next = readFrame(bytes, 0); next !== undefined; next = readFrame(bytes, next.end)) {
      const { frame } = next;
      if (frame.kind === "session") isOfSession = frame.sessionId === sessionId;
      else if (isOfSession && frame.kind !== "written" && frame.sequence === sequence) return true;
    }
    return false;
  });
}
