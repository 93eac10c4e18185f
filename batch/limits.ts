/** How much a device may send. What is beyond a limit is refused with its name, never cut short. */
export const limits = {
  batchBytesMax: 1024 * 1024,
  recordsMax: 10_000,
  messageBytesMax: 65_536,
  loggerBytesMax: 256,
  attributesMax: 64,
  attributeKeyBytesMax: 128,
  attributeValueBytesMax: 8_192,
  deviceIdBytesMax: 128,
  sessionIdBytesMax: 64,
  droppedReasonBytesMax: 256,
  severityMax: 24,
  sequenceMax: 2n ** 63n - 1n,
} as const;
