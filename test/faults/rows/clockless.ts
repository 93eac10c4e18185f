import { Client } from "pg";
import { withDeadline } from "#lib/deadline.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { post, pushUntilAccepted } from "../devices.ts";
import { type Fault, type Scene, words } from "../fault.ts";
import type { Fixture } from "../fixture.ts";
import type { JournalBatch } from "../journal.ts";

// A device without a clock: the checksums of its records cover the times that they have once they are dated.

/** More than one transaction dates. */
const batchCount = 120n;
const recordsEach = 5;

export const clocklessRows: readonly Fault[] = [
  {
    name: "kill-consumer-dating",
    title: "SIGKILL of a consumer while it dates the records of a device that learned the time",
    runsFull: 20,
    async inject(scene) {
      const { fixture, prefix, journal, secrets, random, fleet } = scene;
      const place = { deviceId: `${prefix}clockless`, sessionId: "boot-1" };
      const bootedMicros = BigInt(Date.now() - 2 * 3_600_000) * 1_000n;
      const send = async (sequence: bigint, isTimed: boolean) => {
        const records = Array.from({ length: recordsEach }, (_, index) => {
          const uptimeMicros = sequence * 1_000_000n + BigInt(index);
          const setting = { ...place, sequence: String(sequence), index };
          return secrets.make(setting, bootedMicros + uptimeMicros, { uptimeMicros, isTimed });
        });
        const batch: JournalBatch = journal.open({ ...place, sequence, records });
        const sender = { journal, random, tally: fleet.tally, signal: AbortSignal.timeout(60_000) };
        await pushUntilAccepted(sender, batch, (request) =>
          post(`http://${fixture.hops.deviceHttp.address}`, request),
        );
      };
      for (let sequence = 1n; sequence <= batchCount; sequence++) await send(sequence, false);
      const victim = killWhoDates(scene);
      await send(batchCount + 1n, true);
      const index = await withDeadline("a consumer to date records", 60_000, victim);
      await fixture.system.consumers[index]!.start();
      await waitFor(
        "every record to be dated",
        async () => (await countDated(fixture, place.deviceId)).left === 0,
      );
      return async () => words((await countDated(fixture, place.deviceId)).dated, "records dated anew");
    },
  },
];

/** Kills the first consumer that is about to forget the batches it dated; resolves with its index. */
function killWhoDates({ fixture }: Scene): Promise<number> {
  const killed = Promise.withResolvers<number>();
  const hops = fixture.hops.consumersPostgres;
  let victim: number | undefined;
  for (const [index, hop] of hops.entries()) {
    hop.tamper(async (piece) => {
      const isMoment =
        piece.direction === "up" && piece.bytes.includes("delete from undated_batches where batch_id = any");
      if (victim === undefined && isMoment) {
        victim = index;
        await fixture.system.consumers[index]!.kill();
        for (const each of hops) each.tamper(undefined);
        hop.cutAll();
        killed.resolve(index);
      } else if (victim !== index) {
        await piece.pass(piece.bytes);
      }
    });
  }
  return killed.promise;
}

async function countDated({ postgres }: Fixture, deviceId: string): Promise<{ left: number; dated: number }> {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  try {
    const { rows } = await client.query<{ left: number; dated: number }>(
      `select
         (select count(*) from undated_batches join devices on key = device_key where device_id = $1)::int as left,
         (select count(*) from records join batches on batches.id = batch_id join devices on key = device_key
           where device_id = $1 and flags >> 1 = 1)::int as dated`,
      [deviceId],
    );
    return rows[0]!;
  } finally {
    await client.end();
  }
}
