import { Client } from "pg";
import { ReadDatabase, type ReadDatabaseOptions } from "../query/read-database.ts";

/** One connection; `destroy()` ends it. */
export async function openReadDatabase(url: string, log?: ReadDatabaseOptions["log"]): Promise<ReadDatabase> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return new ReadDatabase(client, { log, end: () => client.end() });
}
