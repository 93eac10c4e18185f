/** Reads a run's stored records from PostgreSQL or the gateway. */
export interface StoredRecords extends AsyncDisposable {
  /** The source, for the report. */
  readonly from: string;
  /** Records committed so far, by the counters of the devices: cheap, exact, asked often. */
  count(): Promise<number>;
  /** The rows themselves, all of them. */
  sessions(uncertain: readonly BatchName[]): Promise<readonly StoredSession[]>;
}

export interface BatchName {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: bigint;
}

/** The stored part of one session. */
export interface StoredSession {
  readonly deviceId: string;
  readonly sessionId: string;
  /** Without those of uncertain batches. */
  readonly rows: number;
  /** Duplicate rows of a record. */
  readonly doubledRows: number;
  /** Rows of unacknowledged batches, which may exist or not. */
  readonly uncertainRows: number;
}
