import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { limits } from "#batch/limits.ts";
import { decodeInput } from "#client/files/decode-input.ts";
import { asInput, checkInputs, InputError } from "#client/files/read-inputs.ts";
import { readLines } from "#client/files/read-lines.ts";
import { LineEncoder, type ReadRecord } from "#client/lines/line-encoder.ts";
import type { SendOptions } from "#client/send/send.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

const severityNames = new Map<number, string>(Object.entries(Severity).map(([name, value]) => [value, name]));
const recordsShown = 20;
const messageShown = 100;

/**
 * Shows the records that `fleetlog send` would make of the first lines of each input, without sending.
 * Reports an unreadable input to `fail`.
 */
export async function previewInputs(
  inputs: readonly string[],
  options: Pick<SendOptions, "multiline" | "timeFormat" | "timeZone"> & { readonly stdin: Readable },
  { print, fail }: { readonly print: (text: string) => void; readonly fail: (error: InputError) => void },
): Promise<void> {
  await checkInputs(inputs);
  for (const input of inputs) {
    const source = input === "-" ? options.stdin : createReadStream(input);
    const nowMs = input === "-" ? undefined : (await stat(input)).mtimeMs;
    const { multiline, timeFormat: format, timeZone: zone } = options;
    const encoder = new LineEncoder({ file: input, multiline, format, zone, nowMs, isLive: false });
    const records: ReadRecord[] = [];
    let failure: InputError | undefined;
    try {
      for await (const lines of readLines(asInput(input, decodeInput(source)), limits.messageBytesMax)) {
        for (const { number, bytes } of lines) {
          const record = records.length < recordsShown && encoder.add({ number, bytes });
          if (record) records.push(record);
        }
        if (records.length >= recordsShown) break;
      }
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      failure = error;
    }
    const last = encoder.finish();
    if (last && records.length < recordsShown) records.push(last);
    for (const record of records) print(describe(input, record));
    const { lines, timedLines } = encoder.counts;
    print(`${input}: found a time in ${timedLines} of the first ${lines} lines`);
    if (failure) fail(failure);
  }
}

function describe(input: string, record: ReadRecord): string {
  const { timeUnixNano, timeFormat, severity, message, firstLine, lastLine } = record;
  const time = timeUnixNano === 0n ? "no time" : new Date(Number(timeUnixNano / 1_000_000n)).toISOString();
  const lineNumbers = firstLine === lastLine ? `${firstLine}` : `${firstLine}-${lastLine}`;
  const how = timeFormat === "" ? "time of the previous line, or of receipt" : `by ${timeFormat}`;
  const text = message
    .toString()
    .slice(0, messageShown)
    .replaceAll("\n", "\u23ce")
    .replaceAll(/[\p{Cc}]/gu, "\u00b7");
  return `${input}:${lineNumbers}  ${time} (${how})  ${severityNames.get(severity) ?? severity}  ${text}`;
}
