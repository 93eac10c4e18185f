import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { referenceTo, type Schema } from "./schemas.ts";

/** The one shape of every error, on every address. */
export const errorSchema: Schema = {
  type: "object",
  description: "What went wrong. The status is that of the code, but for 404, 405, 414, 415 and 431.",
  required: ["code", "message", "details"],
  properties: {
    code: {
      type: "string",
      enum: Object.values(Code)
        .filter((code) => typeof code === "number")
        .map(codeToString),
      description: "For programs.",
    },
    message: {
      type: "string",
      description: "For people: what was asked, the value seen, the limit or the form wanted.",
    },
    details: {
      type: "array",
      description: "For programs, what the code does not say.",
      items: {
        type: "object",
        required: ["type", "value"],
        properties: {
          type: {
            type: "string",
            description:
              "`google.rpc.BadRequest` names the parameter, `google.rpc.RetryInfo` says when to ask again.",
          },
          value: { type: "string", contentEncoding: "base64", description: "The message of that type." },
          debug: { type: "object", description: "The same in JSON." },
        },
      },
    },
  },
};

const answers = {
  400: "A parameter is wrong: `details` names it.",
  404: "There is no such thing.",
  405: "Another method than those in the header Allow.",
  429: "Too many ask at once: come back after the seconds of Retry-After.",
  503: "PostgreSQL cannot be reached or is busy: ask again.",
  504: "The query took too long: narrow it by device_id, by start_time and end_time, or by min_severity.",
  default: "Anything else.",
};

/** The answers of an operation that are no success. */
export function errorAnswers(): Record<string, Schema> {
  const content = { "application/json": { schema: referenceTo("Error") } };
  return Object.fromEntries(
    Object.entries(answers).map(([status, description]) => [status, { description, content }]),
  );
}
