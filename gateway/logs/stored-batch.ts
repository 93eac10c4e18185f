import type { JsonObject } from "@bufbuild/protobuf";
import { parseAttributes } from "./attributes.ts";
import type { BatchTraits } from "./log-block.ts";
import type { WalkedBatch } from "./select-batches.ts";

/** A batch of the ledger, as its records refer to it. */
export class StoredBatch implements BatchTraits {
  readonly walked: WalkedBatch;
  readonly id: bigint;
  readonly span: BatchTraits["span"];
  #attributes: JsonObject | undefined;

  constructor(walked: WalkedBatch) {
    this.walked = walked;
    this.id = BigInt(walked.id);
    this.span = { firstMicros: BigInt(walked.first_micros), lastMicros: BigInt(walked.last_micros) };
  }

  get deviceId(): string {
    return this.walked.device_id;
  }

  get sessionId(): string {
    return this.walked.session_id;
  }

  get severities(): number {
    return this.walked.severities;
  }

  get attributes(): JsonObject {
    return (this.#attributes ??= parseAttributes(this.walked.attributes));
  }

  get attributesSize(): number {
    return this.walked.attributes?.length ?? 0;
  }
}
