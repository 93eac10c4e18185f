import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { encodeRecord } from "#client/stream/record.ts";

// `./manage.sh send-test`: one record through the front door, until the gateway gives it back. Exit code 0 or 1.

const [grpc = "nginx:50051", http = "nginx:8080"] = process.argv.slice(2);
const deadlineMs = 20_000;
const deviceId = "send-test";
const message = `send-test ${randomUUID()}`;

try {
  const startedAt = performance.now();
  const elapsedMs = () => Math.round(performance.now() - startedAt);
  using stream = new DeviceStream({
    deviceId,
    address: grpc,
    onRefused: (_, error) => fail(`refused: ${error.message}`),
  });
  await stream.send(
    [encodeRecord({ timeUnixNano: BigInt(Date.now()) * 1_000_000n, severity: 9, message })],
    undefined,
  );
  await stream.flush(deadlineMs);
  console.log(`acknowledged after ${elapsedMs()} ms`);
  while (!(await lastMessages()).includes(message)) {
    if (elapsedMs() > deadlineMs)
      fail(`acknowledged, but not to be found after ${deadlineMs} ms: is the consumer well?`);
    await sleep(50);
  }
  console.log(`found by a query after ${elapsedMs()} ms: ${message}`);
  process.exit(0);
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}

async function lastMessages(): Promise<string> {
  const response = await fetch(`http://${http}/v1/logs?device_id=${deviceId}&page_size=10`, {
    signal: AbortSignal.timeout(5_000),
  });
  const text = await response.text();
  if (!response.ok) fail(`the gateway answered ${response.status}: ${text.slice(0, 500)}`);
  return text;
}

function fail(reason: string): never {
  console.error(`send-test failed: ${reason}`);
  process.exit(1);
}
