import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's folder. */
export const projectFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** The state of `npm start`; ignored by git. */
export const stateFolder = join(projectFolder, ".fleetlog");

/** Programs fetched without installing; shared by `npm start` and `npm test`. */
export const binariesFolder = join(stateFolder, "binaries");

/**
 * Replaces `folder` when another user must reach it and it is below a closed home such as /root. Only
 * root needs that, so it is root's place for data: files in /var/tmp are removed after some weeks.
 */
export function openFolder(folder: string): string {
  const name = createHash("sha256").update(folder).digest("hex").slice(0, 12);
  return join("/var/lib", `fleetlog-${name}`);
}

/** Advice for unusable data; following it loses nothing. */
export const keepData = "Restore it from a backup, or start with another folder: FLEETLOG_FOLDER=… npm start";
