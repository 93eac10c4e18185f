import type { Letter } from "./letters.ts";
import type { Plan } from "./plan-replay.ts";

/** One line for a person. */
export function line(letter: Letter): string {
  const { id, kind, at, deviceId, sessionId, sequence, index, reason, replayedBatch } = letter;
  const place =
    deviceId === "" ? "" : `${deviceId} ${sessionId} ${sequence}${index === undefined ? "" : `[${index}]`}`;
  const replayed = replayedBatch === undefined ? "" : ` (stored as batch ${replayedBatch})`;
  return `${id}  ${at.toISOString()}  ${kind}  ${printable(place)}  ${printable(reason)}${replayed}`;
}

/** All of it, its bytes as base64. */
export function object(letter: Letter): Readonly<Record<string, unknown>> {
  const { id, sequence, raw, receivedAtMicros, replayedBatch, ...rest } = letter;
  return {
    id: String(id),
    ...rest,
    sequence: String(sequence),
    receivedAt: receivedAtMicros === undefined ? undefined : new Date(receivedAtMicros / 1000),
    replayedBatch: replayedBatch?.toString(),
    raw: raw.toString("base64"),
  };
}

/** One letter with its bytes as `hexdump -C` shows them, the first so many. */
export function page(letter: Letter, plan: Plan): string {
  const { raw, rawBytes, receivedAtMicros, replayedAt } = letter;
  const received =
    receivedAtMicros === undefined ? "not known" : new Date(receivedAtMicros / 1000).toISOString();
  return [
    line(letter),
    `received ${received}, ${rawBytes} bytes, ${raw.length} kept`,
    replayedAt === undefined
      ? `not replayed; a replay would: ${intent(plan)}`
      : `replayed ${replayedAt.toISOString()}`,
    ...dump(raw.subarray(0, dumpBytesMax)),
    ...(raw.length > dumpBytesMax ? [`… all ${raw.length} with --json`] : []),
  ].join("\n");
}

/** What a replay does with a letter. */
export function intent(plan: Plan): string {
  if ("impossible" in plan) return `nothing, for it cannot be repaired: ${printable(plan.impossible)}`;
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

/** What a device wrote must not move the cursor of a terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

const dumpBytesMax = 512;
