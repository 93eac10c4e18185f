import { spawnSync } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { projectFolder } from "#dev/folders.ts";

/** The machine, versions and commit in one line, for the head of a page. */
export function machineLine(): string {
  const processor = cpus()[0]?.model ?? "unknown processor";
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${processor}, ${memory} GiB; Node ${process.version}; commit ${commit()}`;
}

function commit(): string {
  const { stdout } = spawnSync("git", ["describe", "--always", "--dirty"], {
    encoding: "utf8",
    cwd: projectFolder,
  });
  return stdout?.trim() || "unknown";
}
