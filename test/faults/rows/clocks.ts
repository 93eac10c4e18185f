import { Client } from "pg";
import { shiftedClock } from "#test/support/shifted-clock.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { Fault, Scene } from "../fault.ts";

// Programs of ours that live in another time: everything else goes on, and nothing is removed.

const daySeconds = 86_400;

export const clockRows: readonly Fault[] = [
  {
    name: "clock-server-behind",
    title: "An ingest server in 1979: takes nothing, the other one does",
    runsFull: 2,
    inject: (scene) => serverElsewhen(scene, -47 * 365 * daySeconds),
  },
  {
    name: "clock-server-ahead",
    title: "An ingest server two minutes ahead: takes nothing, the other one does",
    runsFull: 2,
    inject: (scene) => serverElsewhen(scene, 120),
  },
  {
    name: "clock-consumer-ahead",
    title: "A consumer 1,000 days ahead that keeps records for one: removes none",
    runsFull: 2,
    async inject({ fixture, random }) {
      const consumer = random.pick(fixture.system.consumers);
      const rounds = () => query(fixture.postgres.url, "select count(*)::int as n from retention_clock");
      await query(
        fixture.postgres.url,
        "with gone as (delete from retention_clock returning 1) select count(*)::int as n from gone",
      );
      await consumer.stop();
      // Statistics by the clocks of devices are for other rows.
      consumer.env = {
        ...shiftedClock(1_000 * daySeconds),
        RETENTION_DAYS: "1",
        STATISTICS_RETENTION_DAYS: "0",
      };
      await consumer.start();
      await waitFor("a round of retention", async () => (await rounds()) === 1);
      await consumer.stop();
      consumer.env = {};
      await consumer.start();
      return () => "a round of retention";
    },
  },
];

async function serverElsewhen({ fixture, random }: Scene, seconds: number) {
  const server = random.pick(fixture.system.servers);
  const { admin } = server.addresses;
  await server.stop();
  server.env = shiftedClock(seconds);
  const starting = server.start().catch(() => undefined); // it never is ready, and is stopped
  const reason = await waitFor("the server to say why it is not ready", async () => {
    const text = await fetch(`http://${admin}/readyz`)
      .then((answer) => answer.text())
      .catch(() => "");
    return /this server's clock is [^,]*/.exec(text)?.[0];
  });
  const stored = () => query(fixture.postgres.url, "select count(*)::int as n from batches");
  const before = await stored();
  await waitFor("the fleet to go on", async () => (await stored()) > before, 60_000);
  await server.stop();
  await starting;
  server.env = {};
  await server.start();
  return () => reason;
}

async function query(url: string, text: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return Number((await client.query<{ n: number }>(text)).rows[0]?.n);
  } finally {
    await client.end();
  }
}
