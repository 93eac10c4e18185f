import assert from "node:assert/strict";
import { test } from "node:test";
import { digest } from "#batch/digest.ts";
import { scan } from "#batch/scan.ts";
import { attribute, encodeBatch, encodeRecord } from "#batch/testing/wire.ts";
import { decodeDelivery, isBatch } from "../received-batch.ts";
import {
  createFixture,
  createTransaction,
  type Fixture,
  openTestPool,
  receivedAtMicros,
} from "../testing/fixture.ts";

const odd = "\\\",{}'\n";

test("stores the attributes of a batch once, each with its type; the view adds those of the record, which win", async () => {
  await using fixture = await createFixture();
  const own = encodeRecord({
    message: "own",
    attributes: [
      ["boot", "own"],
      ["n", 2.5],
    ],
  });
  await store(
    fixture,
    Buffer.concat([
      encodeBatch({ records: [own, encodeRecord({ message: "none" })] }),
      attribute("boot", "brownout", 6),
      attribute("count", 2n ** 63n - 1n, 6),
      attribute("least", 5e-324, 6),
      attribute("nan", Number.NaN, 6),
      attribute("nothing", null, 6),
      attribute("ok", true, 6),
      attribute(odd, odd, 6),
    ]),
  );
  const text = JSON.stringify(odd);
  const shared = `"count":9223372036854775807,"least":5e-324,"nan":"NaN","nothing":null,"ok":true,${text}:${text}`;
  const expected = [`{${shared},"boot":"own","n":2.5}`, `{${shared},"boot":"brownout"}`];
  const found = await fixture.rows("select attributes::text from logs order by idx");
  const wanted = await fixture.rows(
    expected.map((json) => `select $json$${json}$json$::jsonb::text as attributes`).join(" union all "),
  );
  assert.deepEqual(found, wanted);
  assert.deepEqual(await fixture.rows("select attributes is null as none from records order by idx"), [
    { none: false },
    { none: true },
  ]);
});

test("marks the records whose texts were cut inside a character, those of a batch with such an attribute too", async () => {
  await using fixture = await createFixture();
  const cut = Buffer.from("ü").subarray(1);
  const records = [
    encodeRecord({ message: Buffer.concat([cut, cut]), timeUnixNano: 1n }),
    encodeRecord({ message: "m" }),
  ];
  await store(fixture, encodeBatch({ records }));
  await store(fixture, Buffer.concat([encodeBatch({ records, sequence: 2n }), attribute("k", cut, 6)]));
  assert.deepEqual(
    await fixture.rows(
      "select message, is_text_repaired as repaired, attributes ->> 'k' as k from logs order by sequence, idx",
    ),
    [
      { message: "\uFFFD", repaired: true, k: null },
      { message: "m", repaired: false, k: null },
      { message: "\uFFFD", repaired: true, k: "\uFFFD" },
      { message: "m", repaired: true, k: "\uFFFD" },
    ],
  );
});

test("decides about cut texts as the server of the entry did", () => {
  const batch = encodeBatch({ records: [encodeRecord({ message: Buffer.from("ü").subarray(1) })] });
  for (const rejectsCutText of [true, false]) {
    const scanned = scan(batch, { rejectsCutText });
    const { deviceId, sessionId, sequence } = scanned;
    const entry = {
      deviceId,
      sessionId,
      sequence,
      receivedAtMicros,
      rejectsCutText,
      digest: digest(scanned),
      batch,
    };
    const received = decodeDelivery({ shard: 0, id: "1-0", entry });
    assert.ok(isBatch(received));
    assert.equal(received.scanned.rejections.length, rejectsCutText ? 1 : 0);
  }
});

async function store(fixture: Fixture, batch: Buffer): Promise<void> {
  const scanned = scan(batch);
  const { deviceId, sessionId, sequence } = scanned;
  const entry = { deviceId, sessionId, sequence, receivedAtMicros, digest: digest(scanned), batch };
  const received = decodeDelivery({ shard: 0, id: "1-0", entry });
  assert.ok(isBatch(received));
  await createTransaction(openTestPool(fixture)).commit({ batches: [received], deadLetters: [] });
}
