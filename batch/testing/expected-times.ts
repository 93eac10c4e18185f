/** The times of a LogRecord. */
export interface RecordTimesInNanos {
  readonly timeUnixNano: bigint;
  readonly uptimeNano: bigint;
  readonly observedTimeUnixNano: bigint;
}

interface ExpectedTime {
  readonly micros: bigint;
  /** The number of a TimeSource. */
  readonly source: number;
}

/**
 * When the accepted records of a batch happened, in the plainest reading of log.proto, for a request without an uptime.
 */
export function expectedTimes(
  records: readonly RecordTimesInNanos[],
  receivedAtMicros: number,
): readonly ExpectedTime[] {
  const received = BigInt(receivedAtMicros);
  const boots = records
    .filter(({ timeUnixNano, uptimeNano }) => timeUnixNano > 0n && uptimeNano > 0n)
    .map(({ timeUnixNano, uptimeNano }) =>
      timeUnixNano / 1000n < 2n ** 53n ? timeUnixNano / 1000n - uptimeNano / 1000n : -1n,
    );
  const boot = boots.at(-1) ?? -1n;
  const highest = records.reduce((high, { uptimeNano }) => (uptimeNano > high ? uptimeNano : high), 0n);
  const estimate = (micros: bigint) => (micros < 0n ? 0n : micros > received ? received : micros);
  return records.map(({ timeUnixNano, uptimeNano, observedTimeUnixNano }) => {
    if (timeUnixNano > 0n) return { micros: timeUnixNano / 1000n, source: 0 };
    if (uptimeNano > 0n && boot >= 0n && boot <= received) {
      const micros = boot + uptimeNano / 1000n;
      return { micros: micros < 2n ** 53n ? micros : 2n ** 53n - 1n, source: 1 };
    }
    if (observedTimeUnixNano > 0n) return { micros: estimate(observedTimeUnixNano / 1000n), source: 3 };
    if (uptimeNano > 0n)
      return { micros: estimate(received - highest / 1000n + uptimeNano / 1000n), source: 2 };
    return { micros: received, source: 4 };
  });
}
