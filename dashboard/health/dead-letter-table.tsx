import type { DeadLetter, ListDeadLettersResponse } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toMicros } from "../api/timestamp.ts";
import type { QueryState } from "../api/use-query.ts";
import { toHref, view } from "../state/location.ts";
import { countText, timeText } from "../state/time-text.ts";

/** Records and batches that could not be stored, with the reason. */
export function DeadLetterTable({
  query: { value, failure },
}: {
  query: QueryState<ListDeadLettersResponse>;
}) {
  const letters = value?.deadLetters ?? [];
  return (
    <section>
      <h2>
        Dead letters{" "}
        <span class="note">
          rejected, with the reason; <code>fleetlog dead-letters</code> shows their bytes and replays them
        </span>
      </h2>
      {failure && <p class="chart-note">{failure.title}</p>}
      {value && letters.length === 0 && <p class="chart-note">None in this time range.</p>}
      {letters.length > 0 && (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Dead letters">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Device</th>
                <th scope="col">Batch</th>
                <th scope="col">Reason</th>
                <th scope="col">Replayed</th>
                <th scope="col" class="number">
                  Records
                </th>
                <th scope="col" class="number">
                  Bytes
                </th>
              </tr>
            </thead>
            <tbody>
              {letters.map((letter) => (
                <DeadLetterRow key={String(letter.id)} letter={letter} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {value?.nextPageToken ? (
        <p class="chart-note">Only the newest are shown; use a shorter time range to see others.</p>
      ) : null}
    </section>
  );
}

function DeadLetterRow({ letter }: { letter: DeadLetter }) {
  const { date, time } = timeText(toMicros(letter.time) ?? 0, view.value.utc, 0);
  return (
    <tr>
      <td class="nowrap">
        {date} {time}
      </td>
      <td>
        {letter.deviceId === "" ? (
          "–"
        ) : (
          <a href={toHref({}, `/devices/${letter.deviceId}`)}>{letter.deviceId}</a>
        )}
      </td>
      <td class="nowrap">
        <bdi>{letter.sessionId}</bdi> {letter.sequence === 0n ? "" : `#${letter.sequence}`}
        {letter.index === undefined ? "" : ` record ${letter.index}`}
      </td>
      <td class="wide">
        <bdi>{letter.reason}</bdi>
        {letter.isJson && (
          <div class="note">
            <code>
              <bdi>{letter.rawText}</bdi>
              {letter.rawSize > letter.raw.length ? " …" : ""}
            </code>
          </div>
        )}
      </td>
      <td class="nowrap">
        <ReplayTime letter={letter} />
      </td>
      <td class="number">{countText(letter.recordCount)}</td>
      <td class="number">{countText(letter.rawSize)}</td>
    </tr>
  );
}

/** When the dead letter was replayed, and as which batch. */
function ReplayTime({ letter: { replayedAt, replayedBatchId } }: { letter: DeadLetter }) {
  const micros = toMicros(replayedAt);
  if (micros === undefined) return "no";
  const { date, time } = timeText(micros, view.value.utc, 0);
  return (
    <span title={`stored as batch ${replayedBatchId}`}>
      {date} {time}
    </span>
  );
}
