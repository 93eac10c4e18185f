import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { seededRandom } from "#batch/testing/random.ts";
import { createAttributes } from "#proto/attributes.ts";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import {
  type AttributeCondition,
  AttributeConditionSchema,
  CountMethod,
  Field,
  type LogEntry,
  LogFilterSchema,
  QueryService,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import { timestampFromMicros } from "../fields/time.ts";
import { queryParameters } from "../rest/query-parameters.ts";
import { restRoutes } from "../rest/routes.ts";
import { follow } from "../tail/testing/follow.ts";
import { makeEntry, startTailedGateway } from "../tail/testing/tailed-gateway.ts";
import { openPool } from "../testing/open-pool.ts";
import { seed } from "../testing/seed.ts";
import { isCounted, isExpensive } from "./log-filter.ts";
import { type LogFilterFields, readLogFilter } from "./read-log-filter.ts";

/*
 * Every condition of LogFilter, by its descriptor, means the same wherever it is handled. A new condition does
 * not compile until the two tables here give its values and its meaning.
 */

type Conditions = Partial<LogFilterFields>;

type Attributes = Readonly<Record<string, string | number | boolean | null>>;

interface TestLog {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: number;
  readonly index: number;
  readonly timeMicros: bigint;
  readonly severity: number;
  readonly logger: string;
  readonly message: string;
  readonly attributes: Attributes;
  readonly batchAttributes: Attributes;
  /** In hex; "": none. */
  readonly traceId: string;
}

const random = seededRandom(42);
const upTo = (limit: number) => Math.floor(random() * limit);
const pick = <T>(values: readonly T[]): T => values[upTo(values.length)] as T;
const pickSome = <T>(values: readonly T[]): T[] => [pick(values), ...values.filter(() => random() < 0.2)];

const devices = ["pump-1", "pump-2", "valve", "fan"];
const sessions = ["boot-1", "boot-2"];
const loggers = ["", "net", "net.wifi", "net.eth", "disk"];
const words = ["link", "LINK", "down", "Ärger", "100%", "a_b", "eth0"];
const traces = ["0af7651916cd43dd8448eb211c80319c", "ab".repeat(16)];
const attributeNames = ["unit", "a=b", "zone\\1"];
const severity = () => upTo(25) as Severity;
const attribute = () =>
  create(AttributeConditionSchema, {
    name: pick(attributeNames),
    ...(random() < 0.7 && { value: pick(["1", "1.0", "2", "", "true", "-0.5", "null"]) }),
  });

/** A value of each condition, with the conditions it depends on. */
const samples: { readonly [Name in keyof LogFilterFields]: () => Conditions & Pick<LogFilterFields, Name> } =
  {
    deviceId: () => ({ deviceId: pick(devices) }),
    deviceIds: () => ({ deviceIds: pickSome(devices) }),
    excludedDeviceIds: () => ({ excludedDeviceIds: pickSome(devices) }),
    sessionId: () => ({ sessionId: pick(sessions), deviceIds: [pick(devices)] }),
    minSeverity: () => ({ minSeverity: (1 + upTo(24)) as Severity }),
    severities: () => ({ severities: [severity(), severity(), severity()] }),
    text: () => ({ text: pick(["link d", "LINK", "ärger", "0%", "a_b", "h0 "]) }),
    words: () => ({ words: pickSome(words).join(" ") }),
    excludedText: () => ({ excludedText: pick(words) }),
    loggerPrefix: () => ({ loggerPrefix: pick(["net", "net.", "d"]) }),
    excludedLoggerPrefixes: () => ({ excludedLoggerPrefixes: pickSome(["net.", "disk", "net"]) }),
    attributes: () => ({ attributes: [attribute()] }),
    traceId: () => ({ traceId: pick([...traces, "AB".repeat(16)]) }),
    excludedAttributes: () => ({ excludedAttributes: [attribute(), attribute()] }),
  };

const contains = (log: TestLog, text: string) => log.message.toLowerCase().includes(text.toLowerCase());
const meanings: Attributes = { "1": 1, "1.0": 1, "2": 2, true: true, "-0.5": -0.5, null: null };
const has = (log: TestLog, { name, value }: AttributeCondition) => {
  const merged = { ...log.batchAttributes, ...log.attributes };
  if (value === undefined) return name in merged;
  return (
    name in merged && (merged[name] === value || (value in meanings && merged[name] === meanings[value]))
  );
};

/** The meaning of each condition, stated independently. */
const isMet: {
  readonly [Name in keyof LogFilterFields]: (value: LogFilterFields[Name], log: TestLog) => boolean;
} = {
  deviceId: (id, { deviceId }) => id === deviceId,
  deviceIds: (ids, { deviceId }) => ids.includes(deviceId),
  excludedDeviceIds: (ids, { deviceId }) => !ids.includes(deviceId),
  sessionId: (id, { sessionId }) => id === sessionId,
  minSeverity: (least, log) => log.severity >= least,
  severities: (wanted, log) => wanted.includes(log.severity as Severity),
  text: (text, log) => contains(log, text),
  words: (words, log) => words.split(" ").every((word) => contains(log, word)),
  excludedText: (text, log) => !contains(log, text),
  loggerPrefix: (prefix, { logger }) => logger.startsWith(prefix),
  excludedLoggerPrefixes: (prefixes, { logger }) => !prefixes.some((prefix) => logger.startsWith(prefix)),
  attributes: (wanted, log) => wanted.every((one) => has(log, one)),
  traceId: (id, { traceId }) => id.toLowerCase() === traceId,
  excludedAttributes: (unwanted, log) => !unwanted.some((one) => has(log, one)),
};

const names = LogFilterSchema.fields.map(({ localName }) => localName as keyof LogFilterFields);
const minute = 60_000_000n;
const start = 1_767_225_600_000_000n;
const end = start + 60n * minute;
const range = { startTime: timestampFromMicros(start), endTime: timestampFromMicros(end) };
const logs = randomLogs();
const logsOfRange = logs.filter(({ timeMicros }) => timeMicros >= start && timeMicros < end);

test("every condition within a time range selects the same records in a list, a count, a sample, an export, a tail and in words", async (t) => {
  const { gateway, client, append } = await startWithLogs(t);
  const all = follow(t, gateway.url);
  const asked = [
    ...names.flatMap((name) =>
      [1, 2, 3].map(() => ({ name: name as string, filter: telling(samples[name]) })),
    ),
    { name: "none", filter: {} },
    ...Array.from({ length: 20 }, () => ({ name: "several", filter: telling(several) })),
  ].map((one) => ({ ...one, tail: follow(t, gateway.url, { ...range, filter: one.filter }) }));
  await Promise.all([all, ...asked.map(({ tail }) => tail)].map((tail) => tail.untilFollowing()));
  await append();
  await all.untilCount(logs.length);
  for (const { tail } of asked) {
    await tail.until("all that was appended", () => tail.token() === all.token());
    await tail.stop();
  }

  for (const { name, filter, tail } of asked) {
    const wanted = toKeys(select(filter));
    const what = (how: string) => `${how} of ${name}: ${JSON.stringify(filter)}`;

    const listed: LogEntry[] = [];
    let pageToken = "";
    do {
      const page = await client.listLogs({ ...range, filter, pageSize: 200, pageToken });
      listed.push(...page.logs);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(toKeys(listed), wanted, what("list"));

    // Buckets of whole minutes, which the statistics would answer.
    const histogram = await client.getHistogram({ ...range, filter, bucketsMax: 60 });
    assert.equal(Number(histogram.recordCount), wanted.length, what("histogram"));
    assert.notEqual(histogram.method, CountMethod.ESTIMATED);

    const { values } = await client.listFieldValues({ ...range, filter, field: Field.DEVICE_ID });
    assert.deepEqual(
      Object.fromEntries(values.map(({ value, recordCount }) => [value, Number(recordCount)])),
      Object.fromEntries(
        [...Map.groupBy(select(filter), ({ deviceId }) => deviceId)].map(([id, found]) => [id, found.length]),
      ),
      what("field values"),
    );

    const exported = await fetch(`${gateway.url}/v1/export?${toQuery(filter).toString()}&${rangeQuery}`);
    const lines = (await exported.text()).split("\n").filter(Boolean);
    assert.deepEqual(toKeys(lines.map((line) => JSON.parse(line) as Keyed)), wanted, what("export"));

    assert.deepEqual(toKeys(tail.logs()), wanted, what("tail"));
  }
});

test("a page token is bound to its conditions", async (t) => {
  const { client } = await startWithLogs(t);
  const { nextPageToken: pageToken } = await client.listLogs({ pageSize: 1 });
  for (const name of names) {
    const filter = samples[name]();
    await assert.rejects(
      client.listLogs({ filter, pageToken }),
      { code: Code.InvalidArgument, rawMessage: /^page_token: belongs to another query/ },
      name,
    );
  }
});

test("only severities and times are answered by statistics, and only they and devices need no permit", () => {
  const counted = names.filter((name) => isCounted(readLogFilter(requestFor(samples[name]))));
  assert.deepEqual(counted, ["minSeverity", "severities"]);
  const cheap = names.filter((name) => !isExpensive(readLogFilter(requestFor(samples[name]))));
  assert.deepEqual(cheap, ["deviceId", "deviceIds"]);
  const timed = readLogFilter(range);
  assert.deepEqual([isCounted(timed), isExpensive(timed)], [true, false]);
});

test("a condition that this gateway does not know is refused, not ignored", () => {
  const filter = create(LogFilterSchema, { text: "x" });
  filter.$unknown = [{ no: 4711, wireType: WireType.LengthDelimited, data: new Uint8Array([1, 65]) }];
  assert.throws(() => readLogFilter({ filter }), /^InvalidFieldError: filter: field 4711 is not known here/);
});

test("no condition has the name of another parameter", () => {
  for (const { path, method } of restRoutes) {
    const parameters = queryParameters(method.input).map(({ field }) => field.name);
    assert.equal(new Set(parameters).size, parameters.length, path);
  }
});

async function startWithLogs(t: TestContext) {
  const { gateway, databaseUrl, appender } = await startTailedGateway(t, { heartbeatMs: 100 });
  const batches = [...Map.groupBy(logs, ({ sequence }) => sequence)];
  const pool = openPool(databaseUrl);
  await seed(
    pool,
    batches.map(([sequence, records]) => ({
      ...toBatch(records),
      sequence,
      receivedMicros: start,
      records,
    })),
  );
  await pool.end();
  return {
    gateway,
    client: createClient(QueryService, createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1" })),
    append: async () => {
      for (const [sequence, records] of batches) {
        const { deviceId, sessionId, attributes: ofBatch } = toBatch(records);
        const sent = records.map(({ severity, logger, message, timeMicros, traceId, attributes }) => ({
          logger,
          message,
          attributes: createAttributes(attributes),
          traceId: Buffer.from(traceId, "hex"),
          severity: severity as Severity,
          timeUnixNano: timeMicros * 1000n,
        }));
        await appender.append(makeEntry(deviceId, sequence, sent, sessionId, createAttributes(ofBatch)));
      }
    },
  };
}

function toBatch([first]: readonly TestLog[]): Pick<TestLog, "deviceId" | "sessionId" | "attributes"> {
  const { deviceId, sessionId, batchAttributes } = first as TestLog;
  return { deviceId, sessionId, attributes: batchAttributes };
}

/**
 * 60 batches, some of one severity, from ten minutes before the range until ten minutes after it, some across
 * an end.
 */
function randomLogs(): readonly TestLog[] {
  return Array.from({ length: 60 }, (_, batch) => {
    const [deviceId, sessionId, least] = [pick(devices), pick(sessions), severity()];
    const isUniform = random() < 0.3;
    const batchAttributes = random() < 0.4 ? randomAttributes() : {};
    return Array.from({ length: 1 + upTo(9) }, (_, index) => ({
      deviceId,
      sessionId,
      sequence: batch + 1,
      index,
      timeMicros: start + (BigInt(batch) * 4n * minute) / 3n - 10n * minute + BigInt(upTo(180_000_000)),
      severity: isUniform ? least : severity(),
      logger: pick(loggers),
      message: [pick(words), pick(words), pick(words)].join(" "),
      attributes: randomAttributes(),
      batchAttributes,
      traceId: pick(["", ...traces]),
    }));
  }).flat();
}

function randomAttributes(): Attributes {
  const values = ["1", "2", "", "true", 1, 2, -0.5, true, null];
  return Object.fromEntries(attributeNames.filter(() => random() < 0.5).map((name) => [name, pick(values)]));
}

/** Conditions that match some records and not others, so that ignoring them is noticed. */
function telling(sample: () => Conditions): Conditions {
  for (let tries = 0; tries < 1000; tries += 1) {
    const conditions = sample();
    const count = select(conditions).length;
    if (count > 0 && count < logsOfRange.length) return conditions;
  }
  throw new Error("no value of it tells records apart");
}

/** Without a session, which needs exactly one device. */
function several(): Conditions {
  const free = names.filter((name) => name !== "sessionId");
  return Object.assign({}, ...Array.from({ length: 3 }, () => samples[pick(free)]())) as Conditions;
}

function select(conditions: Conditions): readonly TestLog[] {
  const meets = <Name extends keyof Conditions>(name: Name, value: Conditions[Name], log: TestLog) =>
    isMet[name](value as LogFilterFields[Name], log);
  return logsOfRange.filter((log) =>
    (Object.keys(conditions) as (keyof Conditions)[]).every((name) => meets(name, conditions[name], log)),
  );
}

type Keyed = Readonly<Record<"sequence" | "index", number | bigint | string>>;

function toKeys(found: readonly Keyed[]): readonly string[] {
  return found.map(({ sequence, index }) => `${sequence} ${index}`).sort();
}

function requestFor(sample: () => Conditions) {
  return { filter: create(LogFilterSchema, sample()) };
}

const rangeQuery = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-01T01:00:00Z";

/** As parameters of a REST call. */
function toQuery(conditions: Conditions): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(conditions)) {
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, toParameter(one));
  }
  return query;
}

function toParameter(value: string | number | AttributeCondition): string {
  if (typeof value !== "object") return String(value);
  const name = value.name.replaceAll(/[=\\]/g, "\\$&");
  return value.value === undefined ? name : `${name}=${value.value}`;
}
