import type { DescMethod } from "@bufbuild/protobuf";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";

/** The RPCs that have a plain HTTP address: GET with the fields of the request as query parameters. */
export const restRoutes: readonly { readonly path: string; readonly method: DescMethod }[] = [
  { path: "/v1/logs", method: QueryService.method.listLogs },
  { path: "/v1/devices", method: QueryService.method.listDevices },
];
