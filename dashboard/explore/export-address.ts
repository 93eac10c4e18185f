import { create, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { ListLogsRequestSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { filterRequest } from "../api/filter-request.ts";
import { writeAttribute } from "../state/view.ts";

export type Asked = ReturnType<typeof filterRequest> & { readonly oldestFirst: boolean };

/**
 * The request of the dashboard's query as parameters of GET /v1/export: the fields that are set, by their names
 * in JSON.
 */
export function exportAddress(asked: Asked, format: string): string {
  const request = create(ListLogsRequestSchema, asked);
  const { filter, ...others } = toJson(ListLogsRequestSchema, request) as JsonObject;
  const parameters = new URLSearchParams({ format });
  for (const [name, value] of Object.entries({ ...(filter as JsonObject), ...others })) {
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, toParameter(one));
  }
  return `/v1/export?${parameters}`;
}

/** A number, a text, true, or an attribute: the only message among the conditions. */
function toParameter(value: JsonValue): string {
  if (typeof value !== "object") return String(value);
  const { name, value: expected } = value as { name: string; value?: string };
  return writeAttribute({ name, value: expected });
}
