import type { StreamPositions } from "#stream/tail-reader.ts";
import { InvalidFieldError, show } from "../fields/invalid-field.ts";

/*
 * A resume token is the position of a tail in each shard's stream: "1", the version, and the ids of the last
 * entries, milliseconds and counter in base 36, a counter of 0 omitted: "1_mied2xk8_mied2xq1.3_0_mied2wzz". It
 * does not contain the filter, and a forged one reads nothing that is not readable without.
 */

export function encodeResumeToken(positions: StreamPositions): string {
  const parts = positions.map((id) => {
    const [millis = "", counter = ""] = id.split("-").map((part) => Number(part).toString(36));
    return counter === "0" ? millis : `${millis}.${counter}`;
  });
  return ["1", ...parts].join("_");
}

/** Undefined for the empty token. */
export function decodeResumeToken(token: string): StreamPositions | undefined {
  if (token === "") return undefined;
  if (!tokenForm.test(token)) {
    throw new InvalidFieldError(
      "resume_token",
      `${show(token)}, expected a resume_token of an earlier message`,
    );
  }
  return token
    .split("_")
    .slice(1)
    .map((part) => {
      const [millis = 0, counter = 0] = part.split(".").map((digits) => Number.parseInt(digits, 36));
      return `${millis}-${counter}`;
    });
}

/** 9 digits hold the milliseconds until the year 5188, and more batches per millisecond than possible. */
const tokenForm = /^1(_[0-9a-z]{1,9}(\.[0-9a-z]{1,9})?){1,1024}$/;
