import { createLogger } from "#lib/logger.ts";
import { readConfigOrExit } from "#lib/program.ts";
import { readConfig } from "./config.ts";
import { migrateToLatest } from "./migrate.ts";
import { ensureReader, parseRole } from "./reader-role.ts";

const config = readConfigOrExit(() => readConfig(process.env));
const logger = createLogger("migrate", config.LOG_LEVEL);
try {
  logger.info(await migrateToLatest(config.DATABASE_URL), "migrated");
  if (config.GATEWAY_DATABASE_URL) {
    const role = parseRole(config.GATEWAY_DATABASE_URL);
    await ensureReader(config.DATABASE_URL, role);
    logger.info({ role: role.name }, "granted read access to the gateway's role");
  }
} catch (error) {
  logger.fatal({ err: error }, "could not migrate");
  process.exitCode = 1;
}
