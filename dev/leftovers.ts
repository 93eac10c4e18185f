import { readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StartError } from "./child.ts";
import { projectFolder } from "./folders.ts";
import { processIdentity } from "./process-identity.ts";

/**
 * A pid file holds the identity of a child (its pid and start time) and the signal that stops it. It
 * survives when we are killed. Only our own processes are ended: the one that the file identifies or,
 * when that has exited, members of its group that work in a folder of ours, such as the workers of a
 * killed Nginx.
 */

const endsWithinMs = 12_000;

export function writePidFile(pidFile: string, pid: number, stopSignal: NodeJS.Signals): void {
  writeFileSync(pidFile, `${processIdentity(pid) ?? ""}\n${stopSignal}\n`);
}

/** Ends the processes that earlier starts left in the state folder `folder`, which we have locked. */
export async function endLeftovers(folder: string): Promise<void> {
  const run = join(folder, "run");
  const ended = pidFilesIn(run).map((file) =>
    endLeftover(file.replace(/\.pid$/, ""), join(run, file), folder),
  );
  await Promise.all(ended);
}

/** Ends the process of an earlier start that the pid file identifies, and its orphans. */
export async function endLeftover(name: string, pidFile: string, folder: string): Promise<void> {
  let text: string;
  try {
    text = readFileSync(pidFile, "utf8");
  } catch {
    return; // no earlier start
  }
  const [identity = "", stopSignal = "SIGTERM"] = text.split("\n");
  const pid = Number(identity.split(" ")[0]);
  const runs = () =>
    identity !== "" && (processIdentity(pid) === identity || findOrphans(pid, folder).length > 0);
  for (const signal of [stopSignal as NodeJS.Signals, "SIGKILL"] as const) {
    if (runs()) signalGroup(pid, signal);
    for (let waitedMs = 0; runs() && waitedMs < endsWithinMs; waitedMs += 50) await sleep(50);
  }
  if (runs())
    throw new StartError(`${name} of an earlier start is still running: stop it with kill -9 -- -${pid}`);
  rmSync(pidFile, { force: true });
}

/** Sends the signal to a whole process group. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // ESRCH: gone meanwhile
  }
}

/**
 * Ends the members of a group whose leader, our child, has just exited: its pid is not reused before they
 * exit.
 */
export function endOrphans(pid: number): void {
  if (processIdentity(pid) === undefined) signalGroup(pid, "SIGKILL");
}

/** Members of the group of `pid` that work in `folder` or the project, while no process `pid` exists. Linux only. */
function findOrphans(pid: number, folder: string): readonly number[] {
  if (process.platform !== "linux" || processIdentity(pid) !== undefined) return [];
  const own = [folder, projectFolder].map((path) => realpathSync(path));
  return readdirSync("/proc")
    .map(Number)
    .filter((member) => {
      try {
        const stat = readFileSync(`/proc/${member}/stat`, "utf8");
        const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        if (state === "Z" || Number(group) !== pid) return false;
        const cwd = readlinkSync(`/proc/${member}/cwd`);
        return own.some((path) => cwd === path || cwd.startsWith(`${path}/`));
      } catch {
        return false; // no process, or another user's
      }
    });
}

function pidFilesIn(run: string): readonly string[] {
  try {
    return readdirSync(run).filter((file) => file.endsWith(".pid"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
