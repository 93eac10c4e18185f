/** One batch as the server took it in and as the consumer gets it. */
export interface Entry {
  readonly deviceId: string;
  /** As the device named it, or `~…` when the server had to. */
  readonly sessionId: string;
  readonly sequence: bigint;
  /** Microseconds since 1970, by the clock of the server that took it in. */
  readonly receivedAtMicros: number;
  /** 16 bytes over `batch`. */
  readonly digest: Buffer;
  /** One encoded `fleetlog.v1.LogBatch`, byte for byte as it was sent. */
  readonly batch: Uint8Array;
  /** The dead letter that comes back with this entry; an operator's doing, never a device's. */
  readonly letterId?: bigint;
}

/** What is in the stream but is no entry: it can never be stored, so it is kept elsewhere, with this reason. */
export class MalformedEntryError extends Error {
  override readonly name = "MalformedEntryError";
}

const version = "1";

/**
 * The fields of an entry, in the order in which all entries have them: Redis stores the names of a run of
 * entries with the same fields only once.
 */
export function encodeEntry(entry: Entry): (string | Buffer)[] {
  return [
    "version",
    version,
    "device",
    entry.deviceId,
    "session",
    entry.sessionId,
    "sequence",
    entry.sequence.toString(),
    "received_at",
    entry.receivedAtMicros.toString(),
    "digest",
    entry.digest,
    "batch",
    asBuffer(entry.batch),
    ...(entry.letterId === undefined ? [] : ["letter", entry.letterId.toString()]),
  ];
}

/** Reads an entry from its fields (name, value, name, value, …). Throws {@link MalformedEntryError} and nothing else. */
export function decodeEntry(fields: readonly Buffer[]): Entry {
  const values = new Map<string, Buffer>();
  for (let i = 0; i + 1 < fields.length; i += 2) {
    values.set((fields[i] as Buffer).toString("latin1", 0, 32), fields[i + 1] as Buffer);
  }
  const field = (name: string): Buffer => {
    const value = values.get(name);
    if (value === undefined) throw new MalformedEntryError(`entry: the field "${name}" is missing`);
    return value;
  };
  const text = (name: string, form: RegExp): string => {
    const value = field(name).toString("utf8");
    if (form.test(value)) return value;
    throw new MalformedEntryError(
      `entry: ${name}=${JSON.stringify(value.slice(0, 64))}, expected ${form.source}`,
    );
  };

  text("version", /^1$/);
  const digest = field("digest");
  if (digest.length !== 16) {
    throw new MalformedEntryError(`entry: the digest has ${digest.length} bytes, expected 16`);
  }
  return {
    deviceId: text("device", /^[A-Za-z0-9._:-]{1,128}$/),
    sessionId: text("session", /^~?[A-Za-z0-9._:-]{1,64}$/),
    sequence: BigInt(text("sequence", /^\d{1,19}$/)),
    receivedAtMicros: Number(text("received_at", /^\d{1,16}$/)),
    digest,
    batch: field("batch"),
    ...(values.has("letter") && { letterId: BigInt(text("letter", /^\d{1,18}$/)) }),
  };
}

/** The same memory: ioredis takes any other kind of Uint8Array for text. */
function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
