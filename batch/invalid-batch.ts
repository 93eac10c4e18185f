/** A batch that cannot be taken as a whole: the device must change it, sending it again would end the same way. */
export class InvalidBatchError extends Error {
  override readonly name = "InvalidBatchError";
  /** The field at fault: "batch" (not a LogBatch, or too large) or a path such as "batch.device_id". */
  readonly field: string;

  /** `problem` continues a sentence that begins with the field, and names value and limit: "is 130 bytes, …". */
  constructor(field: string, problem: string) {
    super(`${field} ${problem}`);
    this.field = field;
  }
}
