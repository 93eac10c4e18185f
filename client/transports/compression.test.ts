import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { encodeRecord } from "#client/stream/record.ts";
import { StoredLogs } from "#client/testing/stored-logs.ts";
import { ConnectTransport } from "#client/transports/connect-transport.ts";
import { Hop } from "#test/faults/hop.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";

let system: TestSystem;
let stored: StoredLogs;
before(async () => {
  system = await startSystem();
  stored = new StoredLogs(system.databaseUrl);
});
after(async () => {
  await stored?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

const batchCount = 20;
const records = Array.from({ length: 100 }, (_, index) =>
  encodeRecord({ message: `connection to 10.0.0.${index} lost, trying again in ${index} s`, logger: "net" }),
);

/** Sends the batches, over gRPC or Connect, and returns the bytes that went up. */
async function sentBytes(
  deviceId: string,
  transport: "grpc" | "connect",
  compression?: "gzip",
): Promise<number> {
  const port = new URL(transport === "grpc" ? `http://${system.grpcAddress}` : system.httpUrl).port;
  await using hop = await Hop.before(Number(port));
  let bytesUp = 0;
  hop.tamper(({ direction, bytes, pass }) => {
    if (direction === "up") bytesUp += bytes.byteLength;
    return pass(bytes);
  });
  using connect =
    transport === "connect"
      ? new ConnectTransport({ baseUrl: `http://${hop.address}`, compression })
      : undefined;
  using stream = new DeviceStream({ deviceId, address: hop.address, transport: connect, compression });
  for (let batch = 0; batch < batchCount; batch += 1) await stream.send(records, undefined);
  await stream.flush(60_000);
  return bytesUp;
}

for (const transport of ["grpc", "connect"] as const) {
  test(`with gzip a device sends less than a third of the bytes over ${transport}, and the same records`, async () => {
    const plain = await sentBytes(`plain-${transport}`, transport);
    const gzip = await sentBytes(`gzip-${transport}`, transport, "gzip");
    assert.ok(gzip < plain / 3, `${gzip} of ${plain} bytes`);
    const [one, other] = await Promise.all(
      ["plain", "gzip"].map((name) => stored.toRecords(`${name}-${transport}`, batchCount * records.length)),
    );
    assert.deepEqual(
      other!.map(({ message }) => message),
      one!.map(({ message }) => message),
    );
  });
}
