import type { ListIncidentsResponse } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toMicros } from "../api/timestamp.ts";
import type { QueryState } from "../api/use-query.ts";
import { toHref, view } from "../state/location.ts";
import { timeText } from "../state/time-text.ts";

/** Incidents that need an operator. */
export function IncidentTable({ query: { value, failure } }: { query: QueryState<ListIncidentsResponse> }) {
  const incidents = value?.incidents ?? [];
  return (
    <section>
      <h2>
        Incidents <span class="note">to investigate; the kind shows whether data was lost</span>
      </h2>
      {failure && <p class="chart-note">{failure.title}</p>}
      {value && incidents.length === 0 && <p class="chart-note">None in this time range.</p>}
      {incidents.length > 0 && (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Incidents">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Kind</th>
                <th scope="col">Device</th>
                <th scope="col">Details</th>
              </tr>
            </thead>
            <tbody>
              {incidents.map(({ id, time, kind, deviceId, details }) => {
                const text = timeText(toMicros(time) ?? 0, view.value.utc, 0);
                return (
                  <tr key={String(id)}>
                    <td class="nowrap">
                      {text.date} {text.time}
                    </td>
                    <td>{kind.replaceAll("_", " ")}</td>
                    <td>
                      {deviceId === "" ? "–" : <a href={toHref({}, `/devices/${deviceId}`)}>{deviceId}</a>}
                    </td>
                    <td class="wide">
                      <bdi>{details === undefined ? "" : JSON.stringify(details)}</bdi>
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
