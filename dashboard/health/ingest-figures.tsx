import type { Duration } from "@bufbuild/protobuf/wkt";
import type { GetStatisticsResponse } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { Figure } from "../components/figure.tsx";
import { countText, durationText } from "../state/time-text.ts";

/** The rate of ingestion, and the lag of the consumers. */
export function IngestFigures({ statistics }: { statistics: GetStatisticsResponse | undefined }) {
  if (statistics === undefined) return <p class="chart-note">Loading …</p>;
  const { lag } = statistics;
  const waiting = (lag?.undeliveredBatchCount ?? 0n) + (lag?.pendingBatchCount ?? 0n);
  const age = waiting > 0n ? toSeconds(lag?.oldestAge) : undefined;
  const errors = statistics.severities
    .filter(({ severity }) => severity >= 17)
    .reduce((sum, { recordCount }) => sum + recordCount, 0n);
  const share = statistics.recordCount === 0n ? 0 : (Number(errors) / Number(statistics.recordCount)) * 100;
  const rate = statistics.recordsPerSecond;
  return (
    <dl class="figures">
      <Figure name="Records" note={`${rate < 10 ? rate.toFixed(2) : countText(Math.round(rate))} per second`}>
        {countText(statistics.recordCount)}
      </Figure>
      <Figure name="Errors" note={`${share.toFixed(1)} % of the records`}>
        {countText(errors)}
      </Figure>
      <Figure name="Devices" note={`of ${countText(statistics.deviceCount)} devices`}>
        {countText(statistics.activeDeviceCount)}
      </Figure>
      <Figure
        name="Backlog"
        isBad={lag === undefined || (age ?? 0) > 30}
        note={
          lag === undefined
            ? "Redis is unreachable"
            : backlogNote(lag.undeliveredBatchCount, lag.pendingBatchCount)
        }
      >
        {lag === undefined ? "unknown" : `${countText(waiting)} batches`}
      </Figure>
      <Figure name="Consumer lag" isBad={(age ?? 0) > 30} note={lagNote(age, lag !== undefined)}>
        {age === undefined ? (lag === undefined ? "unknown" : "none") : durationText(age)}
      </Figure>
      <Figure name="Dead letters" isBad={statistics.deadLetterCount > 0n} note="rejected records">
        {countText(statistics.deadLetterCount)}
      </Figure>
      <Figure name="Incidents" isBad={statistics.incidentCount > 0n} note="to investigate">
        {countText(statistics.incidentCount)}
      </Figure>
    </dl>
  );
}

function toSeconds(duration: Duration | undefined): number | undefined {
  return duration && Number(duration.seconds) + duration.nanos / 1e9;
}

function backlogNote(undelivered: bigint | undefined, pending: bigint): string {
  return `${undelivered === undefined ? "?" : countText(undelivered)} in the stream, ${countText(pending)} being stored`;
}

function lagNote(ageSeconds: number | undefined, isKnown: boolean): string {
  if (ageSeconds !== undefined) return "age of the oldest batch";
  return isKnown ? "no backlog" : "Redis is unreachable";
}
