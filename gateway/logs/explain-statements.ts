import type { MessageInitShape } from "@bufbuild/protobuf";
import { CompiledQuery, type Kysely, type LogEvent } from "kysely";
import type { Database } from "#postgres/tables.ts";
import type { ExplainedStatementSchema, ExplanationSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";

/**
 * The plans of the statements, which run again one after another under EXPLAIN ANALYZE: running them twice must have the
 * effect of running them once. Those that would take longer than what is left of `runMs` do not run: their plans lack the
 * actual times. The text is bounded: the plan of one statement may name 4,096 batches.
 */
export async function explainStatements(
  db: Kysely<Database>,
  statements: readonly LogEvent[],
  runMs: number,
): Promise<MessageInitShape<typeof ExplanationSchema>> {
  const runUntilMs = performance.now() + runMs;
  const explained: MessageInitShape<typeof ExplainedStatementSchema>[] = [];
  let characters = 0;
  for (const { query, queryDurationMillis } of statements.slice(0, statementsMax)) {
    const { sql, parameters } = query;
    const runs = performance.now() + queryDurationMillis <= runUntilMs;
    const explain = `explain ${runs ? "(analyze, buffers off) " : ""}${sql}`;
    const { rows } = await db.executeQuery<PlanLine>(CompiledQuery.raw(explain, [...parameters]));
    const statement = {
      sql: cut(sql, sqlCharactersMax),
      parameters: parameters.slice(0, parametersMax).map(showParameter),
      plan: rows.slice(0, linesMax).map((row) => cut(row["QUERY PLAN"], lineCharactersMax)),
    };
    characters += statement.sql.length + [...statement.parameters, ...statement.plan].join().length;
    if (characters > charactersMax) break;
    explained.push({ ...statement, durationMs: queryDurationMillis });
  }
  return { statements: explained, statementCount: statements.length };
}

interface PlanLine {
  readonly "QUERY PLAN": string;
}

function showParameter(value: unknown): string {
  const text = JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part));
  return cut(text ?? "null", parameterCharactersMax);
}

/** Never in the middle of a surrogate pair, which protobuf refuses. */
function cut(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax).toWellFormed()}…`;
}

const statementsMax = 20;
const sqlCharactersMax = 8192;
const parametersMax = 200;
const parameterCharactersMax = 200;
const linesMax = 200;
const lineCharactersMax = 500;
/** For all statements together; the largest single one stays well below. */
const charactersMax = 256 * 1024;
