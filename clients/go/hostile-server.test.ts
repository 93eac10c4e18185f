import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { encodeRecord } from "#client/stream/record.ts";
import { HostilePeer } from "#client/testing/hostile-peer.ts";
import { misbehaviours } from "#client/testing/misbehaviours.ts";
import { StreamLogsRequestSchema } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { DeviceProgram, type ProgramOptions } from "#test/support/device-program.ts";
import { whyNoGo } from "#test/support/go-client.ts";
import { goDevice, goPrograms } from "#test/support/go-package.ts";
import { waitFor } from "#test/support/wait-for.ts";

// The Go client against servers that break the rules, each scripted on a real socket.

const noGo = await whyNoGo();
/** The first build takes minutes. */
const timeout = 900_000;
const names = Array.from({ length: 40 }, (_, index) => `batch ${index + 1}`);

async function start(options: Pick<ProgramOptions, "grpc" | "flags">): Promise<DeviceProgram> {
  return new DeviceProgram(await goDevice(), {
    deviceId: "hostile",
    session: "boot-1",
    http: "",
    ...options,
  });
}

describe("a Go device that keeps batches until they are committed, and a server that", {
  concurrency: 3,
  skip: noGo ?? false,
  timeout,
}, () => {
  before(async () => void (await goPrograms()));

  for (const [what, misbehaviour] of Object.entries(misbehaviours)) {
    test(what, async () => {
      using peer = await new HostilePeer().start();
      peer.misbehaviour = { times: 2, act: misbehaviour(peer) };
      const flags = ["--keep-until", "committed", "--ack-timeout-ms", "400", "--commit-timeout-ms", "600"];
      await using device = await start({ grpc: peer.address, flags });
      for (const message of names) device.send([encodeRecord({ message })]);
      await device.finish();
      assert.deepEqual(
        device.all("acknowledged").map(({ id }) => id),
        names.map((_, index) => index + 1),
      );
      assert.equal(device.all("committed").at(-1)?.through, String(names.length));
      const first = new Map<bigint, string>();
      for (const { sequence, request } of peer.seen) {
        const { batch } = fromBinary(StreamLogsRequestSchema, request);
        const records = JSON.stringify(batch?.records.map(({ message }) => message));
        assert.equal(records, first.get(sequence) ?? records);
        first.set(sequence, records);
      }
      assert.equal(first.size, names.length);
      assert.deepEqual([...device.all("refused"), ...device.all("dropped"), ...device.all("failed")], []);
    });
  }

  test("refuses the stream as such is asked again, and nothing is dropped", async () => {
    using peer = await new HostilePeer().start();
    let codes = [3, 7, 12, 16];
    peer.misbehaviour = {
      times: codes.length,
      act(stream) {
        const [code, ...rest] = codes;
        codes = rest;
        stream.respond(
          { ":status": 200, "content-type": "application/grpc", "grpc-status": String(code) },
          { endStream: true },
        );
      },
    };
    await using device = await start({ grpc: peer.address });
    device.send([encodeRecord({ message: "one" })]);
    await waitFor("four refusals", () => codes.length === 0);
    await device.finish();
    assert.deepEqual([device.all("acknowledged").length, device.all("dropped").length], [1, 0]);
  });
});
