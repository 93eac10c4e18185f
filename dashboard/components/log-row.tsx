import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toMicros } from "../api/timestamp.ts";
import { severityLabel, toLevel } from "../state/severity-level.ts";
import { timeText } from "../state/time-text.ts";
import { attributeText, valueText } from "./attribute-text.ts";
import { LogText } from "./log-text.tsx";

interface Props {
  readonly entry: LogEntry;
  readonly rowIndex: number;
  readonly columns: readonly string[];
  readonly marks: readonly string[];
  readonly utc: boolean;
  readonly showsDate: boolean;
  readonly isOpen: boolean;
  readonly isCurrent: boolean;
  readonly onToggle: () => void;
}

/** One record on one line. */
export function LogRow({
  entry,
  rowIndex,
  columns,
  marks,
  utc,
  showsDate,
  isOpen,
  isCurrent,
  onToggle,
}: Props) {
  const { date, time } = timeText(toMicros(entry.time) ?? 0, utc);
  const level = toLevel(entry.severity);
  const rest = Object.entries(entry.attributes ?? {}).filter(([name]) => !columns.includes(name));
  return (
    <div
      class={`row level-${level.name}${isCurrent ? " current" : ""}${isOpen ? " open" : ""}`}
      role="row"
      aria-rowindex={rowIndex}
      onClick={(event) => isPlainClick(event) && onToggle()}
    >
      <span class="cell cell-toggle" role="cell">
        <button
          type="button"
          class="toggle"
          aria-expanded={isOpen}
          aria-label="All fields"
          tabIndex={-1}
          onClick={(event) => {
            event.stopPropagation();
            onToggle();
          }}
        />
      </span>
      <span class="cell cell-time" role="cell">
        {showsDate && <span class="date">{shortDate(date)} </span>}
        {time}
      </span>
      <span class="cell cell-severity" role="cell">
        {severityLabel(entry.severity)}
      </span>
      <span class="cell cell-device" role="cell" title={entry.deviceId}>
        {entry.deviceId}
      </span>
      <span class="cell cell-logger" role="cell" title={entry.logger}>
        <bdi>{entry.logger}</bdi>
      </span>
      {columns.map((name) => (
        <span class="cell cell-attribute" role="cell" key={name} title={attributeText(entry, name)}>
          <bdi>{attributeText(entry, name)}</bdi>
        </span>
      ))}
      <span class="cell cell-message" role="cell">
        <LogText text={entry.message.slice(0, shownMax)} marks={marks} />
        {rest.map(([name, value]) => (
          <span class="attribute" key={name}>
            <bdi>
              {name}={valueText(value).slice(0, 200)}
            </bdi>
          </span>
        ))}
      </span>
    </div>
  );
}

/** The rest of a longer message is shown when its row is open. */
const shownMax = 2000;

/** A click that ends a selection of text, or hits a control, does not open the row. */
function isPlainClick(event: MouseEvent): boolean {
  const selection = window.getSelection();
  return (
    (selection === null || selection.isCollapsed) && (event.target as Element).closest("a, button") === null
  );
}

/** Omits the current year. */
function shortDate(date: string): string {
  return date.startsWith(`${new Date().getFullYear()}-`) ? date.slice(5) : date;
}
