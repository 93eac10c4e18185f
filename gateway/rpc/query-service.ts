import type { ServiceImpl } from "@connectrpc/connect";
import type { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { LagReader } from "../query/lag-reader.ts";
import type { ReadPool } from "../query/read-pool.ts";
import { type TailSources, tailLogs } from "../tail/tail-logs.ts";
import { getDevice } from "./get-device.ts";
import { getHistogram } from "./get-histogram.ts";
import { getStatistics } from "./get-statistics.ts";
import { listDeadLetters } from "./list-dead-letters.ts";
import { listDevices } from "./list-devices.ts";
import { listFieldValues } from "./list-field-values.ts";
import { listIncidents } from "./list-incidents.ts";
import { listLogs } from "./list-logs.ts";

/** The data sources of the RPCs. */
export interface Sources {
  readonly readPool: ReadPool;
  /** Undefined without Redis. */
  readonly readLag: LagReader | undefined;
  /** Undefined without Redis. */
  readonly tails: TailSources | undefined;
}

/** Every RPC of the service: a new one does not compile until it is implemented here. */
export function createQueryService({ readPool, readLag, tails }: Sources) {
  return {
    listLogs: listLogs(readPool),
    tailLogs: tailLogs(tails),
    getHistogram: getHistogram(readPool),
    getStatistics: getStatistics(readPool, readLag),
    listFieldValues: listFieldValues(readPool),
    listDevices: listDevices(readPool),
    getDevice: getDevice(readPool),
    listDeadLetters: listDeadLetters(readPool),
    listIncidents: listIncidents(readPool),
  } satisfies ServiceImpl<typeof QueryService>;
}
