import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { referenceTo, type Schema } from "./schemas.ts";

/** The one shape of every error, on every path. */
export const errorSchema: Schema = {
  type: "object",
  description: "An error. The HTTP status follows from the code, except 404, 405, 414, 415 and 431.",
  required: ["code", "message", "details"],
  properties: {
    code: {
      type: "string",
      enum: Object.values(Code)
        .filter((code) => typeof code === "number")
        .map(codeToString),
      description: "The code, for programs.",
    },
    message: {
      type: "string",
      description: "For people: the parameter, the value, and the limit or the expected form.",
    },
    details: {
      type: "array",
      description: "Details of the code, for programs.",
      items: {
        type: "object",
        required: ["type", "value"],
        properties: {
          type: {
            type: "string",
            description:
              "`google.rpc.BadRequest` names the parameter, `google.rpc.RetryInfo` the delay before a retry.",
          },
          value: { type: "string", contentEncoding: "base64", description: "The message of that type." },
          debug: { type: "object", description: "The same in JSON." },
        },
      },
    },
  },
};

const answers = {
  400: "A parameter is invalid; `details` names it.",
  404: "Not found.",
  405: "Method not allowed; the header Allow lists the allowed ones.",
  429: "Too many concurrent requests; retry after the seconds in Retry-After.",
  503: "PostgreSQL is unreachable or busy; retry.",
  504: "The query timed out; narrow it by device_id, by start_time and end_time, or by min_severity.",
  default: "Any other error.",
};

/** The error responses of an operation. */
export function errorResponses(): Record<string, Schema> {
  const content = { "application/json": { schema: referenceTo("Error") } };
  return Object.fromEntries(
    Object.entries(answers).map(([status, description]) => [status, { description, content }]),
  );
}
