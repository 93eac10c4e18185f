import { create, toBinary } from "@bufbuild/protobuf";
import { LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { DeviceProgram, type ProgramEvent } from "#test/support/device-program.ts";
import { pythonDevice } from "#test/support/python-package.ts";

let sessions = 0;

/** The Python device program, in a session of its own; `flags` are further arguments. */
export async function startDevice(
  deviceId: string,
  address: string,
  ...flags: readonly string[]
): Promise<DeviceProgram> {
  const session = `run-${process.pid}-${++sessions}`;
  const pace = ["--backoff-base-ms", "10", "--backoff-cap-ms", "100", "--ack-timeout-ms", "30000"];
  const names = { deviceId, session, grpc: address, http: "" };
  return new DeviceProgram(await pythonDevice(), { ...names, flags: [...pace, ...flags] });
}

/** Hands the device one batch of records with these messages. */
export function sendMessages(device: DeviceProgram, ...messages: readonly string[]): void {
  const severity = Severity.INFO;
  device.send(
    messages.map((message) => toBinary(LogRecordSchema, create(LogRecordSchema, { message, severity }))),
  );
}

/** What the Python program says beyond the contract. */
export type PythonEvent = ProgramEvent & { readonly delayMs?: number; readonly reason?: string };
