import type { ComponentChild } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { toMicros } from "../api/timestamp.ts";
import { change, view } from "../state/location.ts";
import { listMarks, parseSearchText } from "../state/search-text.ts";
import { timeText } from "../state/time-text.ts";
import { attributeText } from "./attribute-text.ts";
import { LogDetail } from "./log-detail.tsx";
import { logKey } from "./log-key.ts";
import { LogRow } from "./log-row.tsx";
import { useShortcuts } from "./shortcuts.ts";
import { VirtualList, type VirtualListHandle } from "./virtual-list.tsx";

interface Props {
  readonly rows: readonly LogEntry[];
  readonly label: string;
  readonly foot?: ComponentChild;
  /** Scrolls to the end as rows are added. */
  readonly follows?: boolean;
  readonly onNearEnd?: () => void;
  readonly onEnd?: (isAtEnd: boolean) => void;
  /** A new value scrolls to the end. */
  readonly endRound?: number;
  /** A note above a record. */
  readonly noteBefore?: (key: string) => ComponentChild;
}

/** Records as rows, of which one may be open. `j` and `k` select the next and the previous one. */
export function LogTable({
  rows,
  label,
  foot,
  follows = false,
  onNearEnd,
  onEnd,
  endRound = 0,
  noteBefore,
}: Props) {
  const { columns, utc, wrap, search, open } = view.value;
  const list = useRef<VirtualListHandle>(null);
  const [current, setCurrent] = useState("");
  const keys = useMemo(() => rows.map(logKey), [rows]);
  const marks = useMemo(() => listMarks(parseSearchText(search)), [search]);
  const widths = useMemo(() => columnWidths(rows, columns), [rows, columns]);
  const showsDate = useMemo(() => !areOfOneDay(rows, utc), [rows, utc]);
  const showsYear = useMemo(() => rows.some((entry) => !isOfThisYear(entry)), [rows]);
  const isNarrow = useMemo(() => window.matchMedia("(max-width: 720px)"), []).matches;

  useEffect(() => {
    if (endRound > 0) list.current?.showEnd();
  }, [endRound]);
  // A link to a record scrolls to it.
  const shown = useRef("");
  useEffect(() => {
    const index = keys.indexOf(open);
    if (open === shown.current || index < 0) return;
    shown.current = open;
    if (current === "") list.current?.show(index);
  }, [keys, open]);

  const toggle = (key: string) => {
    setCurrent(key);
    change({ open: open === key ? "" : key }, { replace: true });
  };
  const go = (step: number) => {
    if (keys.length === 0) return;
    const at = keys.indexOf(current === "" ? open : current);
    const next = at < 0 ? (follows ? keys.length - 1 : 0) : Math.max(0, Math.min(keys.length - 1, at + step));
    const key = keys[next] ?? "";
    setCurrent(key);
    if (open !== "") change({ open: key }, { replace: true });
    list.current?.show(next);
  };
  useShortcuts({
    j: () => go(1),
    k: () => go(-1),
    Enter: () => (current === "" ? false : toggle(current)),
    o: () => (current === "" ? false : toggle(current)),
    Escape: () => (open === "" ? false : change({ open: "" }, { replace: true })),
  });

  const style = {
    "--device": `${widths.device}ch`,
    "--logger": `${widths.logger}ch`,
    "--attributes": columns.map((name) => `${widths.attributes.get(name) ?? 8}ch`).join(" "),
    "--time": showsDate ? (showsYear ? "24ch" : "19ch") : "13ch",
  };
  return (
    <div
      class={`log-table${wrap ? " wrap" : ""}`}
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      style={style}
    >
      <div role="rowgroup">
        <div class="row row-head" role="row" aria-rowindex={1}>
          <span class="cell" role="columnheader">
            <span class="off-screen">Open</span>
          </span>
          <span class="cell" role="columnheader">
            Time {utc ? "UTC" : ""}
          </span>
          <span class="cell" role="columnheader">
            Level
          </span>
          <span class="cell" role="columnheader">
            Device
          </span>
          <span class="cell" role="columnheader">
            Logger
          </span>
          {columns.map((name) => (
            <span class="cell" role="columnheader" key={name} title={name}>
              <bdi>{name}</bdi>
              <button
                type="button"
                class="remove"
                aria-label={`Remove column ${name}`}
                onClick={() => change({ columns: columns.filter((each) => each !== name) })}
              >
                ×
              </button>
            </span>
          ))}
          <span class="cell" role="columnheader">
            Message
          </span>
        </div>
      </div>
      <VirtualList
        handle={list}
        keys={keys}
        label={label}
        layout={`${wrap} ${isNarrow} ${columns.join()}`}
        follows={follows}
        foot={foot}
        {...(onNearEnd ? { onNearEnd } : {})}
        {...(onEnd ? { onEnd } : {})}
        render={(index) => {
          const entry = rows[index];
          const key = keys[index];
          if (entry === undefined || key === undefined) return null;
          return (
            <>
              {noteBefore?.(key)}
              <LogRow
                entry={entry}
                rowIndex={index + 2}
                columns={columns}
                marks={marks}
                utc={utc}
                showsDate={showsDate}
                isOpen={key === open}
                isCurrent={key === current}
                onToggle={() => toggle(key)}
              />
              {key === open && (
                <div role="row">
                  <div role="cell">
                    <LogDetail entry={entry} marks={marks} />
                  </div>
                </div>
              )}
            </>
          );
        }}
      />
    </div>
  );
}

/** In characters: the width of the widest of the first rows, within limits. */
function columnWidths(rows: readonly LogEntry[], columns: readonly string[]) {
  const widest = (textOf: (entry: LogEntry) => string, least: number, most: number) =>
    Math.min(
      most,
      rows.slice(0, 500).reduce((width, entry) => Math.max(width, textOf(entry).length + 1), least),
    );
  return {
    device: widest(({ deviceId }) => deviceId, 8, 24),
    logger: widest(({ logger }) => logger, 8, 22),
    attributes: new Map(
      columns.map((name) => [name, widest((entry) => attributeText(entry, name), name.length + 3, 30)]),
    ),
  };
}

function isOfThisYear(entry: LogEntry): boolean {
  return new Date((toMicros(entry.time) ?? 0) / 1000).getFullYear() === new Date().getFullYear();
}

function areOfOneDay(rows: readonly LogEntry[], utc: boolean): boolean {
  const [first, last] = [rows[0], rows.at(-1)];
  const formatDay = (entry: LogEntry | undefined) => timeText(toMicros(entry?.time) ?? 0, utc).date;
  return formatDay(first) === formatDay(last) && formatDay(first) === timeText(Date.now() * 1000, utc).date;
}
