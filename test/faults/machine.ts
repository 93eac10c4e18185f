import { spawnSync } from "node:child_process";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import { Client } from "pg";
import { findBinary } from "#dev/binaries.ts";
import { projectFolder } from "#dev/folders.ts";
import type { Fixture } from "./fixture.ts";

/** Where and with what a page was made, a line each. */
export async function heading(
  fixture: Fixture,
  {
    commits,
    command,
    seed,
  }: { readonly commits: readonly string[]; readonly command: string; readonly seed: number },
): Promise<readonly string[]> {
  const memory = Math.round(totalmem() / 2 ** 30);
  const client = new Client({ connectionString: fixture.postgres.url });
  await client.connect();
  const { rows } = await client.query<{ server_version: string }>("show server_version");
  await client.end();
  const redis = /redis_version:(\S+)/.exec(await fixture.redisAdmin.info("server"))?.[1];
  const { command: nginx, env } = await findBinary("nginx");
  const version = spawnSync(nginx, ["-v"], { encoding: "utf8", env: { ...process.env, ...env } }).stderr;
  return [
    `Machine: ${availableParallelism()} × ${cpus()[0]?.model.trim()}, ${memory} GiB, ${type()} ${release()}`,
    `Node ${process.versions.node}, PostgreSQL ${rows[0]?.server_version}, Redis ${redis}, Nginx ${/[\d.]+/.exec(version)?.[0]}`,
    `Commit ${commits.join(", ")}, ${new Date().toISOString().slice(0, 10)}`,
    `Command: \`${command}\`, seed ${seed}`,
  ];
}

/** Of the working tree; "+" when it has changes. */
export function commit(): string {
  return `${git("rev-parse", "--short", "HEAD") || "unknown"}${git("status", "--short", "-uno") ? "+" : ""}`;
}

function git(...args: readonly string[]): string {
  return spawnSync("git", args, { cwd: projectFolder, encoding: "utf8" }).stdout.trim();
}
