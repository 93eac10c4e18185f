import { useEffect, useRef, useState } from "preact/hooks";
import { change, view } from "../state/location.ts";
import { allTime, type Micros, rangePresets, resolveRange, type TimeRange } from "../state/time-range.ts";
import { durationText, nowMicros, timeText, zoneText } from "../state/time-text.ts";

/** Chooses the time range: a preset, all, or from and to. */
export function RangePicker() {
  const { range, utc } = view.value;
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const close = (event: Event) => {
      if (
        event instanceof KeyboardEvent ? event.key === "Escape" : !box.current?.contains(event.target as Node)
      )
        setOpen(false);
    };
    window.addEventListener("pointerdown", close);
    window.addEventListener("keydown", close);
    return () => {
      window.removeEventListener("pointerdown", close);
      window.removeEventListener("keydown", close);
    };
  }, [isOpen]);
  const choose = (range: TimeRange) => {
    setOpen(false);
    change({ range, open: "" });
  };
  const zoomOut = () => {
    const { from, to = nowMicros() } = resolveRange(range, nowMicros());
    if (from !== undefined)
      choose({ from: from - (to - from) / 2, to: Math.min(nowMicros(), to + (to - from) / 2) });
  };
  return (
    <div class="range-picker" ref={box}>
      <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <span class="range-text">{rangeText(range, utc)}</span> <span aria-hidden="true">▾</span>
      </button>
      {"from" in range && range.from !== undefined && (
        <button type="button" title="Double the time range" aria-label="Zoom out" onClick={zoomOut}>
          ⤢
        </button>
      )}
      {isOpen && (
        <div class="popover">
          <div class="presets">
            {rangePresets.map(({ name, label, seconds }) => (
              <button
                key={name}
                type="button"
                class="quiet"
                aria-pressed={"lastSeconds" in range && range.lastSeconds === seconds}
                onClick={() => choose({ lastSeconds: seconds })}
              >
                {label}
              </button>
            ))}
            <button type="button" class="quiet" onClick={() => choose(allTime)}>
              All time
            </button>
          </div>
          <FromTo range={range} utc={utc} onChoose={choose} />
        </div>
      )}
    </div>
  );
}

function FromTo({
  range,
  utc,
  onChoose,
}: {
  range: TimeRange;
  utc: boolean;
  onChoose: (range: TimeRange) => void;
}) {
  const { from, to } = resolveRange(range, nowMicros());
  const [typed, setTyped] = useState({ from: inputText(from, utc), to: inputText(to, utc) });
  const zone = utc ? "UTC" : `UTC${zoneText(nowMicros())}`;
  return (
    <form
      class="from-to"
      onSubmit={(event) => {
        event.preventDefault();
        const [first, last] = [inputMicros(typed.from, utc), inputMicros(typed.to, utc)];
        const isTurned = first !== undefined && last !== undefined && first > last;
        onChoose(isTurned ? { from: last, to: first } : { from: first, to: last });
      }}
    >
      {(["from", "to"] as const).map((end) => (
        <label key={end}>
          {end === "from" ? `From (${zone})` : "To (empty: now)"}
          <input
            type="datetime-local"
            step="1"
            value={typed[end]}
            onInput={(event) => setTyped({ ...typed, [end]: event.currentTarget.value })}
          />
        </label>
      ))}
      <button type="submit" class="primary">
        Apply
      </button>
    </form>
  );
}

function rangeText(range: TimeRange, utc: boolean): string {
  if ("lastSeconds" in range) {
    const preset = rangePresets.find(({ seconds }) => seconds === range.lastSeconds);
    return preset?.label ?? `Last ${durationText(range.lastSeconds)}`;
  }
  const { from, to } = range;
  if (from === undefined && to === undefined) return "All time";
  if (from === undefined) return `until ${short(to ?? 0, utc)}`;
  if (to === undefined) return `since ${short(from, utc)}`;
  const end =
    timeText(from, utc).date === timeText(to, utc).date ? timeText(to, utc, 0).time : short(to, utc);
  return `${short(from, utc)} – ${end}`;
}

function short(micros: Micros, utc: boolean): string {
  const { date, time } = timeText(micros, utc, 0);
  return `${date} ${time}`;
}

function inputText(micros: Micros | undefined, utc: boolean): string {
  if (micros === undefined) return "";
  const { date, time } = timeText(micros, utc, 0);
  return `${date}T${time}`;
}

function inputMicros(text: string, utc: boolean): Micros | undefined {
  const ms = Date.parse(utc ? `${text}${text.length === 16 ? ":00" : ""}Z` : text);
  return Number.isNaN(ms) ? undefined : ms * 1000;
}
