import { useEffect, useState } from "preact/hooks";
import { type Device, DeviceOrder } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { query } from "../api/client.ts";
import { toMicros } from "../api/timestamp.ts";
import { useQuery } from "../api/use-query.ts";
import { FailureNotice } from "../components/failure-notice.tsx";
import { useShortcuts } from "../components/shortcuts.ts";
import { FirstLog } from "../explore/first-log.tsx";
import { change, refresh, refreshes, toHref, view } from "../state/location.ts";
import { byteRateText, countText, durationText, fullTime, nowMicros, rateText } from "../state/time-text.ts";
import { SearchField } from "./search-field.tsx";

/** The sort orders of the table, and the direction of each. */
const orders = {
  name: { order: DeviceOrder.DEVICE_ID, label: "Device", descends: false },
  seen: { order: DeviceOrder.LAST_SEEN, label: "Last seen", descends: true },
  records: { order: DeviceOrder.RECORD_COUNT, label: "Records", descends: true },
  errors: { order: DeviceOrder.ERROR_COUNT, label: "Errors", descends: true },
  ratio: { order: DeviceOrder.ERROR_RATIO, label: "Error rate", descends: true },
} as const;
type OrderName = keyof typeof orders;

const silences: readonly (readonly [name: string, label: string, seconds: number])[] = [
  ["", "All devices", 0],
  ["5m", "Silent for 5 min", 300],
  ["1h", "Silent for 1 h", 3600],
  ["1d", "Silent for 1 d", 86_400],
  ["7d", "Silent for 7 d", 604_800],
];

const pageSize = 200;

/** The fleet: all devices, silent ones and failing ones. */
export function DevicesPage() {
  const { deviceSearch, deviceOrder, silent } = view.value;
  const name = deviceOrder.replace(/^-/, "");
  const by: OrderName = name in orders ? (name as OrderName) : "seen";
  const isReversed = deviceOrder.startsWith("-");
  const silentSeconds = silences.find(([name]) => name === silent)?.[2] ?? 0;
  const queryKey = `${deviceSearch} ${deviceOrder} ${silent}`;
  const [pages, setPages] = useState(1);
  useEffect(() => setPages(1), [queryKey]);
  useShortcuts({ r: refresh });

  const { value, failure, isLoading, retry } = useQuery(
    `${queryKey} ${pages} ${refreshes.value}`,
    async (signal) => {
      const devices: Device[] = [];
      let pageToken = "";
      for (let page = 0; page < pages; page += 1) {
        const answer = await query.listDevices(
          {
            search: deviceSearch,
            ...(silentSeconds > 0 ? { silentFor: { seconds: BigInt(silentSeconds) } } : {}),
            order: orders[by].order,
            descending: orders[by].descends !== isReversed,
            pageSize,
            pageToken,
          },
          { signal, timeoutMs: 10_000 },
        );
        devices.push(...answer.devices);
        pageToken = answer.nextPageToken;
        if (pageToken === "") break;
      }
      return { devices, hasMore: pageToken !== "" };
    },
    { refreshMs: 15_000 },
  );
  const isFiltered = deviceSearch !== "" || silent !== "";
  return (
    <main class="page page-devices">
      <h1 class="off-screen">Devices</h1>
      <search class="filter-bar">
        <SearchField
          label="Search devices"
          value={deviceSearch}
          onSearch={(deviceSearch) => change({ deviceSearch }, { replace: true })}
        />
        <select
          aria-label="Silence"
          value={silent}
          onChange={(event) => change({ silent: event.currentTarget.value })}
        >
          {silences.map(([name, label]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
        <span class="status" role="status">
          {value
            ? `${countText(value.devices.length)}${value.hasMore ? " so far" : ""}`
            : isLoading
              ? "…"
              : ""}
        </span>
      </search>
      {failure && value === undefined ? (
        <FailureNotice failure={failure} onRetry={retry} />
      ) : value?.devices.length === 0 ? (
        isFiltered ? (
          <p class="notice">No device matches.</p>
        ) : (
          <FirstLog />
        )
      ) : (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Devices">
          <table class="table">
            <thead>
              <tr>
                {(Object.keys(orders) as OrderName[]).map((name) => (
                  <SortableHead key={name} name={name} by={by} isTurned={isReversed} />
                ))}
                <th scope="col" class="number" title="Records received in the current and previous hour">
                  Rate
                </th>
                <th scope="col" class="number">
                  Last 24 h
                </th>
                <th scope="col" class="number">
                  Rejected
                </th>
                <th scope="col">Firmware</th>
                <th scope="col">Notes</th>
              </tr>
            </thead>
            <tbody>
              {value?.devices.map((device) => (
                <DeviceRow key={device.deviceId} device={device} />
              ))}
            </tbody>
          </table>
          {value?.hasMore && (
            <p class="foot">
              <button type="button" onClick={() => setPages(pages + 1)}>
                More devices
              </button>
            </p>
          )}
        </div>
      )}
    </main>
  );
}

function SortableHead({ name, by, isTurned }: { name: OrderName; by: OrderName; isTurned: boolean }) {
  const { label, descends } = orders[name];
  const isDown = descends !== isTurned;
  const isSorted = name === by;
  return (
    <th
      scope="col"
      class={name === "name" || name === "seen" ? "" : "number"}
      aria-sort={isSorted ? (isDown ? "descending" : "ascending") : "none"}
    >
      <button
        type="button"
        class="quiet"
        onClick={() => change({ deviceOrder: isSorted && !isTurned ? `-${name}` : name }, { replace: true })}
      >
        {label}
        {isSorted ? (isDown ? " ↓" : " ↑") : ""}
      </button>
    </th>
  );
}

function DeviceRow({ device }: { device: Device }) {
  const { utc } = view.value;
  const lastSeen = toMicros(device.lastSeen) ?? 0;
  const silentSeconds = Math.max(0, (nowMicros() - lastSeen) / 1e6);
  const state = silentSeconds < 300 ? "awake" : silentSeconds < 86_400 ? "quiet" : "silent";
  return (
    <tr>
      <td>
        <a href={toHref({ open: "" }, `/devices/${device.deviceId}`)}>{device.deviceId}</a>
      </td>
      <td title={fullTime(lastSeen, utc)}>
        <span class={`dot ${state}`} /> {durationText(silentSeconds)} ago
      </td>
      <td class="number">{countText(device.recordCount)}</td>
      <td class="number">{countText(device.errorCount)}</td>
      <td class={`number${device.errorRatio >= 0.05 ? " bad" : ""}`}>
        {(device.errorRatio * 100).toFixed(1)} %
      </td>
      <td class="number nowrap" title={byteRateText(device.bytesPerSecond)}>
        {rateText(device.recordsPerSecond)}
      </td>
      <td
        class="number nowrap"
        title={`${rateText(device.dayRecordsPerSecond)}, ${byteRateText(device.dayBytesPerSecond)}`}
      >
        {countText(device.dayRecordCount)}
      </td>
      <td class={`number${device.deadLetterCount > 0n ? " bad" : ""}`}>
        {countText(device.deadLetterCount)}
      </td>
      <td class="nowrap" title={[device.info?.hardware, device.info?.site].filter(Boolean).join(", ")}>
        {device.info?.firmware}
      </td>
      <td class="notes">{formatAttributes(device)}</td>
    </tr>
  );
}

export function formatAttributes({ attributes = {} }: Device): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}
