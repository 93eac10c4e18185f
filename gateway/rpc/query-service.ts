import type { ServiceImpl } from "@connectrpc/connect";
import type { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { Reader } from "../database.ts";
import { listDevices } from "./list-devices.ts";
import { listLogs } from "./list-logs.ts";

/** Every RPC of the service: one that is new in the contract does not compile until it is here. */
export function createQueryService(reader: Reader) {
  return {
    listLogs: listLogs(reader),
    listDevices: listDevices(reader),
  } satisfies ServiceImpl<typeof QueryService>;
}
