import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JsonValue } from "@bufbuild/protobuf";
import { openPool } from "../testing/open-pool.ts";
import { seed } from "../testing/seed.ts";
import { startWithTwoHosts } from "../testing/two-hosts.ts";
import { hasAttribute, mergeAttributes, parseAttributes } from "./attributes.ts";

describe("the value of a condition means", () => {
  const cases: [value: string, isMeant: JsonValue[], isNot: JsonValue[]][] = [
    ["v", ["v"], ["V", "", null]],
    ["", [""], [null, false, 0]],
    ["21.5", ["21.5", 21.5], ["21.50", 21]],
    ["1.0", ["1.0", 1], ["1", true]],
    ["1e2", ["1e2", 100], ["100"]],
    ["-0", ["-0", 0], ["0"]],
    ["01", ["01"], [1]],
    [" 1", [" 1"], [1]],
    ["1e400", ["1e400"], [Number.MAX_VALUE]],
    ["true", ["true", true], [1, "True"]],
    ["null", ["null", null], ["", false]],
    ["9007199254740993", ["9007199254740993"], [9007199254740991]],
    ["1e300", ["1e300", 1e300], []],
  ];
  for (const [value, meant, not] of cases) {
    test(`${JSON.stringify(value)}: a text as it is, a number, true, false or null by its value`, () => {
      for (const found of meant)
        assert.ok(hasAttribute({ a: found }, { name: "a", value }), JSON.stringify(found));
      for (const found of not)
        assert.ok(!hasAttribute({ a: found }, { name: "a", value }), JSON.stringify(found));
    });
  }

  test("nothing, when it is not set: the attribute exists, also as null, and not as a part of every object", () => {
    assert.ok(hasAttribute({ a: null }, { name: "a", value: undefined }));
    assert.ok(!hasAttribute({ a: 1 }, { name: "toString", value: undefined }));
    assert.ok(!hasAttribute({ a: 1 }, { name: "__proto__", value: undefined }));
  });
});

test("an integer beyond 2^53 is read as the text of its digits, a larger number as a number", () => {
  assert.deepEqual(
    parseAttributes(
      '{"a":9007199254740993,"b":-9223372036854775808,"c":9007199254740991,"d":1' + "0".repeat(30) + "}",
    ),
    { a: "9007199254740993", b: "-9223372036854775808", c: 9007199254740991, d: 1e30 },
  );
  assert.deepEqual(parseAttributes('["a\\\\",9007199254740993,"__proto__",1.50]'), {
    "a\\": "9007199254740993",
    ["__proto__"]: 1.5,
  });
});

test("a record's attribute replaces that of its batch, of any name", () => {
  const merged = mergeAttributes({ a: 1, b: "batch", ["__proto__"]: "batch" }, { b: null, c: true });
  assert.deepEqual(Object.entries(merged), [
    ["a", 1],
    ["b", null],
    ["__proto__", "batch"],
    ["c", true],
  ]);
});

test("a page of records with large batch attributes ends at its size", async () => {
  await using gateway = await startWithTwoHosts();
  const receivedMicros = 1_767_300_000_000_000n;
  const attributes = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`n${n}`, "x".repeat(8000)]));
  const records = Array.from({ length: 100 }, (_, n) => ({ timeMicros: receivedMicros + BigInt(n) }));
  await gateway.seed([{ deviceId: "large", receivedMicros, attributes, records }]);
  const { status, body } = await gateway.get("/v1/logs?device_id=large");
  assert.equal(status, 200);
  assert.ok(body.logs.length >= 8 && body.logs.length <= 10, `${body.logs.length} records of 480 kB`);
  assert.notEqual(body.nextPageToken, "");
  const rest = await gateway.get(`/v1/logs?device_id=large&page_token=${body.nextPageToken}`);
  assert.notDeepEqual(rest.body.logs[0], body.logs[0]);
});

test("entries, their filters and the suggested values have the attributes of record and batch, with their types", async () => {
  await using gateway = await startWithTwoHosts();
  const receivedMicros = 1_767_300_000_000_000n;
  const pool = openPool(gateway.databaseUrl);
  await seed(pool, [
    {
      deviceId: "typed",
      receivedMicros,
      attributes: { firmware: "2.1", unit: 7, ok: true },
      records: [
        { timeMicros: receivedMicros, attributes: { temp: 21.5, unit: "7" } },
        { timeMicros: receivedMicros + 1n, attributes: { ok: null } },
        { timeMicros: receivedMicros + 2n },
      ],
    },
  ]);
  await pool.query(
    `update record_batches set attributes[1] = attributes[1]::jsonb || '{"big": 9007199254740993}'
    where attributes[1]::jsonb ? 'temp'`,
  );
  await pool.end();
  const list = async (query: string) => {
    const { body } = await gateway.get(`/v1/logs?device_id=typed&oldest_first=true&${query}`);
    return body.logs.map((log) => log.attributes);
  };
  const [first, second, third] = await list("");
  assert.deepEqual(first, { firmware: "2.1", unit: "7", ok: true, temp: 21.5, big: "9007199254740993" });
  assert.deepEqual(second, { firmware: "2.1", unit: 7, ok: null });
  assert.deepEqual(third, { firmware: "2.1", unit: 7, ok: true });
  for (const [query, wanted] of [
    ["attributes=firmware", [first, second, third]],
    ["attributes=firmware=2.10", []],
    ["attributes=temp=21.50", [first]],
    ["attributes=unit=7", [first, second, third]],
    ["attributes=unit=7.0", [second, third]],
    ["attributes=ok=true", [first, third]],
    ["attributes=ok=null", [second]],
    ["attributes=big=9007199254740993", [first]],
    ["excluded_attributes=ok=true&attributes=unit=7", [second]],
    ["excluded_attributes=temp", [second, third]],
  ] as const) {
    assert.deepEqual(await list(query), wanted, query);
  }
  const range = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-03T00:00:00Z&device_ids=typed";
  const values = async (query: string) => {
    const { body } = await gateway.get(`/v1/field-values?${query}&${range}`);
    return (body["values"] as { value: string; recordCount: string }[]).map(
      ({ value, recordCount }) => `${value} ${recordCount}`,
    );
  };
  assert.deepEqual(await values("field=ATTRIBUTE_NAME"), ["firmware 3", "ok 3", "unit 3", "big 1", "temp 1"]);
  assert.deepEqual(await values("field=ATTRIBUTE&attribute=unit"), ["7 3"]);
  assert.deepEqual(await values("field=ATTRIBUTE&attribute=ok"), ["true 2"]);
});
