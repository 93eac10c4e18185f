import { createLogger } from "#lib/logger.ts";
import { readConfigOrExit } from "#lib/program.ts";
import { readConfig } from "./config.ts";
import { migrateToLatest } from "./migrate.ts";

const config = readConfigOrExit(() => readConfig(process.env));
const logger = createLogger("migrate", config.LOG_LEVEL);
try {
  logger.info(await migrateToLatest(config.DATABASE_URL), "migrated");
} catch (error) {
  logger.fatal({ err: error }, "could not migrate");
  process.exitCode = 1;
}
