import type { Call } from "#bench/query/call-gateway.ts";
import { type FleetSize, rareAttribute, rareWord } from "#bench/query/sample-fleet.ts";

/** A statement as Grafana's PostgreSQL data source sends it, and the gateway's call for the same question. */
export interface SqlQuery {
  readonly title: string;
  readonly sql: string;
  /** Undefined: the gateway has no such call. */
  readonly call?: Call;
}

/** Varied a little by `round`, so that the gateway answers none from its cache. */
export function sqlQueries({ endMs }: FleetSize, round: number): readonly SqlQuery[] {
  const hour = toRange(endMs - hourMs + round, endMs + round);
  const day = toRange(endMs - dayMs + round, endMs + round);
  const past = toRange(endMs - 3 * dayMs + round, endMs - 3 * dayMs + hourMs + round);
  const columns = "time, device_id, severity_text, logger, message, attributes";
  const newest = "order by time desc limit 1000";
  return [
    {
      title: "newest 1,000 of all",
      sql: `select ${columns} from newest_logs(1000, '${hour.to}')`,
      call: logs({}, { endTime: hour.to }),
    },
    {
      title: "newest 1,000 of the last hour, WARN and above",
      sql: `select ${columns} from ${between(hour)} where severity >= 13 ${newest}`,
      call: logs({ minSeverity: "SEVERITY_WARN" }, asTimes(hour)),
    },
    {
      title: "the same of an hour three days ago",
      sql: `select ${columns} from ${between(past)} where severity >= 13 ${newest}`,
      call: logs({ minSeverity: "SEVERITY_WARN" }, asTimes(past)),
    },
    {
      title: "the same by the view: time BETWEEN",
      sql: `select ${columns} from logs where ${filter("time", past)} and severity >= 13 ${newest}`,
    },
    {
      title: "newest 1,000 of a device, in a day",
      sql: `select ${columns} from ${between(day)} where device_id = 'device-00007' ${newest}`,
      call: logs({ deviceId: "device-00007" }, asTimes(day)),
    },
    {
      title: "records per minute by severity, a day, of log_statistics",
      sql: `select ${group("minute")} as time, severity_name(severity) as metric, sum(record_count) as value
        from log_statistics where ${filter("minute", day)} group by 1, 2 order by 1`,
      call: { method: "GetHistogram", body: { ...asTimes(day), bucketsMax: 1000 } },
    },
    {
      title: "records per minute by severity of a logger, an hour",
      sql: `select ${group("time")} as time, severity_text as metric, count(*) as value
        from ${between(hour)} where logger like 'net.%' group by 1, 2 order by 1`,
      call: {
        method: "GetHistogram",
        body: { ...asTimes(hour), bucketsMax: 60, filter: { loggerPrefix: "net." } },
      },
    },
    {
      title: "top devices, a day",
      sql: `select device_id, sum(device_statistics.record_count) as records
        from device_statistics join devices on devices.key = device_key
        where ${filter("hour", day)} group by 1 order by 2 desc limit 10`,
      call: { method: "GetStatistics", body: asTimes(day) },
    },
    {
      title: "a text, ILIKE, the last hour",
      sql: `select ${columns} from ${between(hour)} where message ilike '%${rareWord.text}%' ${newest}`,
      call: logs({ text: rareWord.text }, asTimes(hour)),
    },
    {
      title: "an attribute, ->> =, the last hour",
      sql: `select ${columns} from ${between(hour)} where attributes ->> '${rareAttribute.name}' = '${rareAttribute.value}' ${newest}`,
      call: logs({ attributes: [rareAttribute] }, asTimes(hour)),
    },
    {
      title: "a rare text in all days",
      sql: `select ${columns} from logs
        where message ilike '%${rareWord.text}%' ${newest}`,
      call: logs({ text: rareWord.text }, { endTime: hour.to }),
    },
    {
      title: "received in an hour three days ago, counted",
      sql: `select count(*) from logs_received_between('${past.from}', '${past.to}')`,
    },
    {
      title: "the same by the view: received_at BETWEEN",
      sql: `select count(*) from logs where ${filter("received_at", past)}`,
    },
  ];
}

interface Range {
  readonly from: string;
  readonly to: string;
}

function toRange(fromMs: number, toMs: number): Range {
  return { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
}

function asTimes({ from, to }: Range) {
  return { startTime: from, endTime: to };
}

function logs(filter: object, times: object): Call {
  return { method: "ListLogs", body: { filter, pageSize: 1000, ...times } };
}

/** `logs_between($__timeFrom(), $__timeTo())` */
function between({ from, to }: Range): string {
  return `logs_between('${from}', '${to}')`;
}

/** `$__timeFilter(column)` */
function filter(column: string, { from, to }: Range): string {
  return `${column} BETWEEN '${from}' AND '${to}'`;
}

/** `$__timeGroup(column, '1m')` */
function group(column: string): string {
  return `floor(extract(epoch from ${column})/60)*60`;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
