import type { Call, ResponseBody } from "#bench/query/call-gateway.ts";
import { type FleetSize, rareAttribute, rareWord } from "#bench/query/sample-fleet.ts";

/** A typical query, varied slightly each time so that no response is cached. */
export interface BenchQuery {
  readonly name: string;
  readonly title: string;
  /** The call number `round`. */
  readonly call: (round: number) => Call;
  /** Throws when the response is wrong. */
  readonly check: (body: ResponseBody) => void;
  /** ms that are wanted at most. */
  readonly wanted?: { readonly p50?: number; readonly p95?: number };
}

/** The queries for a history made by fill.ts. `deepTokens` lead to pages of all logs around the 1,000th. */
export function benchQueries(size: FleetSize, deepTokens: readonly string[]): readonly BenchQuery[] {
  const { devices, days, endMs } = size;
  const startMs = endMs - days * dayMs;
  const device = (round: number) => `device-${String((round * 7919) % devices).padStart(5, "0")}`;
  /** The same time range, shifted by some ms. */
  const range = (round: number, fromMs: number, toMs = endMs) => ({
    startTime: new Date(fromMs + round).toISOString(),
    endTime: new Date(toMs + 1000 + round).toISOString(),
  });
  /** The days that are over and whole. */
  const wholeDays = Math.max(1, days - 1);
  const wholeDay = (round: number) => Math.floor(endMs / dayMs) * dayMs - (1 + (round % wholeDays)) * dayMs;
  return [
    {
      name: "device",
      title: "one device's last 100",
      call: (round) => logs({ filter: { deviceId: device(round) }, ...range(round, startMs) }),
      check: hasLogs(100),
      wanted: { p50: 5, p95: 12 },
    },
    {
      name: "errors",
      title: "errors of all devices, last hour",
      call: (round) => logs({ filter: { minSeverity: "SEVERITY_ERROR" }, ...range(round, endMs - hourMs) }),
      check: hasLogs(1),
    },
    {
      name: "word-in-day",
      title: `a rare word, in one day that is over`,
      call: (round) => {
        const day = wholeDay(round);
        return logs({ filter: { text: rareWord.text }, ...range(round, day, day + dayMs) });
      },
      check: hasLogs(0),
      wanted: { p95: 1000 },
    },
    {
      name: "word-in-all",
      title: `a rare word, in all ${days} days`,
      call: (round) => logs({ filter: { text: rareWord.text }, ...range(round, startMs - 3 * dayMs) }),
      check: hasLogs(rareWord.records),
      wanted: { p95: 1000 },
    },
    {
      name: "attribute",
      title: `a rare attribute equals, in all ${days} days`,
      call: (round) =>
        logs({ filter: { attributes: [rareAttribute] }, ...range(round, startMs - 3 * dayMs) }),
      check: hasLogs(rareWord.records),
      wanted: { p95: 1000 },
    },
    {
      name: "page-1",
      title: "all logs, page 1 of 100",
      call: (round) => logs(range(round, startMs)),
      check: hasLogs(100),
    },
    {
      name: "page-1000",
      title: "all logs, page 1,000 of 100",
      call: (round) => logs({ pageToken: deepTokens[round % deepTokens.length] }),
      check: hasLogs(100),
    },
    {
      name: "histogram-day",
      title: "histogram of 24 h",
      call: (round) => ({ method: "GetHistogram", body: range(round, endMs - dayMs) }),
      check: (body) => atLeast(body.buckets?.length, 2),
    },
    {
      name: "histogram-all",
      title: `histogram of ${days} days`,
      call: (round) => ({ method: "GetHistogram", body: range(round, startMs) }),
      check: (body) => atLeast(body.buckets?.length, 2),
    },
    {
      name: "statistics",
      title: "statistics of the last hour",
      call: (round) => ({ method: "GetStatistics", body: range(round, endMs - hourMs) }),
      check: (body) => atLeast(Number(body.recordCount), 1),
    },
    {
      name: "devices",
      title: "list of devices, page of 100",
      call: (round) => ({
        method: "ListDevices",
        body: {
          pageSize: 100,
          order: "DEVICE_ORDER_LAST_SEEN",
          descending: true,
          silentFor: `${(1_000 + round) / 1_000}s`,
        },
      }),
      check: (body) => atLeast(body.devices?.length, Math.min(100, devices)),
    },
  ];
}

function logs(body: Readonly<Record<string, unknown>>): Call {
  return { method: "ListLogs", body: { pageSize: 100, ...body } };
}

function hasLogs(count: number): BenchQuery["check"] {
  return (body) => atLeast(body.logs?.length, count);
}

function atLeast(value: number | undefined, wanted: number): void {
  if (!((value ?? Number.NaN) >= wanted))
    throw new Error(`the answer has ${value}, wanted at least ${wanted}`);
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
