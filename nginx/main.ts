import { rename, writeFile } from "node:fs/promises";
import { createLogger } from "#lib/logger.ts";
import { readConfigOrExit } from "#lib/program.ts";
import { readConfig } from "./config.ts";
import { renderNginx } from "./render.ts";

// Writes the nginx.conf of a container without Node to a shared volume, and exits.

const { configFile, settings } = readConfigOrExit(() => readConfig(process.env));
const logger = createLogger("nginx-config", "info");
const temporaryFile = `${configFile}.draft`;
await writeFile(temporaryFile, renderNginx(settings), { mode: 0o644 });
await rename(temporaryFile, configFile); // whole or not at all, should an Nginx be reading
logger.info({ file: configFile }, "written");
