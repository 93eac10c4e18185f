import { Command, InvalidArgumentError } from "commander";
import type { Kysely } from "kysely";
import type { Env } from "#lib/config.ts";
import { createLogger } from "#lib/logger.ts";
import { readConfigOrExit } from "#lib/program.ts";
import { createDatabase, createPool } from "#postgres/pool.ts";
import { confirmRequest, openRequest, type RetentionRequest } from "#postgres/retention-requests.ts";
import type { Database } from "#postgres/tables.ts";
import { readConfig } from "./config.ts";

/** The command `fleetlog retention`. */
export function retentionCommand(env: Env): Command {
  const command = new Command("fleetlog retention")
    .description("Reviews and confirms removals that retention postponed.")
    .addHelpText(
      "after",
      `
Reads DATABASE_URL, as the consumer does.

Exit code: 0 done or nothing is asked, 1 it failed.`,
    );
  command
    .command("show", { isDefault: true })
    .description("Shows the pending request: what retention would remove, and why it requires confirmation.")
    .option("--json", "print one JSON object, or null")
    .action(({ json }: { json?: boolean }) => run(env, (db) => show(db, json)));
  command
    .command("confirm")
    .description("Confirms a request: consumers then remove exactly what `show` lists.")
    .argument("<number>", "of show", (value: string) => {
      if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
      throw new InvalidArgumentError("expected the number of a request, see show");
    })
    .action((id: number) => run(env, (db) => confirm(db, id)));
  return command;
}

async function show(db: Kysely<Database>, json = false): Promise<void> {
  const request = await openRequest(db);
  if (json) print(JSON.stringify(request ?? null));
  else print(request ? formatPage(request) : "No request is pending.");
}

async function confirm(db: Kysely<Database>, id: number): Promise<void> {
  const request = await openRequest(db);
  if (request?.id !== id || !(await confirmRequest(db, id))) {
    const current = request
      ? `the pending request is ${request.id}: fleetlog retention show`
      : "no request is pending";
    throw new Error(`request ${id} is not pending: ${current}`);
  }
  print(list(request));
  print("Confirmed. A consumer removes this within a minute.");
}

async function run(env: Env, work: (db: Kysely<Database>) => Promise<void>): Promise<void> {
  const config = readConfigOrExit(() => readConfig(env));
  const pool = createPool(
    {
      databaseUrl: config.DATABASE_URL,
      applicationName: "fleetlog-operator",
      connectionsMax: 1,
      statementTimeoutMs: 30_000,
      lockTimeoutMs: 0,
      connectTimeoutMs: 5_000,
    },
    createLogger("operator", "silent"), // what fails is said below
  );
  await using stack = new AsyncDisposableStack();
  const db = createDatabase(pool);
  stack.defer(() => db.destroy());
  await work(db);
}

function formatPage(request: RetentionRequest): string {
  const { id, askedAt, reasons, isConfirmed } = request;
  return `Request ${id} of ${askedAt.toISOString()}${isConfirmed ? ", confirmed" : ""}

Why a consumer asks:
${reasons.map((reason) => `  - ${reason}`).join("\n")}

What it would remove, and nothing else:
${list(request)}

Is a clock wrong (npm run doctor, ./manage.sh doctor)? Then fix it: nothing is removed meanwhile.
Is it what you want? fleetlog retention confirm ${id}`;
}

function list({ plan }: RetentionRequest): string {
  return plan
    .map(({ table, days, rows, bytes }) => `  ${table}: ${rows} rows, ${bytes} bytes, of ${daysText(days)}`)
    .join("\n");
}

/** Every day, those in a row as "2026-01-01 … 2026-01-31 (31 days)". */
function daysText(days: readonly string[]): string {
  const runs: string[][] = [];
  for (const day of days) {
    const run = runs.at(-1);
    if (run && Date.parse(day) - Date.parse(run.at(-1) ?? "") === 86_400_000) run.push(day);
    else runs.push([day]);
  }
  return runs
    .map((run) => (run.length === 1 ? run[0] : `${run[0]} … ${run.at(-1)} (${run.length} days)`))
    .join(", ");
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
