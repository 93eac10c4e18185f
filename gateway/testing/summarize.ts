import type { Pool } from "pg";
import { byteaArray, plainArray } from "#postgres/array-literal.ts";
import { SummaryWriter } from "#search/summary-writer.ts";

interface StoredLog {
  readonly batch_id: string;
  readonly message: string;
  readonly logger: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly trace_id: Buffer | null;
}

/** Stores search summaries of the batches that meet a condition on batch_id, as consumers do with their records. */
export async function summarize(pool: Pool, condition: string): Promise<void> {
  const { rows } = await pool.query<StoredLog>(
    `select batch_id, message, logger, attributes, trace_id from logs where ${condition} order by batch_id`,
  );
  const writer = new SummaryWriter();
  const byBatch = Map.groupBy(rows, ({ batch_id }) => batch_id);
  for (const [id, logs] of byBatch) {
    writer.startBatch(BigInt(id), logs.length);
    for (const log of logs) addTerms(writer, log);
  }
  for (const { firstId, lastId, slices } of writer.finish()) {
    await pool.query(
      `insert into search_summaries (slice, first_id, last_id, bytes)
        select slice, $1, $2, bytes from unnest($3::smallint[], $4::bytea[]) as stored (slice, bytes)`,
      [
        String(firstId),
        String(lastId),
        plainArray(slices.map(({ slice }) => slice)),
        byteaArray(slices.map(({ bytes }) => bytes)),
      ],
    );
  }
}

function addTerms({ terms }: SummaryWriter, { message, logger, attributes, trace_id }: StoredLog): void {
  const text = Buffer.from(message);
  terms.addText(text, 0, text.length);
  const loggerBytes = Buffer.from(logger);
  terms.addLogger(loggerBytes, 0, loggerBytes.length);
  for (const [key, value] of Object.entries(attributes)) {
    const [name, valueText] = [Buffer.from(key), Buffer.from(String(value))];
    terms.addAttributeName(name, 0, name.length);
    terms.addAttribute(name, 0, name.length, valueText, 0, valueText.length);
  }
  if (trace_id !== null) terms.addTraceId(trace_id, 0, trace_id.length);
}
