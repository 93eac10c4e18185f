import { spawnSync } from "node:child_process";
import { readFileSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartError } from "./child.ts";
import { processIdentity } from "./process-identity.ts";

/**
 * PostgreSQL does not start while any process with the pid in `data`/postmaster.pid runs, and after a
 * crash that pid may belong to another program. Then this writes our own pid, its parent's, which
 * PostgreSQL never takes for a postmaster. The file stays, because it also identifies the shared memory,
 * which shows sessions of the killed server that still run. Throws when a PostgreSQL does run there.
 */
export function disownPostmaster(data: string): void {
  const file = join(data, "postmaster.pid");
  let lines: string[];
  try {
    lines = readFileSync(file, "utf8").split("\n");
  } catch {
    return; // it was stopped, or never ran
  }
  const pid = Math.abs(Number(lines[0]));
  if (pid === 0 || Number.isNaN(pid) || processIdentity(pid) === undefined) return;
  if (isPostmasterIn(pid, data)) {
    throw new StartError(
      `Another PostgreSQL is running in ${data}, as process ${pid}. Stop it: kill -INT ${pid}`,
    );
  }
  writeFileSync(file, [String(process.pid), ...lines.slice(1)].join("\n"));
}

/** A postmaster works in its data folder. */
function isPostmasterIn(pid: number, data: string): boolean {
  if (process.platform === "linux") {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(data);
    } catch {
      return false; // another user's: we may inspect ours
    }
  }
  const { stdout } = spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.includes("postgres") && stdout.includes(data);
}
