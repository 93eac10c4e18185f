import type { GetDeviceResponse, Session } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toMicros } from "../api/timestamp.ts";
import { toHref, view } from "../state/location.ts";
import { countText, timeText } from "../state/time-text.ts";
import { noFilter } from "../state/view.ts";
import { RangesLegend, SessionRanges } from "./session-ranges.tsx";

interface Props {
  readonly answer: Pick<GetDeviceResponse, "sessions" | "sessionCount" | "nextPageToken">;
  readonly deviceId: string;
  readonly onMore: () => void;
}

/**
 * The batches of each session that arrived. A batch is missing when it was numbered and neither arrived nor was
 * declared as dropped.
 */
export function SessionTable({ answer, deviceId, onMore }: Props) {
  const { sessions, sessionCount, nextPageToken } = answer;
  return (
    <section>
      <h2>
        Sessions <span class="note">{sessionsText(sessions.length, sessionCount)}</span>
      </h2>
      <RangesLegend />
      <div class="table-scroll sessions" tabIndex={0} role="region" aria-label="Sessions">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Session</th>
              <th scope="col">Received</th>
              <th scope="col" class="number">
                Batches
              </th>
              <th scope="col" class="number">
                Records
              </th>
              <th scope="col" class="number">
                Missing
              </th>
              <th scope="col" class="drawing">
                Batch 1 to the last
              </th>
            </tr>
          </thead>
          <tbody>
            {sessions.map((session) => (
              <SessionRow key={session.sessionId} session={session} deviceId={deviceId} />
            ))}
          </tbody>
        </table>
        {nextPageToken !== "" && (
          <p class="foot">
            <button type="button" onClick={onMore}>
              More sessions
            </button>
          </p>
        )}
      </div>
    </section>
  );
}

function SessionRow({ session, deviceId }: { session: Session; deviceId: string }) {
  const { utc } = view.value;
  const [first, last] = [toMicros(session.firstReceivedAt) ?? 0, toMicros(session.lastReceivedAt) ?? 0];
  const { date, time } = timeText(first, utc, 0);
  const end = timeText(last, utc, 0);
  const range = { from: first - 60e6, to: last + 60e6 };
  return (
    <tr>
      <td>
        <a
          href={toHref(
            { ...noFilter, devices: [deviceId], session: session.sessionId, range, open: "" },
            "/",
          )}
        >
          <bdi>{session.sessionId}</bdi>
        </a>
        {session.isServerAssigned && <span class="note"> assigned by the server</span>}
      </td>
      <td class="nowrap">
        {date} {time} – {end.date === date ? "" : `${end.date} `}
        {end.time}
      </td>
      <td class="number">{countText(session.batchCount)}</td>
      <td class="number">{countText(session.recordCount)}</td>
      <td class={`number${session.missingCount > 0n ? " bad" : ""}`}>
        {session.isServerAssigned ? "–" : countText(session.missingCount)}
      </td>
      <td class="drawing">
        {session.isServerAssigned ? (
          <span class="note">no sequence numbers</span>
        ) : (
          <SessionRanges session={session} />
        )}
      </td>
    </tr>
  );
}

function sessionsText(shown: number, count: bigint): string {
  const all = count >= sessionsCountedMax ? `${countText(sessionsCountedMax)} or more` : countText(count);
  return BigInt(shown) < count || count >= sessionsCountedMax ? `the last ${shown} of ${all}` : all;
}

/** GetDevice counts up to this number. */
const sessionsCountedMax = 1000;
