import { ScalarType, toJson } from "@bufbuild/protobuf";
import type { ComponentChild } from "preact";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { type LogEntry, LogEntrySchema, TimeSource } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toMicros } from "../api/timestamp.ts";
import { type FieldValue, filterFor, filterOut } from "../state/filter-actions.ts";
import { change, toHref, view } from "../state/location.ts";
import { severityLabel } from "../state/severity-level.ts";
import { durationText, fullTime } from "../state/time-text.ts";
import { noFilter } from "../state/view.ts";
import { valueText } from "./attribute-text.ts";
import { copy } from "./copy.ts";
import { logKey } from "./log-key.ts";
import { LogText } from "./log-text.tsx";

/** All fields of one record, with the actions on them. */
export function LogDetail({ entry, marks }: { entry: LogEntry; marks: readonly string[] }) {
  const { utc } = view.value;
  const time = toMicros(entry.time) ?? 0;
  const received = toMicros(entry.receivedAt) ?? 0;
  const key = logKey(entry);
  const around = {
    ...noFilter,
    devices: [entry.deviceId],
    range: { from: time - 60e6, to: time + 60e6 },
    open: key,
  };
  const link = toHref({ range: { from: time - 3600e6, to: time + 1 }, oldestFirst: false, open: key }, "/");
  return (
    <div class="detail">
      <div class="detail-actions">
        <button type="button" onClick={() => void copy("Record", json(entry))}>
          Copy as JSON
        </button>
        <button type="button" onClick={() => void copy("Message", entry.message)}>
          Copy message
        </button>
        <button type="button" onClick={() => void copy("Link", window.location.origin + link)}>
          Copy link
        </button>
        <a class="button" href={toHref(around, "/")}>
          One minute around it
        </a>
        <a class="button" href={toHref({ open: "" }, `/devices/${entry.deviceId}`)}>
          Device
        </a>
      </div>
      <pre class="detail-message" tabIndex={0}>
        {entry.message === "" ? <i>no text</i> : <LogText text={entry.message} marks={marks} />}
      </pre>
      {entry.isTextRepaired && (
        <p class="note">A text arrived cut inside a character: “�” stands for the remains.</p>
      )}
      <table class="fields">
        <tbody>
          <Field name="time" note={timeNotes[entry.timeSource] ?? "by an unknown rule"}>
            {fullTime(time, utc)}
          </Field>
          <Field name="received" note={delayText(received - time)}>
            {fullTime(received, utc)}
          </Field>
          <Field name="severity" value={{ field: "severity", value: entry.severity }}>
            {severityLabel(entry.severity)} ({entry.severity})
          </Field>
          {entry.severityText !== "" && !Object.hasOwn(Severity, entry.severityText) && (
            <Field name="severity text" note="in the words of its source">
              {entry.severityText}
            </Field>
          )}
          {entry.uptime && (
            <Field name="uptime" note="since the device booted">
              {Number(entry.uptime.seconds) + entry.uptime.nanos / 1e9} s
            </Field>
          )}
          {entry.observedTime && (
            <Field name="observed" note="by a collector on the way">
              {fullTime(toMicros(entry.observedTime) ?? 0, utc)}
            </Field>
          )}
          <Field name="device" value={{ field: "device", value: entry.deviceId }}>
            {entry.deviceId}
          </Field>
          <Field name="logger" value={{ field: "logger", value: entry.logger }}>
            {entry.logger}
          </Field>
          <Field name="session" value={{ field: "session", value: entry.sessionId }} device={entry.deviceId}>
            {entry.sessionId}
          </Field>
          <Field name="batch" note={`record ${entry.index} of the batch, from 0`}>
            {String(entry.sequence)}
          </Field>
          {otherTexts.map(({ localName, name }) => {
            const text = entry[localName as keyof LogEntry] as string;
            return text === "" ? null : (
              <Field key={name} name={name.replaceAll("_", " ")}>
                {localName === "traceId" ? (
                  <a
                    title="All records of this trace"
                    href={toHref({ ...noFilter, trace: text, open: "" }, "/")}
                  >
                    {text}
                  </a>
                ) : (
                  text
                )}
              </Field>
            );
          })}
          {Object.entries(entry.attributes ?? {})
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, value]) => (
              <Field key={name} name={name} value={{ field: "attribute", name, value: valueText(value) }}>
                {typeof value === "string" ? value : <span class="typed-value">{valueText(value)}</span>}
              </Field>
            ))}
        </tbody>
      </table>
    </div>
  );
}

/** What a record may also say: a row each, where it does. */
const shownAbove = new Set(["deviceId", "sessionId", "logger", "message", "severityText"]);
const otherTexts = LogEntrySchema.fields.filter(
  ({ fieldKind, scalar, localName }) =>
    fieldKind === "scalar" && scalar === ScalarType.STRING && !shownAbove.has(localName),
);

interface FieldProps {
  readonly name: string;
  readonly note?: string;
  readonly value?: FieldValue;
  /** A condition on a session needs its device. */
  readonly device?: string;
  readonly children: ComponentChild;
}

function Field({ name, note, value, device, children }: FieldProps) {
  const filter = view.value;
  const onlyThis = value && filterFor(filter, value);
  const withoutThis = value && filterOut(filter, value);
  const isColumn = filter.columns.includes(name);
  return (
    <tr class={value?.field === "attribute" ? "field-attribute" : ""}>
      <th scope="row">
        <bdi>{name}</bdi>
      </th>
      <td class="field-actions">
        {onlyThis && (
          <button
            type="button"
            title="Only records with this value"
            aria-label={`Filter for this ${name}`}
            onClick={() => change({ ...onlyThis, ...(device ? { devices: [device] } : {}) })}
          >
            +
          </button>
        )}
        {withoutThis && (
          <button
            type="button"
            title="No records with this value"
            aria-label={`Filter out this ${name}`}
            onClick={() => change({ ...withoutThis, open: "" })}
          >
            −
          </button>
        )}
        {value?.field === "attribute" && (
          <button
            type="button"
            title={isColumn ? "Remove column" : "Add column"}
            aria-label={`Column ${name}`}
            aria-pressed={isColumn}
            onClick={() =>
              change({
                columns: isColumn
                  ? filter.columns.filter((each) => each !== name)
                  : [...filter.columns, name],
              })
            }
          >
            ▥
          </button>
        )}
      </td>
      <td class="field-value">
        <bdi>{children}</bdi>
        {note !== undefined && <span class="note"> {note}</span>}
      </td>
    </tr>
  );
}

const timeNotes: Readonly<Record<TimeSource, string>> = {
  [TimeSource.UNSPECIFIED]: "by the device's clock",
  [TimeSource.BOOT_TIME]: "from its uptime and its boot, by the device's clock",
  [TimeSource.UPTIME]: "estimated from its uptime: the device sent no time",
  [TimeSource.OBSERVED]: "when a collector first saw it: the device sent no time",
  [TimeSource.RECEIVED]: "when it was received: the device sent no time",
};

function delayText(micros: number): string {
  if (Math.abs(micros) < 1000) return "at once";
  const text = durationText(Math.abs(micros) / 1e6);
  return micros > 0 ? `${text} later` : `${text} before: the device's clock is ahead`;
}

function json(entry: LogEntry): string {
  return JSON.stringify(toJson(LogEntrySchema, entry, { alwaysEmitImplicit: true }), null, 2);
}
