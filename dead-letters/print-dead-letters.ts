import type { DeadLetter } from "./find-dead-letters.ts";
import type { Plan } from "./plan-replay.ts";

/** Formats a dead letter as one line. */
export function formatLine(deadLetter: DeadLetter): string {
  const { id, kind, at, deviceId, sessionId, sequence, index, reason, recordCount, replayedBatch } =
    deadLetter;
  const location =
    deviceId === "" ? "" : `${deviceId} ${sessionId} ${sequence}${index === undefined ? "" : `[${index}]`}`;
  const replayed = replayedBatch === undefined ? "" : ` (stored as batch ${replayedBatch})`;
  const what = recordCount === 1 ? kind : `${kind} of ${recordCount} records`;
  return `${id}  ${at.toISOString()}  ${what}  ${printable(location)}  ${printable(reason)}${replayed}`;
}

/** All fields, the bytes as base64, and also as text when they are JSON. */
export function toJson(deadLetter: DeadLetter): Readonly<Record<string, unknown>> {
  const { id, sequence, raw, receivedAtMicros, replayedBatch, ...rest } = deadLetter;
  return {
    id: String(id),
    ...rest,
    sequence: String(sequence),
    receivedAt: receivedAtMicros === undefined ? undefined : new Date(receivedAtMicros / 1000),
    replayedBatch: replayedBatch?.toString(),
    raw: raw.toString("base64"),
    text: deadLetter.isJson ? raw.toString() : undefined,
  };
}

/** Formats one dead letter with its first bytes: JSON as text, others as `hexdump -C` does. */
export function formatPage(deadLetter: DeadLetter, plan: Plan): string {
  const { raw, rawBytes, isJson, receivedAtMicros, replayedAt } = deadLetter;
  const shown = raw.subarray(0, isJson ? textBytesMax : dumpBytesMax);
  const received =
    receivedAtMicros === undefined ? "not known" : new Date(receivedAtMicros / 1000).toISOString();
  return [
    formatLine(deadLetter),
    `received ${received}, ${rawBytes} bytes${isJson ? " of JSON" : ""}, ${raw.length} kept`,
    replayedAt === undefined
      ? `not replayed; a replay would: ${describePlan(plan)}`
      : `replayed ${replayedAt.toISOString()}`,
    ...(isJson ? shown.toString().split("\n").map(printable) : dump(shown)),
    ...(raw.length > shown.length ? [`… all ${raw.length} with --json`] : []),
  ].join("\n");
}

/** Describes what a replay would do. */
export function describePlan(plan: Plan): string {
  if ("impossible" in plan) return `nothing, it cannot be repaired: ${printable(plan.impossible)}`;
  const { entry, repairs } = plan;
  const as = `store it as ${entry.deviceId} ${entry.sessionId} ${entry.sequence}`;
  return repairs.length === 0 ? `${as}, unchanged` : `${as}, ${printable(repairs.join("; "))}`;
}

function* dump(bytes: Buffer): Generator<string> {
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const hex = row.toString("hex").replaceAll(/../g, "$& ").padEnd(48);
    yield `${at.toString(16).padStart(6, "0")}  ${hex} ${row.toString("latin1").replaceAll(/[^ -~]/g, ".")}`;
  }
}

/** Escapes control characters: device data must not control the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

const dumpBytesMax = 512;
const textBytesMax = 4096;
