import { query } from "../api/client.ts";
import { toMicros, toTimestamp } from "../api/timestamp.ts";
import { useQuery } from "../api/use-query.ts";
import { FailureNotice } from "../components/failure-notice.tsx";
import { useShortcuts } from "../components/shortcuts.ts";
import { Histogram } from "../explore/histogram.tsx";
import { refresh, refreshes, view } from "../state/location.ts";
import { resolveRange } from "../state/time-range.ts";
import { nowMicros } from "../state/time-text.ts";
import { noFilter } from "../state/view.ts";
import { DeadLetterTable } from "./dead-letter-table.tsx";
import { IncidentTable } from "./incident-table.tsx";
import { IngestFigures } from "./ingest-figures.tsx";
import { TopTables } from "./top-tables.tsx";

/** Whether everything that is sent arrives, and the fleet's most frequent errors. */
export function HealthPage() {
  const { range } = view.value;
  const filter = { ...view.value, ...noFilter };
  const ask = `${JSON.stringify(range)} ${refreshes.value}`;
  useShortcuts({ r: refresh });
  const bounds = () => {
    const { from, to } = resolveRange(range, nowMicros());
    return { startTime: toTimestamp(from), endTime: toTimestamp(to) };
  };
  const refreshMs = "lastSeconds" in range ? 10_000 : 0;
  const statistics = useQuery(
    ask,
    async (signal) => {
      const { startTime, endTime } = bounds();
      const start = startTime ?? (await firstTime(signal));
      return await query.getStatistics(
        { startTime: start, endTime, topMax: 10 },
        { signal, timeoutMs: 20_000 },
      );
    },
    { refreshMs },
  );
  const deadLetters = useQuery(
    ask,
    (signal) => query.listDeadLetters({ ...bounds(), pageSize: 50 }, { signal, timeoutMs: 10_000 }),
    { refreshMs },
  );
  const incidents = useQuery(
    ask,
    (signal) => query.listIncidents({ ...bounds(), pageSize: 50 }, { signal, timeoutMs: 10_000 }),
    { refreshMs },
  );
  return (
    <main class="page page-health">
      <h1 class="off-screen">Health</h1>
      {statistics.failure && statistics.value === undefined ? (
        <FailureNotice failure={statistics.failure} onRetry={statistics.retry} />
      ) : (
        <IngestFigures statistics={statistics.value} />
      )}
      <Histogram filter={filter} ask={ask} />
      {statistics.value && <TopTables statistics={statistics.value} />}
      <DeadLetterTable query={deadLetters} />
      <IncidentTable query={incidents} />
    </main>
  );
}

/** "All time" begins with the first record. */
async function firstTime(signal: AbortSignal) {
  const { logs } = await query.listLogs({ oldestFirst: true, pageSize: 1 }, { signal, timeoutMs: 10_000 });
  return toTimestamp(toMicros(logs[0]?.time));
}
