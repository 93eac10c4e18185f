import { Readable } from "node:stream";
import { type SendOptions, send } from "#client/send/send.ts";

/** Runs `fleetlog send` inside the test and collects its output. */
export async function runSend(
  options: Partial<SendOptions>,
  {
    stdin = Readable.from([]),
    signal = new AbortController().signal,
  }: { stdin?: Readable; signal?: AbortSignal } = {},
) {
  const results: string[] = [];
  const problems: string[] = [];
  const output = {
    result: (text: string) => results.push(text),
    problem: (text: string) => problems.push(text),
  };
  const exitCode = await send({ deviceId: "host-1", inputs: ["-"], ...options }, { stdin, output, signal });
  return { exitCode, result: results.join("\n"), problems };
}
