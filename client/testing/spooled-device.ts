// A device in its own process, to be killed: sends 40 batches, prints each one that the spool accepted,
// and keeps delivering them. node client/testing/spooled-device.ts FOLDER ADDRESS NAME

import { writeSync } from "node:fs";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { encodeRecord } from "#client/stream/record.ts";

const [folder = "", address = "", name = ""] = process.argv.slice(2);
const stream = new DeviceStream({
  deviceId: "host-1",
  address,
  spool: { folder },
  backoff: { baseMs: 1, capMs: 10 },
});
for (let turn = 1; turn <= 40; turn++) {
  const message = `${name}-${turn}`;
  await stream.send([encodeRecord({ message })], undefined);
  writeSync(1, `${message}\n`);
  await new Promise(setImmediate); // so that acks are processed
}
