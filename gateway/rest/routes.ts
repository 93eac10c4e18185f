import type { DescMethod } from "@bufbuild/protobuf";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";

/** An RPC with a REST path. */
export interface RestRoute {
  /** A part `{field}` of the path is a field of the request, the others are query parameters. */
  readonly path: string;
  readonly method: DescMethod;
}

const { method } = QueryService;

export const restRoutes: readonly RestRoute[] = [
  { path: "/v1/logs", method: method.listLogs },
  { path: "/v1/histogram", method: method.getHistogram },
  { path: "/v1/statistics", method: method.getStatistics },
  { path: "/v1/field-values", method: method.listFieldValues },
  { path: "/v1/devices", method: method.listDevices },
  { path: "/v1/devices/{device_id}", method: method.getDevice },
  { path: "/v1/dead-letters", method: method.listDeadLetters },
  { path: "/v1/incidents", method: method.listIncidents },
];

/** The fields in a path, or undefined when it has another form. */
export function matchPath(route: RestRoute, path: string): ReadonlyMap<string, string> | undefined {
  const wanted = route.path.split("/");
  const found = path.split("/");
  if (wanted.length !== found.length) return undefined;
  const fields = new Map<string, string>();
  for (const [index, part] of wanted.entries()) {
    const given = found[index] as string;
    if (part.startsWith("{") && given !== "") fields.set(part.slice(1, -1), unescaped(given));
    else if (part !== given) return undefined;
  }
  return fields;
}

/** An invalid escape is kept as it is; the validation of the field then refuses it. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
