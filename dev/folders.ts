import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's folder. */
export const projectFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** What `npm start` keeps; ignored by git. */
export const stateFolder = join(projectFolder, ".fleetlog");

/** Programs fetched without installing; shared by `npm start` and `npm test`. */
export const binariesFolder = join(stateFolder, "binaries");

/**
 * Stands in for `folder` when that is below a closed home such as /root, and another user must reach it. Only root needs
 * that, so root's place for data it is: what lies in /var/tmp is removed after some weeks.
 */
export function openFolder(folder: string): string {
  const name = createHash("sha256").update(folder).digest("hex").slice(0, 12);
  return join("/var/lib", `fleetlog-${name}`);
}

/** What to do when data cannot be used; nothing that loses it. */
export const keepData = "Restore it from a backup, or start with another folder: FLEETLOG_FOLDER=… npm start";
