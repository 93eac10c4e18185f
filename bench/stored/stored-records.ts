/** What a run finds of its records once they are stored; asked of PostgreSQL or of the gateway. */
export interface StoredRecords extends AsyncDisposable {
  /** Who is asked, for the report. */
  readonly from: string;
  /** Records committed so far, by the counters of the devices: cheap, exact, asked often. */
  count(): Promise<number>;
  /** The rows themselves, every one of them looked at. */
  sessions(uncertain: readonly BatchName[]): Promise<readonly StoredSession[]>;
}

export interface BatchName {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: bigint;
}

/** What is stored of one session. */
export interface StoredSession {
  readonly deviceId: string;
  readonly sessionId: string;
  /** Without those of uncertain batches. */
  readonly rows: number;
  /** Rows of a record that has one already. */
  readonly doubledRows: number;
  /** Rows of batches that were sent and got no verdict: they may be there or not. */
  readonly uncertainRows: number;
}
