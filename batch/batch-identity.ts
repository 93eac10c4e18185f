import { InvalidBatchError } from "./invalid-batch.ts";
import { limits } from "./limits.ts";
import { quoted } from "./quoted.ts";

/** Who sent a batch, and as which one: session "" and sequence 0n together are a sender without state. */
export interface BatchIdentity {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: bigint;
}

const nameCharacters = "A-Z a-z 0-9 . _ : -";
const namePattern = /^[A-Za-z0-9._:-]*$/;

/** Turns the wire's values into an identity, or throws an {@link InvalidBatchError} that names the field. */
export function batchIdentity(deviceId: Buffer, sessionId: Buffer, sequence: bigint): BatchIdentity {
  const identity = {
    deviceId: requiredName("batch.device_id", deviceId, limits.deviceIdBytesMax),
    sessionId: name("batch.session_id", sessionId, limits.sessionIdBytesMax),
    sequence,
  };
  if (sequence > limits.sequenceMax) {
    throw new InvalidBatchError("batch.sequence", `is ${sequence}, the limit is ${limits.sequenceMax}`);
  }
  if (identity.sessionId !== "" && sequence === 0n) {
    throw new InvalidBatchError(
      "batch.sequence",
      `is missing: batches of session ${quoted(sessionId)} are numbered from 1`,
    );
  }
  if (identity.sessionId === "" && sequence !== 0n) {
    throw new InvalidBatchError("batch.session_id", `is missing: sequence ${sequence} requires a session_id`);
  }
  return identity;
}

/**
 * The name of a session in a message of its own, whose fields lie at `path`, such as "report_committed.". Throws an
 * {@link InvalidBatchError} that names the field.
 */
export function sessionName(deviceId: string, sessionId: string, path: string) {
  return {
    deviceId: requiredName(`${path}device_id`, Buffer.from(deviceId), limits.deviceIdBytesMax),
    sessionId: requiredName(`${path}session_id`, Buffer.from(sessionId), limits.sessionIdBytesMax),
  };
}

function requiredName(field: string, bytes: Buffer, bytesMax: number): string {
  if (bytes.length > 0) return name(field, bytes, bytesMax);
  throw new InvalidBatchError(field, `is missing, expected 1 to ${bytesMax} characters of ${nameCharacters}`);
}

function name(field: string, bytes: Buffer, bytesMax: number): string {
  if (bytes.length > bytesMax) {
    throw new InvalidBatchError(
      field,
      `is ${quoted(bytes)}, ${bytes.length} bytes long, the limit is ${bytesMax}`,
    );
  }
  // Latin-1 keeps every byte apart, so what is not ASCII cannot slip through the pattern.
  const text = bytes.toString("latin1");
  if (!namePattern.test(text)) {
    throw new InvalidBatchError(field, `is ${quoted(bytes)}: only ${nameCharacters} are allowed`);
  }
  return text;
}
