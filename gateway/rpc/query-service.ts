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

/** What the RPCs read from. */
export interface Sources {
  readonly readPool: ReadPool;
  /** Undefined: there is no Redis to ask. */
  readonly readLag: LagReader | undefined;
  /** Undefined: there is no Redis to follow. */
  readonly tails: TailSources | undefined;
}

/** Every RPC of the service: one that is new in the contract does not compile until it is here. */
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
