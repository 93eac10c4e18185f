import { randomBytes } from "node:crypto";
import { Client } from "pg";

/** Set by the global setup of `npm test`: the database that holds the migrated schema and nothing else. */
export const templateVariable = "FLEETLOG_TEST_TEMPLATE_URL";

export interface TestDatabase {
  readonly url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A fresh, migrated, empty database on the PostgreSQL of this test run; removed with its connections at the end. */
export async function createDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  const template = databaseName(templateUrl());
  await administer(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = new URL(templateUrl());
  url.pathname = `/${name}`;
  return {
    url: url.href,
    [Symbol.asyncDispose]: () => administer(`DROP DATABASE ${name} WITH (FORCE)`),
  };
}

/** As {@link createDatabase}, without any table. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  await administer(`CREATE DATABASE ${name} TEMPLATE template0`);
  const url = new URL(templateUrl());
  url.pathname = `/${name}`;
  return { url: url.href, [Symbol.asyncDispose]: () => administer(`DROP DATABASE ${name} WITH (FORCE)`) };
}

async function administer(sql: string): Promise<void> {
  const url = new URL(templateUrl());
  url.pathname = "/postgres";
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function templateUrl(): string {
  const url = process.env[templateVariable];
  if (!url) throw new Error("there is no PostgreSQL: run tests with npm test -- FILE");
  return url;
}

function databaseName(url: string): string {
  return new URL(url).pathname.slice(1);
}
