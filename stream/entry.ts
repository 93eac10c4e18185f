/** One batch as the server appends it and as the consumer reads it. */
export interface Entry {
  readonly deviceId: string;
  /** The name that the device gave, or `~…` from the server for a sender without a session. */
  readonly sessionId: string;
  readonly sequence: bigint;
  /** Microseconds since 1970, by the clock of the server that received it. */
  readonly receivedAtMicros: number;
  /**
   * When the device booted, by the same clock: `receivedAtMicros` less the uptime that its request gave. Not a part of
   * the batch, so a retry may have another one.
   */
  readonly bootedAtMicros?: number | undefined;
  /** 16 bytes over `batch`. */
  readonly digest: Buffer;
  /** One encoded `fleetlog.v1.LogBatch`, byte for byte as sent. */
  readonly batch: Uint8Array;
  /** Whether its server rejects texts that are cut inside a character: who reads the batch decides the same. */
  readonly rejectsCutText?: boolean | undefined;
  /** The dead letter that this entry replays. Set by an operator's command, never by a device. */
  readonly deadLetterId?: bigint;
}

/** The fields of something in the stream are not those of an entry: it becomes a dead letter with this reason. */
export class MalformedEntryError extends Error {
  override readonly name = "MalformedEntryError";
}

const version = "1";

/**
 * The fields of an entry, always in the same order: Redis stores the names only once for a run of entries with the same
 * fields. The batch is the last one; AppendCommand relies on it.
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
    ...(entry.bootedAtMicros === undefined ? [] : ["booted_at", entry.bootedAtMicros.toString()]),
    "digest",
    entry.digest,
    ...(entry.rejectsCutText === true ? ["cut_text", "reject"] : []),
    ...(entry.deadLetterId === undefined ? [] : ["dead_letter", entry.deadLetterId.toString()]),
    "batch",
    toBuffer(entry.batch),
  ];
}

/** Decodes an entry from its fields (name, value, name, value, …). Throws only {@link MalformedEntryError}. */
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
    ...(values.has("booted_at") && { bootedAtMicros: Number(text("booted_at", /^\d{1,16}$/)) }),
    digest,
    batch: field("batch"),
    ...(values.has("cut_text") && { rejectsCutText: text("cut_text", /^reject$/) === "reject" }),
    ...(values.has("dead_letter") && { deadLetterId: BigInt(text("dead_letter", /^\d{1,18}$/)) }),
  };
}

/** Shares the memory. ioredis would treat any other kind of Uint8Array as text. */
function toBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
