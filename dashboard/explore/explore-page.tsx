import { useEffect, useMemo } from "preact/hooks";
import { filterRequest } from "../api/filter-request.ts";
import { toMicros } from "../api/timestamp.ts";
import { FailureNotice } from "../components/failure-notice.tsx";
import { LogTable } from "../components/log-table.tsx";
import { useShortcuts } from "../components/shortcuts.ts";
import { change, refresh, refreshes, view } from "../state/location.ts";
import { countText, nowMicros, timeText } from "../state/time-text.ts";
import { writeView } from "../state/view.ts";
import { ExportLinks } from "./export-links.tsx";
import { FilterBar } from "./filter-bar.tsx";
import { Histogram } from "./histogram.tsx";
import { LogPages } from "./log-pages.ts";
import { NothingFound } from "./nothing-found.tsx";

/** The stored records that match the filter. */
export function ExplorePage() {
  const filter = view.value;
  const { oldestFirst, wrap } = filter;
  const looks = {
    utc: false,
    wrap: false,
    columns: [],
    open: "",
    deviceSearch: "",
    deviceOrder: "",
    silent: "",
  };
  const ask = `${writeView({ ...filter, ...looks })} ${refreshes.value}`;
  const asked = useMemo(() => ({ ...filterRequest(filter, filter.range, nowMicros()), oldestFirst }), [ask]);
  const pages = useMemo(() => new LogPages(asked), [asked]);
  useEffect(() => () => pages.close(), [pages]);
  useShortcuts({
    w: () => change({ wrap: !wrap }, { replace: true }),
    r: refresh,
  });
  const rows = pages.rows.value;
  const status = pages.status.value;
  const failure = pages.failure.value;
  return (
    <main class="page page-logs">
      <h1 class="off-screen">Explore</h1>
      <FilterBar />
      <Histogram filter={filter} ask={ask.replace("order=oldest", "")} />
      <div class="toolbar">
        <span class="status" role="status">
          {statusText(status, rows.length)}
        </span>
        <ExportLinks asked={asked} />
        <button type="button" class="quiet" onClick={() => change({ oldestFirst: !oldestFirst, open: "" })}>
          {oldestFirst ? "Oldest first ↑" : "Newest first ↓"}
        </button>
        <button
          type="button"
          class="quiet"
          aria-pressed={wrap}
          onClick={() => change({ wrap: !wrap }, { replace: true })}
        >
          Wrap
        </button>
      </div>
      {rows.length === 0 && status === "end" ? (
        <NothingFound filter={filter} />
      ) : rows.length === 0 && status === "failed" && failure ? (
        <FailureNotice failure={failure} onRetry={() => pages.retry()} />
      ) : (
        <LogTable rows={rows} label="Records" onNearEnd={() => pages.more()} foot={<Foot pages={pages} />} />
      )}
    </main>
  );
}

/** Below the last row: the state of the next page. */
function Foot({ pages }: { pages: LogPages }) {
  const { utc, oldestFirst, range } = view.value;
  const status = pages.status.value;
  const failure = pages.failure.value;
  const last = toMicros(pages.rows.value.at(-1)?.time) ?? 0;
  const { date, time } = timeText(last, utc);
  const goOn = () => {
    const bounds = "lastSeconds" in range ? { from: undefined, to: undefined } : range;
    change({ range: oldestFirst ? { ...bounds, from: last } : { ...bounds, to: last + 1 }, open: "" });
  };
  return (
    <div class="foot" role="row">
      <span role="cell">
        {status === "loading" && "Loading …"}
        {status === "end" && "End of results."}
        {status === "full" && (
          <button type="button" onClick={goOn}>
            Continue from {date} {time}
          </button>
        )}
        {status === "failed" && failure && (
          <>
            {failure.title}: {failure.detail}{" "}
            <button type="button" onClick={() => pages.retry()}>
              Try again
            </button>
          </>
        )}
      </span>
    </div>
  );
}

function statusText(status: LogPages["status"]["value"], count: number): string {
  if (status === "loading" && count === 0) return "Searching …";
  if (status === "failed" && count === 0) return "Query failed";
  if (status === "end") return count === 1 ? "1 record" : `${countText(count)} records`;
  return `${countText(count)} records so far`;
}
