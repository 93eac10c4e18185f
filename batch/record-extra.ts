import { writeBytes, writeNull } from "./copy-format.ts";
import type { RareFields } from "./rare-fields.ts";
import { rareStringFields } from "./string-fields.ts";
import { Timestamp } from "./timestamp.ts";

/** `flags` of record_extra: a bit, and the place of the TimeSource. */
export const recordFlags = { isTextRepaired: 1, timeSourceShift: 1 } as const;

// Types by their fixed numbers in pg_type.
const types = { bytea: 17, int8: 20, int2: 21, text: 25, timestamptz: 1184 } as const;

/** The attributes of record_extra: texts and ids, then uptime, observed_time and flags. */
const attributeCount = rareStringFields.length + 3;

/** A record_extra besides its texts: their number, for each attribute a type and a length, and the three numbers. */
export const extraBytesMax = 4 + 8 * attributeCount + (8 + 8 + 2);

const observed = new Timestamp();

/**
 * Writes a record_extra; NULL when nothing is in it. A composite value is the number of its attributes and, for each,
 * its type, a length and that many bytes, or -1 for NULL.
 */
export function writeExtra(
  out: Buffer,
  view: DataView,
  position: number,
  bytes: Buffer,
  rare: RareFields | undefined,
  flags: number,
): number {
  let isNull = flags === 0;
  view.setInt32(position + 4, attributeCount);
  let to = position + 8;
  for (const [index, { isId }] of rareStringFields.entries()) {
    const [start, end] = [rare?.bounds[2 * index] ?? 0, rare?.bounds[2 * index + 1] ?? 0];
    view.setInt32(to, isId ? types.bytea : types.text);
    if (start < end) isNull = false;
    to = start < end ? writeBytes(out, view, to + 4, bytes, start, end) : writeNull(view, to + 4);
  }
  view.setInt32(to, types.int8);
  if (rare?.hasUptime === true) {
    isNull = false;
    view.setInt32(to + 4, 8);
    view.setInt32(to + 8, rare.uptimeHigh);
    view.setInt32(to + 12, rare.uptimeLow);
    to += 16;
  } else to = writeNull(view, to + 4);
  view.setInt32(to, types.timestamptz);
  if (rare?.hasObservedTime === true) {
    isNull = false;
    observed.setNanos(rare.observedHigh, rare.observedLow);
    view.setInt32(to + 4, 8);
    observed.write(view, to + 8);
    to += 16;
  } else to = writeNull(view, to + 4);
  view.setInt32(to, types.int2);
  if (flags > 0) {
    view.setInt32(to + 4, 2);
    view.setInt16(to + 8, flags);
    to += 10;
  } else to = writeNull(view, to + 4);
  view.setInt32(position, to - position - 4);
  return isNull ? writeNull(view, position) : to;
}
