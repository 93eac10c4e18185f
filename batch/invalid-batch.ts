/**
 * A batch that cannot be taken as a whole: the device must change it, sending it again would end the same way.
 *
 * It has no stack: the place in our code does not matter, and a request of 100,000 bad lines makes one for each, where
 * the stack is most of the cost.
 */
export class InvalidBatchError extends Error {
  override readonly name = "InvalidBatchError";
  /** The field at fault: "batch" (not a LogBatch, or too large) or a path such as "batch.device_id". */
  readonly field: string;

  /** `problem` continues a sentence that begins with the field, and names value and limit: "is 130 bytes, …". */
  constructor(field: string, problem: string) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(`${field} ${problem}`);
    Error.stackTraceLimit = stackTraceLimit;
    this.field = field;
  }
}
