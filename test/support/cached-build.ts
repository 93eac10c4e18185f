import { hash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { projectFolder, stateFolder } from "#dev/folders.ts";

/**
 * A folder under `.fleetlog/clients/` that `build` has filled, once for the same sources (files and folders, from the
 * project's) and the same `tools`. Of several that build at once, one wins. Older ones of the name are removed.
 */
export async function cachedBuild(
  name: string,
  sources: readonly string[],
  tools: string,
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const key = toKey(sources, tools);
  const clients = join(stateFolder, "clients");
  const folder = join(clients, `${name}-${key}`);
  if (existsSync(folder)) return folder;
  await mkdir(clients, { recursive: true });
  const attempt = await mkdtemp(join(clients, `.${name}-`));
  try {
    await build(attempt);
    const older = (await readdir(clients)).filter(
      (entry) => entry.slice(0, -key.length) === `${name}-` && entry !== `${name}-${key}`,
    );
    await Promise.all(older.map((entry) => rm(join(clients, entry), { recursive: true, force: true })));
    await rename(attempt, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(attempt, { recursive: true, force: true });
  }
  return folder;
}

/** The folder that {@link cachedBuild} would return at once; undefined: it would have to build first. */
export function cachedFolder(name: string, sources: readonly string[], tools: string): string | undefined {
  const folder = join(stateFolder, "clients", `${name}-${toKey(sources, tools)}`);
  return existsSync(folder) ? folder : undefined;
}

function toKey(sources: readonly string[], tools: string): string {
  return hash("sha256", [tools, ...sources.flatMap(contents)].join("\0")).slice(0, 16);
}

/** Path and content of a file, or of all files in a folder. */
function contents(source: string): string[] {
  const path = join(projectFolder, source);
  if (statSync(path).isFile()) return [source, readFileSync(path, "utf8")];
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files
    .map(({ parentPath, name }) => join(parentPath, name))
    .toSorted()
    .flatMap((file) => [file.slice(path.length), readFileSync(file, "utf8")]);
}
