import { recordTags, unreadableTags } from "../log-tags.ts";
import type { WireWriter } from "./wire-writer.ts";

/** Tags and lengths, rounded up. */
const besideBytesMax = 64;

/** Writes what stands for a record that could not be read; of its text no more than `keptBytesMax`. */
export function writeUnreadable(
  writer: WireWriter,
  json: Buffer,
  reason: string,
  keptBytesMax: number,
): number {
  const kept = Math.min(json.length, keptBytesMax);
  const why = Buffer.from(reason);
  const bytesMax = kept + why.length + besideBytesMax;
  const start = writer.open(recordTags.unreadable, bytesMax);
  writer.varint(unreadableTags.json);
  writer.varint(kept);
  writer.raw(json, 0, kept);
  writer.varint(unreadableTags.jsonBytes);
  writer.varint(json.length);
  writer.varint(unreadableTags.reason);
  writer.varint(why.length);
  writer.raw(why, 0, why.length);
  writer.close(start, bytesMax);
  return kept;
}
