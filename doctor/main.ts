import { createLogger } from "#lib/logger.ts";
import { readConfigOrExit } from "#lib/program.ts";
import { createDatabase, createPool } from "#postgres/pool.ts";
import { commandConnection, openRedis, untilFirstTry } from "#stream/connection.ts";
import { readConfig } from "./config.ts";
import { examine } from "./examine.ts";
import { readOptions } from "./options.ts";
import { jsonReport, textReport, toExitCode } from "./report.ts";

// `node doctor/main.ts [--json]`: checks everything once, prints problems and their fixes, and exits with code 0 or 1.

const { json } = readOptions();
const config = readConfigOrExit(() => readConfig(process.env));
const logger = createLogger("doctor", "silent"); // failures are findings
const pool = createPool(
  {
    databaseUrl: config.databaseUrl,
    applicationName: "fleetlog-doctor",
    connectionsMax: 1,
    statementTimeoutMs: 5_000,
    lockTimeoutMs: 2_000,
    connectTimeoutMs: 5_000,
  },
  logger,
);
const redis = openRedis(config.redisUrls, commandConnection);
redis.on("error", () => {}); // and this one too
await untilFirstTry(redis);
const findings = await examine(config, { db: createDatabase(pool), redis });
process.exitCode = toExitCode(findings);
process.stdout.write(json ? jsonReport(findings) : textReport(findings), () => process.exit());
