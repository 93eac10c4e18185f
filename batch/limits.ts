/** How much a device may send. What is beyond a limit is refused with its name, never cut short. */
export const limits = {
  batchBytesMax: 1024 * 1024,
  recordsMax: 10_000,
  messageBytesMax: 65_536,
  loggerBytesMax: 256,
  eventNameBytesMax: 256,
  severityTextBytesMax: 256,
  /** 285 years: in microseconds a number holds it exactly. */
  uptimeNanoMax: 2n ** 53n * 1000n - 1n,
  /** The exact length of an id, or none. */
  traceIdBytes: 16,
  spanIdBytes: 8,
  attributesMax: 64,
  attributeKeyBytesMax: 128,
  attributeValueBytesMax: 8_192,
  deviceIdBytesMax: 128,
  sessionIdBytesMax: 64,
  droppedReasonBytesMax: 256,
  /** Each of the texts of a DeviceInfo. */
  deviceInfoBytesMax: 256,
  severityMax: 24,
  /** A range of sequences ends one beyond its last number, and PostgreSQL must hold that too. */
  sequenceMax: 2n ** 63n - 2n,
  /** Batches that one declaration may give up: those of a device that makes 100 a second, for a year. */
  droppedBatchesMax: 2n ** 32n,
  /** A request in protobuf, unpacked. Up to here a batch that is too large gets an error, and its stream stays open. */
  requestBytesMax: 2 * 1024 * 1024,
  /**
   * A request in JSON: three times the bytes of the largest batch, for text that is escaped as \uXXXX, and 100 bytes of
   * names and numbers for each of 10,000 records.
   */
  jsonBytesMax: 4 * 1024 * 1024,
  /** Text kept of the records of one batch that could not be read, together. It counts as part of the batch. */
  unreadableBytesMax: 65_536,
  /** Rejected records of one batch that are reported and kept one by one. More are counted, and kept together. */
  rejectionsMax: 100,
  /** Why a record could not be read. */
  unreadableReasonBytesMax: 1_024,
} as const;
