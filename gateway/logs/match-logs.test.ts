import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#batch/testing/random.ts";
import { createDatabase } from "#test/support/postgres.ts";
import { openPool } from "../testing/open-pool.ts";
import { bruteForce, parsePosition } from "../testing/random-logs.ts";
import { seed } from "../testing/seed.ts";
import { startGateway } from "../testing/start-gateway.ts";
import { matchLogs, toMicros } from "./entry-block.ts";
import { findLogs } from "./find-logs.ts";
import { toLogEntry } from "./log-entry.ts";
import { anySeverity, everything, type LogFilter } from "./log-filter.ts";
import { oldestFirst } from "./log-order.ts";
import { describeFilter } from "./read-log-filter.ts";

const random = seededRandom(7);
const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
const pickSome = <T>(values: readonly T[], chance: number): T[] => values.filter(() => random() < chance);

const devices = ["a", "b", "c"];
const loggers = ["", "net", "net.wifi", "Net", "storage"];
const words = [
  "link",
  "LINK",
  "Σίσυφος",
  "ΣΊΣΥΦΟΣ",
  "İstanbul",
  "istanbul",
  "straße",
  "STRASSE",
  "100%",
  "a_b",
  "\\",
  "é",
  "É",
  "300 K",
  "\u212a\u0130ck",
  "日本語",
];
const names = ["k", "K", "__proto__", "ключ"];
const values = ["", "v", "V", "1", "1.0", "true", "null", 1, 2.5, 1e300, -0.000_1, true, false, null];
const wanted = [
  ...values.filter((value) => typeof value === "string"),
  "1e0",
  "2.50",
  "1e300",
  "-1E-4",
  "false",
  "01",
  " 1",
];
const start = 1_767_225_600_000_000n;

test("finds stored records and those of a tail exactly as plain SQL does, by every condition alone and combined", async () => {
  await using database = await createDatabase();
  const pool = openPool(database.url);
  for (let n = 0; n < 60; n += 1) {
    await seed(pool, [
      {
        deviceId: pick(devices),
        sessionId: pick(["s1", "s2"]),
        receivedMicros: start + BigInt(n),
        attributes: random() < 0.5 ? randomAttributes() : undefined,
        records: Array.from({ length: 5 }, (_, index) => ({
          timeMicros: start + BigInt(n * 5 + index),
          severity: Math.floor(random() * 25),
          logger: pick(loggers),
          message: Array.from({ length: 3 }, () => pick(words)).join(pick([" ", ""])),
          attributes: randomAttributes(),
          ...(random() < 0.7 && { traceId: pick(traces) }),
        })),
      },
    ]);
  }
  await using gateway = await startGateway(database.url);
  const find = (filter: LogFilter) =>
    gateway.readPool.read("test", { client: "test", signal: AbortSignal.timeout(30_000) }, async (db) => {
      const request = { order: oldestFirst, after: undefined, pageSize: 1000 };
      return (await findLogs(db, filter, request)).logs.map(toLogEntry);
    });
  const all = await find(everything);
  assert.equal(all.length, 300);
  let found = 0;
  for (const filter of filters()) {
    const matching = all.flatMap((log) => {
      const { deviceId, sessionId, severity } = log;
      return matchLogs(filter, { deviceId, sessionId, severities: 1 << severity, logs: [log] });
    });
    const stored = await find(filter);
    const inSql = (await bruteForce(pool, filter, oldestFirst)).map(parsePosition);
    found += stored.length;
    assert.deepEqual(
      matching.map(({ time }) => time),
      stored.map(({ time }) => time),
      describeFilter(filter),
    );
    assert.deepEqual(
      stored.map(({ time }) => toMicros(time)),
      inSql.map(({ timeMicros }) => timeMicros),
      describeFilter(filter),
    );
  }
  assert.ok(found > 1000, "the filters find something");
  await pool.end();
});

const traces = ["0af7651916cd43dd8448eb211c80319c", "ff".repeat(16)];

const randomAttributes = () => Object.fromEntries(pickSome(names, 0.4).map((name) => [name, pick(values)]));
const attribute = () => ({ name: pick(names), value: pick([undefined, ...wanted]) });

function* filters(): Generator<LogFilter> {
  for (const text of words) {
    yield { ...everything, texts: [text] };
    yield { ...everything, excludedTexts: [text] };
  }
  for (let n = 0; n < 150; n += 1) {
    const deviceIds = pickSome(devices, 0.5);
    const few = random() < 0.5 ? 0.2 : 0.8;
    const may = <T>(value: T, otherwise: T): T => (random() < few ? value : otherwise);
    yield {
      deviceIds: may(deviceIds, []),
      excludedDeviceIds: may([pick(devices)], []),
      sessionId: may<string | undefined>("s1", undefined),
      traceId: may<string | undefined>(pick(traces), undefined),
      severities: may(Math.floor(random() * anySeverity), anySeverity),
      startMicros: may<bigint | undefined>(start + BigInt(Math.floor(random() * 100)), undefined),
      endMicros: may<bigint | undefined>(start + 100n + BigInt(Math.floor(random() * 200)), undefined),
      texts: may([pick(words).slice(0, 3)], []),
      excludedTexts: may([pick(words)], []),
      loggerPrefix: may(pick(loggers), ""),
      excludedLoggerPrefixes: may([pick(["net.", "storage"])], []),
      attributes: may([attribute(), attribute()].slice(Math.floor(random() * 2)), []),
      excludedAttributes: may([attribute()], []),
    };
  }
}
