import type { Fault } from "../fault.ts";
import { awayRows } from "./away.ts";
import { clockRows } from "./clocks.ts";
import { cutRows } from "./cut.ts";
import { killRows } from "./kill.ts";
import { lostAnswerRows, networkRows } from "./network.ts";
import { operatorRows } from "./operator.ts";
import { proxyAndRestartRows } from "./proxy-and-restarts.ts";
import { redisDataRows } from "./redis-data.ts";
import { standStillRows } from "./stand-still.ts";
import { trafficRows } from "./traffic.ts";

/** The matrix, in the order of the page. */
export const allRows: readonly Fault[] = [
  ...killRows,
  ...standStillRows,
  ...awayRows,
  ...lostAnswerRows,
  ...cutRows,
  ...networkRows,
  ...proxyAndRestartRows,
  ...trafficRows,
  ...operatorRows,
  ...redisDataRows,
  ...clockRows,
];
