import type { SequenceRange } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { DroppedBatches, Session } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { countText } from "../state/time-text.ts";

/** A session as a bar from its first batch to its last, and as text. */
export function SessionRanges({ session }: { session: Session }) {
  const { receivedRanges: received, holes, drops } = session;
  const last = Math.max(1, ...[...received, ...holes, ...drops].map((range) => Number(range.last)));
  // A session of too many ranges is drawn from the first one that GetDevice returned.
  const isWhole = received.length < rangesMax && holes.length < rangesMax;
  const shown = [...received.slice(0, 1), ...holes.slice(0, 1)].map(({ first }) => Number(first));
  const start = isWhole ? 0 : Math.min(...shown) - 1;
  const scale = width / Math.max(1, last - start);
  const bar = (range: Range, name: string, { y, height, widthMin }: Shape) => (
    <rect
      class={name}
      x={(Number(range.first) - 1 - start) * scale}
      y={y}
      width={Math.max(widthMin, (Number(range.last) - Number(range.first) + 1) * scale)}
      height={height}
    >
      <title>{`${rangeText(range)} ${name}${range.reason ? `: ${range.reason}` : ""}`}</title>
    </rect>
  );
  const words = describeSession(session, last);
  return (
    <>
      <svg
        class="ranges"
        viewBox={`0 0 ${width} 10`}
        preserveAspectRatio="none"
        role="img"
        aria-label={words.join("; ")}
      >
        {drops.map((range) => bar(range, "dropped", { y: 3, height: 4, widthMin: 3 }))}
        {/* On top: batches that were declared as dropped may have arrived all the same. */}
        {received.map((range) => bar(range, "received", { y: 0, height: 10, widthMin: 0.5 }))}
        {holes.map((range) => bar(range, "missing", { y: 0, height: 10, widthMin: 3 }))}
      </svg>
      {words.map((text) => (
        <div key={text} class="note wide">
          {text}
        </div>
      ))}
    </>
  );
}

/** The legend of the bars. */
export function RangesLegend() {
  return (
    <p class="ranges-legend note">
      {["received", "missing", "dropped"].map((name) => (
        <span key={name}>
          <i class={`swatch ${name}`} /> {name === "dropped" ? "declared as dropped" : name}
        </span>
      ))}
    </p>
  );
}

type Range = Pick<SequenceRange, "first" | "last"> & Partial<Pick<DroppedBatches, "reason">>;

interface Shape {
  readonly y: number;
  readonly height: number;
  readonly widthMin: number;
}

function describeSession({ holes, drops, missingCount, droppedCount }: Session, last: number): string[] {
  const words: string[] = [];
  if (missingCount > 0n) {
    words.push(`missing ${countText(missingCount)} of ${countText(last)}: ${listText(holes.map(rangeText))}`);
  }
  if (droppedCount > 0n) {
    const texts = drops.map((range) => rangeText(range) + (range.reason === "" ? "" : ` (${range.reason})`));
    words.push(`dropped ${countText(droppedCount)}: ${listText(texts)}`);
  }
  return words.length > 0 ? words : [`complete: 1 – ${countText(last)}`];
}

function rangeText({ first, last }: Range): string {
  return first === last ? `${first}` : `${first}–${last}`;
}

/** The last texts. */
function listText(texts: readonly string[]): string {
  return `${texts.slice(-wordsMax).join(", ")}${texts.length > wordsMax ? " and more" : ""}`;
}

const width = 400;
const wordsMax = 6;
/** GetDevice returns at most this many ranges of a kind. */
const rangesMax = 100;
