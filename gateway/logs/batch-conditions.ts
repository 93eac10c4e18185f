import { sql } from "kysely";
import { timestamptz } from "../fields/time.ts";
import type { Condition } from "../query/conditions.ts";
import { type ConditionName, type LogFilter, listConditions } from "./log-filter.ts";

/** What a condition on a record implies for the row of its batch in the ledger; the walk checks the devices. */
const implied: { readonly [Name in ConditionName]?: (value: NonNullable<LogFilter[Name]>) => Condition } = {
  sessionId: (sessionId) => sql`batches.session_id = ${sessionId}`,
  startMicros: (micros) => sql`batches.last_time >= ${timestamptz(micros)}`,
  endMicros: (micros) => sql`batches.first_time < ${timestamptz(micros)}`,
  severities: (severities) => sql`batches.severities & ${severities}::int <> 0`,
};

/** The conditions on a row of `batches` that any matching record implies. */
export function batchConditions(filter: LogFilter): Condition[] {
  return listConditions(filter).flatMap((name) => conditionFor(name, filter[name]) ?? []);
}

function conditionFor<Name extends ConditionName>(name: Name, value: LogFilter[Name]): Condition | undefined {
  const condition: ((value: NonNullable<LogFilter[Name]>) => Condition) | undefined = implied[name];
  return condition?.(value as NonNullable<typeof value>);
}
