/** From PostgreSQL's epoch, 2000-01-01T00:00:00Z, back to 1970: µs in two halves. */
const postgresEpochMicros = 946_684_800_000_000;
const epochHigh = Math.floor(postgresEpochMicros / 2 ** 32);
const epochLow = postgresEpochMicros % 2 ** 32;

/**
 * A moment in whole µs since 1970, in two unsigned 32-bit halves: the times that 64 bits of nanoseconds can say reach
 * 2^54 µs, beyond what a number holds exactly, and a bigint for every record would be garbage for every record. One
 * object is set again and again.
 */
export class Timestamp {
  #high = 0;
  #low = 0;

  setMicros(micros: number): void {
    this.#high = Math.floor(micros / 2 ** 32);
    this.#low = micros % 2 ** 32;
  }

  /** Cuts off the nanoseconds. The halves may be signed, as the wire reader leaves them. */
  setNanos(high: number, low: number): void {
    this.#high = microsHigh(high);
    this.#low = microsLow(high, low);
  }

  /** µs since 1970. */
  get micros(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** Whole minutes since 1970. */
  get minute(): number {
    // The same division, by a million: exact again, since 1,000,000 × 2^32 is below 2^53.
    const high = Math.floor(this.#high / 1e6);
    const low = Math.floor(((this.#high % 1e6) * 2 ** 32 + this.#low) / 1e6);
    return Math.floor((high * 2 ** 32 + low) / 60);
  }

  /** Writes the eight bytes of a binary timestamptz: µs since 2000, signed, big-endian. */
  write(view: DataView, position: number): void {
    const low = this.#low - epochLow;
    view.setInt32(position, this.#high - epochHigh - (low < 0 ? 1 : 0));
    view.setInt32(position + 4, low); // Modulo 2^32, which is what the borrow above means.
  }
}

/** Nanoseconds in two halves as whole microseconds; exact below 2^53, until the year 2255. */
export function nanosToMicros(high: number, low: number): number {
  return microsHigh(high) * 2 ** 32 + microsLow(high, low);
}

// Long division, with digits of 32 bits: the remainder is below 1000, so the second dividend stays exact.

function microsHigh(high: number): number {
  return Math.floor((high >>> 0) / 1000);
}

function microsLow(high: number, low: number): number {
  return Math.floor((((high >>> 0) % 1000) * 2 ** 32 + (low >>> 0)) / 1000);
}
