import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's folder. */
export const projectFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** What `npm start` keeps; ignored by git. */
export const stateFolder = join(projectFolder, ".fleetlog");

/** Programs fetched without installing; shared by `npm start` and `npm test`. */
export const partsFolder = join(stateFolder, "parts");

/** Where things go that another user must reach when the project is below a closed home such as /root. */
export const openFolder = join(
  "/var/tmp",
  `fleetlog-${createHash("sha256").update(projectFolder).digest("hex").slice(0, 12)}`,
);
