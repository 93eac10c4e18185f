/**
 * The result of one check. `warn`: it works, but perhaps not for long or not well. `fail`: it does not
 * work, or data is at risk.
 */
export interface Finding {
  /** Such as "postgres.fsync". */
  readonly check: string;
  readonly state: "ok" | "warn" | "fail";
  readonly found: string;
  /** The fix, in a sentence; absent when all is well. */
  readonly fix?: string;
}

export function ok(check: string, found: string): Finding {
  return { check, state: "ok", found };
}

export function warn(check: string, found: string, fix: string): Finding {
  return { check, state: "warn", found, fix };
}

export function fail(check: string, found: string, fix: string): Finding {
  return { check, state: "fail", found, fix };
}

/** "1.5 GB", with powers of 1024, as Redis and PostgreSQL take them. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${units[power]}`;
}
