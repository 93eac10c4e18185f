import { query } from "../api/client.ts";
import { filterRequest } from "../api/filter-request.ts";
import { toMicros } from "../api/timestamp.ts";
import { useQuery } from "../api/use-query.ts";
import { change } from "../state/location.ts";
import { allTime } from "../state/time-range.ts";
import { fullTime, nowMicros } from "../state/time-text.ts";
import { hasFilter, noFilter, type View, writeView } from "../state/view.ts";
import { FirstLog } from "./first-log.tsx";

/** Shown when nothing matches: suggests what would. */
export function NothingFound({ filter }: { filter: View }) {
  const { value } = useQuery(writeView(filter).toString(), async (signal) => {
    const options = { signal, timeoutMs: 10_000 };
    const request = filterRequest(filter, allTime, nowMicros());
    // The newest record of any time shows whether there is any.
    const [newest, any] = await Promise.all([
      query.listLogs({ ...request, pageSize: 1 }, options).catch(() => undefined),
      query.listLogs({ pageSize: 1 }, options),
    ]);
    return { newest: toMicros(newest?.logs[0]?.time), isEmpty: any.logs.length === 0 };
  });
  if (value?.isEmpty) return <FirstLog />;
  const newest = value?.newest;
  const isAllTime =
    !("lastSeconds" in filter.range) && filter.range.from === undefined && filter.range.to === undefined;
  return (
    <div class="notice">
      <h2>Nothing matches {isAllTime ? "this filter" : "in this time range"}</h2>
      {newest !== undefined && !isAllTime && (
        <p>
          The newest matching record is from {fullTime(newest, filter.utc)}.{" "}
          <button
            type="button"
            class="primary"
            onClick={() => change({ range: { from: newest - 3600e6, to: newest + 1 } })}
          >
            Show that hour
          </button>
        </p>
      )}
      {newest === undefined && value !== undefined && <p>No stored record matches, at any time.</p>}
      <p>
        {!isAllTime && newest !== undefined && (
          <button type="button" onClick={() => change({ range: allTime })}>
            Search all time
          </button>
        )}{" "}
        {hasFilter(filter) && (
          <button type="button" onClick={() => change(noFilter)}>
            Clear the filter
          </button>
        )}
      </p>
    </div>
  );
}
