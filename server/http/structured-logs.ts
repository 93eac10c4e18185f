import { setImmediate as nextTurn } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { batchIdentity } from "#batch/batch-identity.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { limits } from "#batch/limits.ts";
import { quoted } from "#batch/quoted.ts";
import { findRecords, type RecordBounds } from "#batch/structured/find-records.ts";
import { type StructuredBatchHead, structuredBatches } from "#batch/structured/structured-batches.ts";
import { requestError, wrongContentType } from "#rpc/request-error.ts";
import type { NodeRequest } from "#rpc/serve-call.ts";
import { refusalError } from "../connect/refusal-error.ts";
import type { RequestBudget } from "../connect/request-budget.ts";
import type { Decompressor } from "../decompressor.ts";
import type { Ingest } from "../ingest.ts";
import type { Outcome } from "../outcome.ts";
import { type HttpEndpoint, RequestFailure } from "./http-endpoint.ts";
import { contentEncoding, contentEncodings, readBody } from "./read-body.ts";

export interface StructuredLogsOptions {
  readonly ingest: Ingest;
  readonly decompressor: Decompressor;
  readonly requestBudget: RequestBudget;
  /** Stores a request once that arrives again, if each of its records has a time. */
  readonly recogniseRetries: boolean;
}

/** A body, before and after decompression: what shippers send at once by default. */
const bodyBytesMax = 16 * 1024 * 1024;

const path = "/v1/ingest/";
const expectedTypes = "application/json or application/x-ndjson";
const separations: Readonly<Record<string, "lines" | "values">> = {
  "application/json": "values",
  "application/x-ndjson": "lines",
  "application/ndjson": "lines",
  "application/jsonl": "lines",
  "application/x-jsonlines": "lines",
};

interface ShownRejection {
  /** Of the record in the request, from 0. */
  readonly index: number;
  /** On which the record begins, from 1. */
  readonly line: number;
  readonly reason: string;
}

/**
 * `POST /v1/ingest/{device_id}`: records of structured logs in JSON. One batch after the other is appended; the response
 * comes when all are on disk. A refused batch ends the request with an error that says how many records before it are
 * stored: the sender repeats the whole request.
 */
export function createStructuredLogs({
  ingest,
  decompressor,
  requestBudget,
  recogniseRetries,
}: StructuredLogsOptions): HttpEndpoint {
  return {
    path,
    method: "ingest",
    async post(request) {
      const { head, separation } = readHead(request);
      using share = requestBudget.open();
      const body = await readBody(request, { bytesMax: bodyBytesMax, decompressor, share });
      const bounds = findRecords(body, separation);
      const batches = structuredBatches(body, bounds, head);
      let accepted = 0;
      let rejected = 0;
      const shown: { index: number; reason: string }[] = [];
      for (const part of batches) {
        if (part === undefined) {
          await nextTurn();
          continue;
        }
        const { batch, firstIndex, recordCount, isUnique } = part;
        if (head.sequence !== 0n && recordCount < bounds.length)
          throw numberedTooLarge(bounds.length, recordCount);
        const outcome =
          head.sequence === 0n
            ? await ingest.acceptTranscoded(batch, isUnique && recogniseRetries, firstIndex > 0)
            : await ingest.accept(batch);
        if (outcome.refusal) throw stoppedBy(outcome.refusal, firstIndex);
        accepted += outcome.accepted;
        rejected += outcome.rejections.length;
        for (const { index, reason } of outcome.rejections.slice(0, limits.rejectionsMax - shown.length))
          shown.push({ index: firstIndex + index, reason });
      }
      return JSON.stringify({ accepted, rejected, rejections: withLines(shown, body, bounds) });
    },
  };
}

function readHead(request: NodeRequest): {
  head: Required<StructuredBatchHead>;
  separation: "lines" | "values";
} {
  const type = request.headers["content-type"] ?? "";
  const [mediaType = ""] = type.toLowerCase().split(";", 1);
  const separation = Object.hasOwn(separations, mediaType.trim()) ? separations[mediaType.trim()] : undefined;
  if (separation === undefined) throw new RequestFailure(wrongContentType(type, expectedTypes));
  const encoding = contentEncoding(request);
  if (!contentEncodings.has(encoding)) {
    const problem = `content-encoding: ${quoted(Buffer.from(encoding))}, expected gzip or identity`;
    throw new RequestFailure(requestError(415, Code.InvalidArgument, problem, { "accept-encoding": "gzip" }));
  }
  const [address = "", query = ""] = (request.url ?? "").split("?", 2);
  const params = new URLSearchParams(query);
  const value = (name: string) => params.get(name) ?? String(request.headers[`fleetlog-${name}`] ?? "");
  const head = batchIdentity(
    Buffer.from(decodeName(address.slice(path.length))),
    Buffer.from(value("session")),
    readSequence(value("sequence")),
  );
  return { head, separation };
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // no name of a device has a "%": it is refused with the others
  }
}

function readSequence(text: string): bigint {
  if (text === "") return 0n;
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  const shown = quoted(Buffer.from(text));
  throw new InvalidBatchError(
    "batch.sequence",
    `is ${shown}, expected a number from 1 to ${limits.sequenceMax}`,
  );
}

function numberedTooLarge(count: number, fitting: number): InvalidBatchError {
  const limit = `the limit is ${limits.recordsMax} records and ${limits.batchBytesMax} bytes`;
  return new InvalidBatchError(
    "batch",
    `is too large: with a sequence a request is one batch, ${fitting} of its ${count} records fit; ${limit}`,
  );
}

function stoppedBy(refusal: NonNullable<Outcome["refusal"]>, stored: number): Error {
  const message =
    stored === 0
      ? refusal.message
      : `${refusal.message} (the first ${stored} records of the request are stored)`;
  return refusalError({ ...refusal, message });
}

function withLines(
  rejections: readonly { index: number; reason: string }[],
  body: Buffer,
  bounds: readonly RecordBounds[],
): readonly ShownRejection[] {
  let line = 1;
  let newline = body.indexOf(0x0a);
  return rejections.map(({ index, reason }) => {
    const [start] = bounds[index]!;
    for (; newline >= 0 && newline < start; newline = body.indexOf(0x0a, newline + 1)) line += 1;
    return { index, line, reason };
  });
}
