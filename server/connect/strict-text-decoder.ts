import { invalidArgument } from "../verdict.ts";
import { refusalError } from "./refusal-error.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Refuses JSON that is not UTF-8, the whole body of a call as well as each message of a stream: it would be read with
 * U+FFFD in the place of what is wrong, and stored so.
 */
export const strictTextDecoder = {
  decode(bytes: Uint8Array): string {
    try {
      return decoder.decode(bytes);
    } catch {
      const message = "request is not UTF-8";
      throw refusalError({ code: invalidArgument, field: "request", message, retryDelayMs: 0 });
    }
  },
};
