/** How much one request may have. Checked before the work that each of them bounds. */
export const otlpLimits = {
  /** After decompression. The Collector sends up to 8,192 records at a time. */
  requestBytesMax: 16 * 1024 * 1024,
  /** Records of all resources and scopes together. */
  recordsMax: 100_000,
  /** ResourceLogs and ScopeLogs together: a gateway collector sends one of each for every device. */
  groupsMax: 40_000,
  /** Attributes of all resources and scopes together. */
  sharedAttributesMax: 1_000_000,
  /** Batches that a request becomes. */
  batchesMax: 20_000,
  /** Bytes of these batches: each of them repeats the attributes of its resource. */
  batchBytesMax: 64 * 1024 * 1024,
  /** Arrays and maps within each other in a value. */
  depthMax: 32,
} as const;
