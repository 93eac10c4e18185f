import { pino } from "pino";
import { createPool } from "#postgres/pool.ts";
import { toGatewayUrl } from "#test/support/postgres.ts";
import { readSettings } from "../query/read-pool.ts";

/** A pool that may write, or one with the gateway's role, which has only the rights it needs. */
export function openPool(
  databaseUrl: string,
  { reading = false, connectionsMax = 4, timeoutMs = 5000 } = {},
) {
  return createPool(
    {
      databaseUrl: reading ? toGatewayUrl(databaseUrl) : databaseUrl,
      applicationName: reading ? "fleetlog-gateway" : "test",
      connectionsMax,
      statementTimeoutMs: reading ? timeoutMs : 60_000,
      lockTimeoutMs: 0,
      connectTimeoutMs: 2000,
      settings: reading ? readSettings : {},
    },
    pino({ level: "silent" }),
  );
}
