import type { Fault } from "../fault.ts";
import { clocklessRows } from "./clockless.ts";
import { clockRows } from "./clocks.ts";
import { cutRows } from "./cut.ts";
import { killRows } from "./kill.ts";
import { lostAckRows, networkRows } from "./network.ts";
import { operatorRows } from "./operator.ts";
import { outageRows } from "./outages.ts";
import { proxyAndRestartRows } from "./proxy-and-restarts.ts";
import { redisDataRows } from "./redis-data.ts";
import { standStillRows } from "./stalls.ts";
import { trafficRows } from "./traffic.ts";

/** The matrix, in the order of the page. */
export const allRows: readonly Fault[] = [
  ...killRows,
  ...standStillRows,
  ...outageRows,
  ...lostAckRows,
  ...cutRows,
  ...networkRows,
  ...proxyAndRestartRows,
  ...trafficRows,
  ...operatorRows,
  ...redisDataRows,
  ...clockRows,
  ...clocklessRows,
];

/** The most telling rows: for `npm test`, and for a first look. */
export const smokeRows: readonly string[] = [
  "kill-server",
  "kill-consumer-before-commit",
  "kill-consumer-before-xack",
  "kill-redis",
  "kill-postgres",
  "lost-commit-reply",
  "lost-xadd-reply",
  "midnight",
  "malformed-entries",
  "group-destroyed",
  "flushall-committed",
  "rolling-restart",
  "redis-older-copy",
];
