import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { projectFolder } from "#dev/folders.ts";

/** Keeps a page as bench/results/<day>-<name>.md; a second one of the same day replaces it. */
export async function writeResults(name: string, page: string): Promise<void> {
  const folder = join(projectFolder, "bench/results");
  const day = new Date().toISOString().slice(0, 10);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${day}-${name}.md`), page);
}
