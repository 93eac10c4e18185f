import { useEffect, useMemo, useState } from "preact/hooks";
import type { Device, GetDeviceResponse, Session } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { query } from "../api/client.ts";
import { filterRequest } from "../api/filter-request.ts";
import { toMicros } from "../api/timestamp.ts";
import { useQuery } from "../api/use-query.ts";
import { FailureNotice } from "../components/failure-notice.tsx";
import { Figure } from "../components/figure.tsx";
import { LogTable } from "../components/log-table.tsx";
import { useShortcuts } from "../components/shortcuts.ts";
import { Histogram } from "../explore/histogram.tsx";
import { LogPages } from "../explore/log-pages.ts";
import { refresh, refreshes, toHref, view } from "../state/location.ts";
import { byteRateText, countText, durationText, fullTime, nowMicros, rateText } from "../state/time-text.ts";
import { noFilter } from "../state/view.ts";
import { InfoFigures, InfoHistory } from "./device-info.tsx";
import { formatAttributes } from "./devices-page.tsx";
import { SessionTable } from "./session-table.tsx";

/** One device: how much it sent, what is missing, and its last records. */
export function DevicePage({ deviceId }: { deviceId: string }) {
  const { range } = view.value;
  const filter = { ...view.value, ...noFilter, devices: [deviceId] };
  const ask = `${deviceId} ${JSON.stringify(range)} ${refreshes.value}`;
  const [pagesOfSessions, setPagesOfSessions] = useState(1);
  useEffect(() => setPagesOfSessions(1), [deviceId]);
  const { value, failure, retry } = useQuery(
    `${deviceId} ${pagesOfSessions} ${refreshes.value}`,
    (signal) => getDevice(deviceId, pagesOfSessions, signal),
    { refreshMs: 15_000 },
  );
  const pages = useMemo(
    () => new LogPages({ ...filterRequest(filter, range, nowMicros()), oldestFirst: false }),
    [ask],
  );
  useEffect(() => () => pages.close(), [pages]);
  useShortcuts({ r: refresh });
  if (failure && value === undefined) {
    return (
      <main class="page">
        <FailureNotice failure={failure} onRetry={retry} />
      </main>
    );
  }
  return (
    <main class="page page-device">
      <div class="title-bar">
        <h1>{deviceId}</h1>
        <a class="button" href={toHref({ ...noFilter, devices: [deviceId], open: "" }, "/")}>
          Explore its logs
        </a>
        <a class="button" href={toHref({ ...noFilter, devices: [deviceId], open: "" }, "/live")}>
          Follow it live
        </a>
      </div>
      {value && <DeviceFigures answer={value} />}
      <Histogram filter={filter} ask={ask} />
      {value && <InfoHistory changes={value.infoHistory} />}
      {value && (
        <SessionTable
          answer={value}
          deviceId={deviceId}
          onMore={() => setPagesOfSessions(pagesOfSessions + 1)}
        />
      )}
      <h2>Last records</h2>
      <div class="device-logs">
        {pages.rows.value.length === 0 && pages.status.value === "end" ? (
          <p class="chart-note">None in this time range.</p>
        ) : (
          <LogTable rows={pages.rows.value} label="Last records" onNearEnd={() => pages.more()} />
        )}
      </div>
    </main>
  );
}

/** The device with the first pages of its sessions. */
async function getDevice(deviceId: string, pages: number, signal: AbortSignal): Promise<GetDeviceResponse> {
  const sessions: Session[] = [];
  for (let page = 1, pageToken = ""; ; page += 1) {
    const request = { deviceId, sessionsMax: sessionsOfPage, pageToken };
    const answer = await query.getDevice(request, { signal, timeoutMs: 10_000 });
    sessions.push(...answer.sessions);
    pageToken = answer.nextPageToken;
    if (page === pages || pageToken === "") return { ...answer, sessions };
  }
}

function DeviceFigures({ answer: { device, sessions, latestTime } }: { answer: GetDeviceResponse }) {
  if (device === undefined) return null;
  const { utc } = view.value;
  const [first, last] = [toMicros(device.firstSeen) ?? 0, toMicros(device.lastSeen) ?? 0];
  const missing = sessions.reduce((sum, { missingCount }) => sum + missingCount, 0n);
  const dropped = sessions.reduce((sum, { droppedCount }) => sum + droppedCount, 0n);
  const notes = formatAttributes(device);
  return (
    <dl class="figures">
      <Figure name="Last seen" note={fullTime(last, utc).slice(0, 19)}>
        {durationText(Math.max(0, (nowMicros() - last) / 1e6))} ago
      </Figure>
      <Figure name="First seen" note={fullTime(first, utc).slice(0, 19)}>
        {durationText(Math.max(0, (nowMicros() - first) / 1e6))} ago
      </Figure>
      <Figure name="Records" note={`${countText(device.batchCount)} batches`}>
        {countText(device.recordCount)}
      </Figure>
      <Figure name="Rate" note={`${byteRateText(device.bytesPerSecond)}, in the current and previous hour`}>
        {rateText(device.recordsPerSecond)}
      </Figure>
      <Figure name="Last 24 h" note={`${countText(device.dayErrorCount)} errors`}>
        {countText(device.dayRecordCount)}
      </Figure>
      <Figure name="Errors" note={`${(device.errorRatio * 100).toFixed(1)} % of its records`}>
        {countText(device.errorCount)}
      </Figure>
      <Figure
        name="Missing batches"
        isBad={missing > 0n}
        note={dropped > 0n ? `and ${countText(dropped)} dropped by the device` : "in the sessions below"}
      >
        {countText(missing)}
      </Figure>
      <Figure name="Rejected records" isBad={device.deadLetterCount > 0n} note="kept as dead letters">
        {countText(device.deadLetterCount)}
      </Figure>
      <InfoFigures info={device.info} />
      <ClockFigure device={device} latestMicros={toMicros(latestTime) ?? 0} />
      {notes !== "" && <Figure name="Notes">{notes}</Figure>}
    </dl>
  );
}

/**
 * The offset of the device's clock. Queries without an end time omit records of the future, so this links to
 * them.
 */
function ClockFigure({ device, latestMicros }: { device: Device; latestMicros: number }) {
  const { clockOffset } = device;
  const seconds = clockOffset === undefined ? 0 : Number(clockOffset.seconds) + clockOffset.nanos / 1e9;
  const futureMicros = nowMicros() + aheadSecondsMax * 1e6;
  const isFuture = latestMicros > futureMicros;
  if (Math.abs(seconds) < shownOffsetSeconds && !isFuture) return null;
  const text = `${durationText(Math.abs(seconds))} ${seconds < 0 ? "behind" : "ahead"}`;
  const range = { from: Math.max(futureMicros, latestMicros - chartMicrosMax), to: latestMicros + 1e6 };
  const href = toHref({ ...noFilter, devices: [device.deviceId], range, open: "" }, "/");
  return (
    <Figure
      name="Clock"
      isBad={isFuture || seconds > aheadSecondsMax}
      note={seconds < 0 ? "or its last batch was sent late" : "from its last batch"}
    >
      {Math.abs(seconds) < shownOffsetSeconds ? "correct now" : text}
      {isFuture && (
        <>
          {" "}
          <a class="note" href={href}>
            records from the future
          </a>
        </>
      )}
    </Figure>
  );
}

const sessionsOfPage = 50;
/** Queries without an end time read this far ahead. */
const aheadSecondsMax = 600;
/** A smaller offset is transmission time from the device to the server. */
const shownOffsetSeconds = 60;
/** The latest time that the chart counts. */
const chartMicrosMax = 3650 * 86_400e6;
