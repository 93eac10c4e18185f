/** The columns of the view `records` that may be left out, by the arrays that hold them. */
const optionalColumns = {
  attributes: "attributes",
  trace_id: "trace_ids",
  span_id: "span_ids",
  event_name: "event_names",
} as const;

/**
 * An INSERT that stores the records of a query as the consumer does, a row per batch. The query has the columns batch_id, idx,
 * time, severity, logger and message, then those that are named.
 */
export function storeRecords(
  query: string,
  optional: readonly (keyof typeof optionalColumns)[] = [],
): string {
  return `
    insert into record_batches (batch_id, first_index, times, severities, loggers, messages, indexes
      ${optional.map((column) => `, ${optionalColumns[column]}`).join("")})
    select batch_id, min(idx), ${array("time")}, ${array("severity::smallint")}, ${array("logger")}, ${array("message")},
      case when max(idx) - min(idx) >= count(*) then ${array("idx::integer")} end
      ${optional.map((column) => `, case when count(${column}) > 0 then ${array(column)} end`).join("")}
    from (${query}) as record (${["batch_id, idx, time, severity, logger, message", ...optional].join(", ")})
    group by batch_id`;
}

function array(value: string): string {
  return `array_agg(${value} order by idx)`;
}
