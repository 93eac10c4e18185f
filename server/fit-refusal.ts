import { cutRefusal, reasonBytesMax, responseBytesMax } from "./ack.ts";
import type { Refusal } from "./outcome.ts";

/**
 * An error with its texts as long as they may be for all of it to fit into a response. An error repeats its texts, in a
 * message that may be percent-encoded and in details in base64, so their own limits alone do not bound it.
 */
export function fitRefusal<Built>(
  refusal: Refusal,
  build: (refusal: Refusal) => Built,
  bytesOf: (built: Built) => number,
): Built {
  for (let messageBytesMax = reasonBytesMax; ; messageBytesMax /= 2) {
    const built = build(cutRefusal(refusal, messageBytesMax));
    if (bytesOf(built) <= responseBytesMax || messageBytesMax <= messageBytesMin) return built;
  }
}

const messageBytesMin = 32;
