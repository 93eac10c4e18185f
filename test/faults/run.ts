import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "#batch/testing/random.ts";
import type { ProgramCommand } from "#test/support/device-program.ts";
import { readCounters } from "./counters.ts";
import { drained } from "./drained.ts";
import type { Evidence, Fault, Pace, Scene } from "./fault.ts";
import type { Fixture } from "./fixture.ts";
import { Fleet } from "./fleet.ts";
import { Journal, type JournalBatch } from "./journal.ts";
import { type Judgement, judge } from "./judge.ts";
import { SecretRecords } from "./secret-record.ts";

/** The result of one run of a fault. */
export interface RunResult extends Judgement {
  readonly fault: string;
  readonly run: number;
  readonly seed: number;
  /** Evidence that the fault had an effect; "": the run is void. */
  readonly evidence: string;
  /** From the end of the fault until every device was acknowledged again and everything acknowledged was stored. */
  readonly recoverySeconds: number;
}

/** After this time a system that does not drain counts as one that lost what is left. */
const drainDeadlineMs = 60_000;

export interface RunOptions {
  readonly run: number;
  readonly seed: number;
  readonly pace: Pace;
  /** The fleet's, when it is of another language. */
  readonly program?: ProgramCommand | undefined;
}

/**
 * One run: fleet on → fault → healed → every device acknowledged again → fleet off → drained → judged. Throws when the
 * system does not come back; the fixture is then of no use any more.
 */
export async function runOnce(
  fixture: Fixture,
  fault: Fault,
  { run, seed, pace, program }: RunOptions,
): Promise<RunResult> {
  const random = new Random(seed);
  const journal = new Journal();
  const secrets = new SecretRecords(seed);
  const prefix = `${fault.name}.${run}.${process.hrtime.bigint().toString(36)}.`;
  const checks: Parameters<Scene["expect"]>[0][] = [];
  let excuses: ((batch: JournalBatch) => boolean) | undefined;
  const fleet = new Fleet({
    prefix,
    seed,
    journal,
    secrets,
    grpc: fixture.hops.deviceGrpc.address,
    http: `http://${fixture.hops.deviceHttp.address}`,
    clock: fault.clock,
    program,
  });
  try {
    await fleet.everyDeviceIsAcknowledged(2);
    await sleep(random.below(200)); // so that the fault meets the system in another state every time
    const scene: Scene = {
      fixture,
      fleet,
      random,
      journal,
      secrets,
      program,
      prefix,
      run,
      lasting: (quick, normal, full = normal) => 1_000 * { quick, normal, full }[pace],
      before: await readCounters(fixture),
      expect: (check) => void checks.push(check),
      excuse: (batch) => void (excuses = batch),
    };
    const evidence: Evidence = await fault.inject(scene);
    const healedAt = performance.now();
    await fleet.everyDeviceIsAcknowledged(1);
    await fleet.stop();
    await drained(fixture, drainDeadlineMs);
    const recoverySeconds = Math.round(performance.now() - healedAt) / 1000;
    const after = await readCounters(fixture);
    const judged = await judge({
      databaseUrl: fixture.postgres.url,
      devicePrefix: prefix,
      journal,
      secrets,
      rowsBefore: fixture.rowsJudged,
      excuses,
    });
    fixture.rowsJudged = judged.rows;
    const wrong = await Promise.all(checks.map(async (check) => await check(after)));
    return {
      fault: fault.name,
      run,
      seed,
      evidence: await evidence(after),
      recoverySeconds,
      ...judged,
      faults: [...judged.faults, ...wrong.filter((words) => words !== "")],
    };
  } finally {
    fleet.abandon();
  }
}

/** Whether the promise held; only a run with evidence counts. */
export function isClean({ lost, doubled, phantom, mutated, faults }: RunResult): boolean {
  return lost + doubled + phantom + mutated === 0 && faults.length === 0;
}
