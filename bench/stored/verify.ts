import { setTimeout as sleep } from "node:timers/promises";
import type { StoredRecords, StoredSession } from "#bench/stored/stored-records.ts";

/** The sender's knowledge of one session. */
export interface SentSession {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly acknowledgedRecords: number;
  /** Unacknowledged batches; their records count neither as stored nor as missing. */
  readonly uncertain: readonly bigint[];
}

export interface Verification {
  readonly ok: boolean;
  /** The source of the rows. */
  readonly from: string;
  readonly acknowledgedRecords: number;
  /** Rows of acknowledged batches. */
  readonly storedRows: number;
  readonly missingRows: number;
  readonly doubledRows: number;
  /** Rows that were never acknowledged, though their batch was. */
  readonly unexpectedRows: number;
  /** Rows of unacknowledged batches: allowed. */
  readonly uncertainRows: number;
  /** From the last acknowledgement until all was committed; undefined when it never was. */
  readonly lastAckToLastRowMs: number | undefined;
  /** The sessions at fault, at most {@link faultsMax}. */
  readonly faults: readonly string[];
}

const faultsMax = 20;
const pollMs = 10;

/**
 * Waits until the acknowledged records are stored, then compares every row: records acknowledged = rows
 * stored, per session, without duplicates. Gives up when nothing more is stored for `stallMs`.
 * `lastAckAt` is a time of `performance.now()`.
 */
export async function verify(
  stored: StoredRecords,
  sent: readonly SentSession[],
  { lastAckAt = performance.now(), stallMs = 15_000 }: { lastAckAt?: number; stallMs?: number } = {},
): Promise<Verification> {
  const acknowledged = sent.reduce((sum, { acknowledgedRecords }) => sum + acknowledgedRecords, 0);
  const uncertain = sent.flatMap(({ deviceId, sessionId, uncertain }) =>
    uncertain.map((sequence) => ({ deviceId, sessionId, sequence })),
  );
  let committedAt = await untilCounted(stored, acknowledged, stallMs);
  let rows = await stored.sessions(uncertain);
  // The counters include unacknowledged batches, so they can match a moment too early.
  const waitUntil = performance.now() + stallMs;
  while (uncertain.length > 0 && countMissing(rows, sent) > 0 && performance.now() < waitUntil) {
    await sleep(100);
    committedAt = performance.now();
    rows = await stored.sessions(uncertain);
  }
  return judge(stored.from, rows, sent, committedAt === undefined ? undefined : committedAt - lastAckAt);
}

/** When the counters reached `target`; undefined when they stopped before. */
async function untilCounted(
  stored: StoredRecords,
  target: number,
  stallMs: number,
): Promise<number | undefined> {
  let last = -1;
  let progressAt = performance.now();
  for (;;) {
    const count = await stored.count();
    const now = performance.now();
    if (count >= target) return now;
    if (count > last) [last, progressAt] = [count, now];
    else if (now - progressAt > stallMs) return undefined;
    await sleep(pollMs);
  }
}

function judge(
  from: string,
  rows: readonly StoredSession[],
  sent: readonly SentSession[],
  lastAckToLastRowMs: number | undefined,
): Verification {
  const found = new Map(rows.map((session) => [toKey(session), session]));
  const faults: string[] = [];
  const total = { acknowledged: 0, missing: 0, unexpected: 0, doubled: 0 };
  for (const session of sent) {
    const { rows = 0, doubledRows = 0 } = found.get(toKey(session)) ?? {};
    found.delete(toKey(session));
    const difference = rows - doubledRows - session.acknowledgedRecords;
    total.acknowledged += session.acknowledgedRecords;
    total.missing += Math.max(0, -difference);
    total.unexpected += Math.max(0, difference);
    total.doubled += doubledRows;
    if (difference === 0 && doubledRows === 0) continue;
    faults.push(
      `${toKey(session)}: ${session.acknowledgedRecords} records acknowledged, ${rows} rows stored, ${doubledRows} of them doubled`,
    );
  }
  for (const session of found.values()) {
    total.unexpected += session.rows;
    total.doubled += session.doubledRows;
    if (session.rows > 0)
      faults.push(`${toKey(session)}: ${session.rows} rows of a session that was never sent`);
  }
  const sum = (field: "rows" | "uncertainRows") => rows.reduce((all, session) => all + session[field], 0);
  return {
    ok: faults.length === 0 && lastAckToLastRowMs !== undefined,
    from,
    acknowledgedRecords: total.acknowledged,
    storedRows: sum("rows"),
    missingRows: total.missing,
    doubledRows: total.doubled,
    unexpectedRows: total.unexpected,
    uncertainRows: sum("uncertainRows"),
    lastAckToLastRowMs,
    faults: faults.slice(0, faultsMax),
  };
}

function countMissing(rows: readonly StoredSession[], sent: readonly SentSession[]): number {
  return judge("", rows, sent, 0).missingRows;
}

function toKey({ deviceId, sessionId }: { deviceId: string; sessionId: string }): string {
  return `${deviceId} session ${sessionId}`;
}

/** The verification in one line. */
export function toVerification(result: Verification): string {
  const delay =
    result.lastAckToLastRowMs === undefined
      ? "never all stored"
      : `the last row ${Math.max(0, Math.round(result.lastAckToLastRowMs))} ms after the last acknowledgement`;
  return [
    result.ok ? "verified" : "VERIFICATION FAILED",
    `${number(result.acknowledgedRecords)} records acknowledged, ${number(result.storedRows)} rows stored`,
    `${number(result.missingRows)} missing, ${number(result.doubledRows)} doubled, ${number(result.unexpectedRows)} unexpected`,
    ...(result.uncertainRows > 0 ? [`${number(result.uncertainRows)} more of batches without an ack`] : []),
    delay,
    `asked: ${result.from}`,
  ].join("; ");
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}
