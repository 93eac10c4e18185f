import type { GetStatisticsResponse } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { LogText } from "../components/log-text.tsx";
import { toHref } from "../state/location.ts";
import { levelNamed } from "../state/severity-level.ts";
import { countText } from "../state/time-text.ts";
import { noFilter, type View } from "../state/view.ts";

/** The devices, loggers and error patterns with the most records. */
export function TopTables({ statistics }: { statistics: GetStatisticsResponse }) {
  const { topDevices, topLoggers, topErrorPatterns, sampledRecordCount, sampledErrorCount } = statistics;
  const { recordCount, severities } = statistics;
  const errorCount = severities
    .filter(({ severity }) => severity >= 17)
    .reduce((sum, one) => sum + one.recordCount, 0n);
  return (
    <div class="tops">
      <Top
        title="Busiest devices"
        rows={topDevices.map(({ deviceId, recordCount, errorCount }) => ({
          name: deviceId,
          count: recordCount,
          note: errorCount > 0n ? `${countText(errorCount)} errors` : "",
          filter: { devices: [deviceId] },
        }))}
      />
      <Top
        title="Busiest loggers"
        note={`of ${showShare(sampledRecordCount, recordCount)} records`}
        rows={topLoggers.map(({ value, recordCount }) => ({
          name: value === "" ? "(none)" : value,
          count: recordCount,
          note: "",
          filter: { logger: value },
        }))}
      />
      <Top
        title="Most frequent errors"
        note={`of ${showShare(sampledErrorCount, errorCount)}; # replaces numbers and ids`}
        isWide
        rows={topErrorPatterns.map(({ value, recordCount }) => ({
          name: value,
          count: recordCount,
          note: "",
          filter: { search: fixedWords(value), minLevel: levelNamed("error") },
        }))}
      />
    </div>
  );
}

/** Very many records are not all read. */
function showShare(counted: bigint, all: bigint): string {
  return counted < all ? `the newest ${countText(counted)}` : `all ${countText(counted)}`;
}

interface TopRow {
  readonly name: string;
  readonly count: bigint;
  readonly note: string;
  readonly filter: Partial<View>;
}

function Top({ title, note = "", rows, isWide = false }: TopProps) {
  const most = Number(rows[0]?.count ?? 1n);
  return (
    <section class={`top${isWide ? " wide" : ""}`}>
      <h2>
        {title} {note !== "" && <span class="note">{note}</span>}
      </h2>
      {rows.length === 0 && <p class="chart-note">None in this time range.</p>}
      <ol>
        {rows.map(({ name, count, note, filter }) => (
          <li key={name}>
            <a href={toHref({ ...noFilter, ...filter, open: "" }, "/")}>
              <LogText text={name} marks={[]} />
            </a>
            <span class="note">{note}</span>
            <span class="number">{countText(count)}</span>
            <meter min={0} max={most} value={Number(count)} aria-label={`${name}: ${count}`} />
          </li>
        ))}
      </ol>
    </section>
  );
}

interface TopProps {
  readonly title: string;
  readonly note?: string;
  readonly rows: readonly TopRow[];
  readonly isWide?: boolean;
}

/** Search words for a pattern: the longest ones that contain no number or id. */
function fixedWords(pattern: string): string {
  return pattern
    .split(/\s+/)
    .filter((word) => /^[\p{L}][\p{L}_.:]{2,}$/u.test(word))
    .sort((a, b) => b.length - a.length)
    .slice(0, 5)
    .join(" ");
}
