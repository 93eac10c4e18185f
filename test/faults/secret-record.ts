import { createHmac } from "node:crypto";
import { Random } from "#batch/testing/random.ts";
import { encodeRecord } from "#client/stream/record.ts";
import type { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** What must come back unchanged, beside the message: where the record stands, and its other fields. */
export interface Setting {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: string;
  readonly index: number;
  readonly severity: number;
  readonly logger: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Microseconds since 1970; "0" for a record without a time. */
  readonly timeMicros: string;
}

export interface SecretRecord {
  /** 32 hexadecimal digits that the system never learns the meaning of. */
  readonly id: string;
  /** As `encodeRecord` gives it. */
  readonly bytes: Uint8Array;
  /** The message holds a NUL, which PostgreSQL cannot store: the system has to reject the record. */
  readonly isBad: boolean;
}

/** What careless storing would change: separators of text formats, quotes, control characters, several alphabets. */
const awkward = ["\t", "\n", "\\.", "\\N", '"', "'; --", "ü", "日本", "🌡", "\u0001", "\r", " ", "%s", "{}"];

/**
 * Makes records whose message is `<id> <text> <checksum>`. The checksum is keyed, and covers all fields of the record
 * and its place, so neither a record that was changed nor one that was made up passes.
 */
export class SecretRecords {
  readonly #random: Random;
  readonly #key: string;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#key = this.#hex(64);
  }

  /**
   * A new record for this place. Every field of it is derived from the seed. With an uptime it is sent with that, and
   * with its time only if it is timed; its time is then what it has once it is dated.
   */
  make(
    place: Pick<Setting, "deviceId" | "sessionId" | "sequence" | "index">,
    timeMicros: bigint,
    {
      uptimeMicros = 0n,
      isTimed = true,
    }: { readonly uptimeMicros?: bigint; readonly isTimed?: boolean } = {},
  ): SecretRecord {
    const random = this.#random;
    const id = this.#hex(32);
    const isBad = random.chance(0.01);
    const setting: Setting = {
      ...place,
      severity: random.below(25),
      logger: random.pick(["", "net.wifi", "power"]),
      attributes: random.chance(0.5) ? {} : { zone: random.pick(awkward), count: String(random.below(1e6)) },
      timeMicros: String(timeMicros),
    };
    const text = `${random.list(12, () => random.pick(awkward)).join("x")}${isBad ? "\0" : ""}`;
    const message = `${id} ${text} ${this.#checksum(id, text, setting)}`;
    const bytes = encodeRecord({
      message,
      severity: setting.severity as Severity,
      logger: setting.logger,
      attributes: setting.attributes,
      timeUnixNano: isTimed ? timeMicros * 1000n : 0n,
      uptimeNano: uptimeMicros * 1000n,
    });
    return { id, bytes, isBad };
  }

  /** Whether a stored message belongs to what is stored around it. */
  isWhole(message: string, setting: Setting): boolean {
    const id = readId(message);
    if (id === undefined || message.length < 50) return false;
    return message.slice(-16) === this.#checksum(id, message.slice(33, -17), setting);
  }

  #checksum(id: string, text: string, setting: Setting): string {
    const { deviceId, sessionId, sequence, index, severity, logger, attributes, timeMicros } = setting;
    const sorted = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1));
    const fields = [id, text, deviceId, sessionId, sequence, index, severity, logger, sorted, timeMicros];
    return createHmac("sha256", this.#key).update(JSON.stringify(fields)).digest("hex").slice(0, 16);
  }

  #hex(digits: number): string {
    return Array.from({ length: digits }, () => this.#random.below(16).toString(16)).join("");
  }
}

/** The id a stored message begins with; undefined when it does not. */
export function readId(message: string): string | undefined {
  return /^[0-9a-f]{32}(?= )/.exec(message)?.[0];
}
