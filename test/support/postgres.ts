import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";

/** Set by the global setup of `npm test`: the database that holds the migrated schema and nothing else. */
export const templateVariable = "FLEETLOG_TEST_TEMPLATE_URL";

/** The database at `databaseUrl` by the role of gateways, which only reads; the global setup has made it. */
export function toGatewayUrl(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.username = "fleetlog_gateway";
  url.password = "reads";
  return url.href;
}

export interface TestDatabase {
  readonly url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A fresh, migrated, empty database on the PostgreSQL of this test run; removed with its connections at the end. */
export function createDatabase(): Promise<TestDatabase> {
  return create(new URL(templateUrl()).pathname.slice(1));
}

/** As {@link createDatabase}, without any table. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return create("template0");
}

async function create(template: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  await administer((client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  const url = new URL(templateUrl());
  url.pathname = `/${name}`;
  return { url: url.href, [Symbol.asyncDispose]: () => administer((client) => drop(client, name)) };
}

/** Connections that are just being closed may finish that, for being terminated would be an error in their process. */
async function drop(client: Client, name: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < 1_000; waitedMs += 20) {
    const { rowCount } = await client.query("SELECT FROM pg_stat_activity WHERE datname = $1", [name]);
    if (rowCount === 0) break;
    await sleep(20);
  }
  await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
}

async function administer(work: (client: Client) => Promise<unknown>): Promise<void> {
  const url = new URL(templateUrl());
  url.pathname = "/postgres";
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function templateUrl(): string {
  const url = process.env[templateVariable];
  if (!url) throw new Error("there is no PostgreSQL: run tests with npm test -- FILE");
  return url;
}
