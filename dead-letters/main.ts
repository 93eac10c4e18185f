import { createInterface } from "node:readline/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { createLogger } from "#lib/logger.ts";
import { wholeNumber } from "#lib/options.ts";
import { readConfigOrExit } from "#lib/program.ts";
import { createDatabase, createPool } from "#postgres/pool.ts";
import { commandConnection, openRedis, untilFirstTry } from "#stream/connection.ts";
import { readConfig } from "./config.ts";
import {
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetterKind,
  deadLetterKinds,
  findDeadLetters,
} from "./find-dead-letters.ts";
import { type Plan, planReplay } from "./plan-replay.ts";
import { describePlan, formatLine, formatPage, toJson } from "./print-dead-letters.ts";
import { replay } from "./replay.ts";
import { retentionCommand } from "./retention.ts";

const countDefault = 100;
const countMax = 10_000;
const exitCodes = { done: 0, failed: 1, partly: 2 } as const;

interface Options {
  device?: string;
  reason?: string;
  kind?: DeadLetterKind;
  since?: Date;
  until?: Date;
  replayed?: boolean;
  limit: number;
  wait: number;
  json?: boolean;
  dryRun?: boolean;
  yes?: boolean;
}

const program = new Command("fleetlog dead-letters")
  .description("Inspects and replays dead letters: records and batches that could not be stored.")
  .addHelpText(
    "after",
    `
Reads DATABASE_URL, and for a replay REDIS_URL and STREAM_SHARDS, as the consumer does.

Exit code: 0 done, 1 it failed, 2 some letters cannot be replayed or are not stored yet.`,
  );

withFilterOptions(program.command("list").description("Lists dead letters, newest first."))
  .option("--replayed", "only replayed dead letters")
  .action((options: Options) =>
    run(async ({ find }) => {
      for (const deadLetter of await find(options))
        print(options.json ? JSON.stringify(toJson(deadLetter)) : formatLine(deadLetter));
      return exitCodes.done;
    }),
  );

program
  .command("show")
  .description("Shows a dead letter with its bytes or JSON, and what a replay would store.")
  .argument("<id>", "id of a dead letter, see list", parseId)
  .option("--json", "print one JSON object, with all bytes in base64")
  .action((id: bigint, options: Options) =>
    run(async ({ find }) => {
      const [deadLetter] = await find({ limit: 1, wait: 0 }, [id]);
      if (deadLetter === undefined) throw new Error(`dead letter ${id} not found`);
      print(
        options.json ? JSON.stringify(toJson(deadLetter)) : formatPage(deadLetter, planReplay(deadLetter)),
      );
      return exitCodes.done;
    }),
  );

withFilterOptions(
  program
    .command("replay")
    .description(
      "Repairs dead letters and appends them to the stream, so that consumers store them. Repeating a replay is safe: each is stored once.",
    )
    .argument("[id...]", "ids of dead letters; default: all that match the options", addId, []),
)
  .option("--dry-run", "print the plan, replay nothing")
  .option("-y, --yes", "skip the confirmation prompt")
  .option(
    "--wait <seconds>",
    "maximum time to wait until consumers have stored them",
    wholeNumber(0, 3_600),
    30,
  )
  .action((ids: bigint[], options: Options) =>
    run(async ({ find, append }) => {
      const deadLetters = await find({ ...options, replayed: false }, ids);
      const plans = deadLetters.toReversed().map(planReplay);
      for (const plan of plans)
        print(options.json ? planText(plan) : `${formatLine(plan.deadLetter)}\n    ${describePlan(plan)}`);
      const possible = plans.filter((plan) => !("impossible" in plan));
      const missing =
        ids.length > deadLetters.length
          ? `; ${ids.length - deadLetters.length} do not exist or are already replayed`
          : "";
      printStatus(`${possible.length} of ${plans.length} dead letters can be replayed${missing}`);
      const partly = possible.length < plans.length ? exitCodes.partly : exitCodes.done;
      if (options.dryRun || possible.length === 0) return partly;
      if (!options.yes && !(await confirm(possible.length))) return exitCodes.failed;
      const stored = await append(possible, options.wait * 1000);
      for (const [id, batch] of stored) if (!options.json) print(`${id} is stored as batch ${batch}`);
      printStatus(`${stored.size} of ${possible.length} are stored`);
      if (stored.size === possible.length) return partly;
      printStatus("the others wait in the stream or were rejected again: see list");
      return exitCodes.partly;
    }),
  );

interface Commands {
  readonly find: (options: Options, ids?: readonly bigint[]) => Promise<readonly DeadLetter[]>;
  readonly append: (plans: readonly Plan[], waitMs: number) => Promise<ReadonlyMap<bigint, bigint>>;
}

async function run(work: (tools: Commands) => Promise<number>): Promise<void> {
  const config = readConfigOrExit(() => readConfig(process.env));
  const logger = createLogger("operator", "silent"); // the command that awaits a query reports its failure
  await using stack = new AsyncDisposableStack();
  const pool = createPool(
    {
      databaseUrl: config.DATABASE_URL,
      applicationName: "fleetlog-operator",
      connectionsMax: 1,
      statementTimeoutMs: 30_000,
      lockTimeoutMs: 0,
      connectTimeoutMs: 5_000,
    },
    logger,
  );
  const db = createDatabase(pool);
  stack.defer(() => db.destroy());
  const find: Commands["find"] = (options, ids = []) =>
    findDeadLetters(db, toFilter(options, ids), options.limit);
  const append: Commands["append"] = async (plans, waitMs) => {
    if (config.REDIS_URL === undefined) throw new Error("REDIS_URL is not set, but replay requires it");
    const redis = openRedis(config.REDIS_URL, commandConnection);
    redis.on("error", () => {}); // the append fails with it
    stack.defer(() => redis.disconnect());
    await untilFirstTry(redis);
    return await replay({ db, redis, shards: config.STREAM_SHARDS, waitMs }, plans);
  };
  process.exitCode = await work({ find, append });
}

function toFilter(
  { device, reason, kind, since, until, replayed }: Options,
  ids: readonly bigint[],
): DeadLetterFilter {
  return { ids, deviceId: device, reason, kind, since, until, replayed };
}

function withFilterOptions(command: Command): Command {
  return command
    .option("-d, --device <id>", "only this device")
    .option("-r, --reason <text>", "only if the reason contains this text")
    .addOption(new Option("-k, --kind <kind>", "only this kind").choices(deadLetterKinds))
    .option("--since <time>", "only added at or after this time (RFC 3339)", parseTime)
    .option("--until <time>", "only added before this time (RFC 3339)", parseTime)
    .option("-n, --limit <n>", "maximum number, newest first", wholeNumber(1, countMax), countDefault)
    .option("--json", "print one JSON object per line, with bytes in base64 and JSON also as text");
}

async function confirm(count: number): Promise<boolean> {
  if (!process.stdin.isTTY) throw new Error("standard input is not a terminal: use --yes or --dry-run");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Replay ${count} dead letters? [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

function planText(plan: Plan): string {
  const id = String(plan.deadLetter.id);
  if ("impossible" in plan) return JSON.stringify({ id, impossible: plan.impossible });
  const { deviceId, sessionId, sequence } = plan.entry;
  return JSON.stringify({ id, deviceId, sessionId, sequence: String(sequence), repairs: plan.repairs });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function printStatus(text: string): void {
  process.stderr.write(`${text}\n`);
}

function parseId(value: string): bigint {
  if (/^\d{1,18}$/.test(value)) return BigInt(value);
  throw new InvalidArgumentError("expected the id of a dead letter");
}

function addId(value: string, before: readonly bigint[]): readonly bigint[] {
  return [...before, parseId(value)];
}

function parseTime(value: string): Date {
  const date = new Date(value);
  if (/^\d{4}-\d\d-\d\d/.test(value) && !Number.isNaN(date.getTime())) return date;
  throw new InvalidArgumentError("expected a time in RFC 3339, such as 2026-01-31T12:00:00Z");
}

try {
  const [first, ...others] = process.argv.slice(2);
  if (first === "retention") await retentionCommand(process.env).parseAsync(others, { from: "user" });
  else await program.parseAsync();
} catch (error) {
  printStatus(error instanceof Error ? error.message : String(error));
  process.exitCode = exitCodes.failed;
}
