import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileLock } from "#lib/file-lock.ts";

/** Thrown when another process holds the folder; `pid` is that process, NaN when it is not known. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";
  readonly pid: number;

  constructor(pid: number) {
    super(
      Number.isNaN(pid)
        ? "Fleetlog already runs in this folder. Stop it with Ctrl-C there."
        : `Fleetlog already runs in this folder, as process ${pid}. Stop it with Ctrl-C there, or: kill ${pid}`,
    );
    this.pid = pid;
  }
}

/** Holds `folder` for this process; the kernel frees it however the process ends. Throws {@link FolderInUseError}. */
export function lockFolder(folder: string): Disposable {
  const pidFile = join(folder, "supervisor.pid");
  const lock = FileLock.acquire(join(folder, "supervisor.lock"));
  if (lock === undefined) throw new FolderInUseError(readPid(pidFile));
  writeFileSync(pidFile, String(process.pid), { mode: 0o600 });
  return lock;
}

/** The pid is for people only: the lock decides. */
function readPid(pidFile: string): number {
  try {
    return Number.parseInt(readFileSync(pidFile, "utf8"), 10);
  } catch {
    return Number.NaN; // its owner has the lock and is about to write it
  }
}
