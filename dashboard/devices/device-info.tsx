import { readAttributes } from "#proto/attributes.ts";
import type { DeviceInfo } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { DeviceInfoChange } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toMicros } from "../api/timestamp.ts";
import { Figure } from "../components/figure.tsx";
import { view } from "../state/location.ts";
import { fullTime } from "../state/time-text.ts";

/** What a device last said about itself; nothing where it said nothing. */
export function InfoFigures({ info }: { info: DeviceInfo | undefined }) {
  return (
    <>
      {info?.firmware && <Figure name="Firmware">{info.firmware}</Figure>}
      {info?.hardware && <Figure name="Hardware">{info.hardware}</Figure>}
      {info?.site && <Figure name="Site">{info.site}</Figure>}
    </>
  );
}

/** Its changes, the latest first; the values that a change brought stand out. */
export function InfoHistory({ changes }: { changes: readonly DeviceInfoChange[] }) {
  if (changes.length === 0) return null;
  const { utc } = view.value;
  return (
    <>
      <h2>What it says about itself</h2>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Changes of the device">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Since</th>
              <th scope="col">Firmware</th>
              <th scope="col">Hardware</th>
              <th scope="col">Site</th>
              <th scope="col">Attributes</th>
            </tr>
          </thead>
          <tbody>
            {changes.map(({ receivedAt, info }, index) => {
              const before = toTexts(changes[index + 1]?.info);
              const isFirst = index === changes.length - 1;
              return (
                <tr key={index}>
                  <td class="nowrap">{fullTime(toMicros(receivedAt) ?? 0, utc).slice(0, 19)}</td>
                  {toTexts(info).map((text, place) => (
                    <td key={place} class={place === 3 ? "notes" : ""}>
                      {isFirst || text === before[place] ? text : <strong>{text || "–"}</strong>}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}

function toTexts(info: DeviceInfo | undefined): readonly string[] {
  if (info === undefined) return ["", "", "", ""];
  const attributes = Object.entries(readAttributes(info.attributes))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name} ${String(value)}`);
  return [info.firmware, info.hardware, info.site, attributes.join(", ")];
}
