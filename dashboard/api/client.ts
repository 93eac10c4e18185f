import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";

/** The gateway that served the dashboard. */
export const query = createClient(
  QueryService,
  createConnectTransport({ baseUrl: window.location.origin, useBinaryFormat: true }),
);
