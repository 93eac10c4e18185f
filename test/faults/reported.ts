import { Client } from "pg";
import type { Fixture } from "./fixture.ts";

export interface Reported {
  /** `device session sequence` of every batch that an incident names as lost. */
  readonly lost: ReadonlySet<string>;
  /** Of all incidents. */
  readonly kinds: ReadonlySet<string>;
}

interface LostRange {
  readonly device_id: string;
  readonly session_id: string;
  readonly first: string;
  readonly last: string;
}

/** Gives what the incidents say that came after this call. */
export async function reportedSince(fixture: Fixture): Promise<() => Promise<Reported>> {
  const [{ id: since } = { id: "0" }] = await query<{ id: string }>(
    fixture,
    "select coalesce(max(id), 0) as id from incidents where id > $1",
    "0",
  );
  return async () => {
    const rows = await query<{ kind: string; batches: LostRange[] | null }>(
      fixture,
      "select kind, details->'batches' as batches from incidents where id > $1",
      since,
    );
    const lost = new Set<string>();
    for (const { first, last, ...range } of rows.flatMap(({ batches }) => batches ?? [])) {
      for (let sequence = BigInt(first); sequence <= BigInt(last); sequence += 1n)
        lost.add(`${range.device_id} ${range.session_id} ${sequence}`);
    }
    return { lost, kinds: new Set(rows.map(({ kind }) => kind)) };
  };
}

/** How many entries PostgreSQL remembers of each shard. */
export async function positions(fixture: Fixture): Promise<readonly number[]> {
  const rows = await query<{ added: number }>(
    fixture,
    "select entries_added::int as added from stream_positions where shard >= $1 order by shard",
    "0",
  );
  return rows.map(({ added }) => added);
}

async function query<T extends object>({ postgres }: Fixture, text: string, value: string): Promise<T[]> {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  try {
    return (await client.query<T>(text, [value])).rows;
  } finally {
    await client.end();
  }
}
