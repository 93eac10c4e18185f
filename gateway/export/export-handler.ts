import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import type { Logger } from "#lib/logger.ts";
import { Counter, Gauge, type Registry } from "#lib/metrics.ts";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";
import type { Caller } from "#rpc/admission.ts";
import { sendError } from "#rpc/send-error.ts";
import { Shares } from "../fairness/shares.ts";
import { endedFilter } from "../fields/time-range.ts";
import { acceptsGzip } from "../http/accept.ts";
import { toLogEntry } from "../logs/log-entry.ts";
import type { FoundLog } from "../logs/read-blocks.ts";
import { toConnectError } from "../query/error-mapping.ts";
import type { ReadPool } from "../query/read-pool.ts";
import { csvHeader, csvLines } from "./csv.ts";
import { exportPages } from "./export-pages.ts";
import { type ExportFormat, type ExportRequest, readExportRequest } from "./export-request.ts";
import { ndjsonLines } from "./ndjson.ts";

/*
 * GET /v1/export: all records of a filter in one response, of any length, in little memory. The client sets the
 * pace: a page is read when the one before was sent. Until the first page is read, an error is an ordinary
 * error response. After that the status is sent, so the connection is broken in the middle of a chunk, which
 * every HTTP client distinguishes from an end.
 */

export interface ExportOptions {
  readonly readPool: ReadPool;
  /** Exports that may run at once; one client gets half of them. Each uses one connection to PostgreSQL at a time. */
  readonly exportsMax: number;
  /** A client that reads nothing for this time is disconnected. */
  readonly stalledMsMax?: number;
  readonly refused: Counter<"limit">;
  readonly registry: Registry;
  readonly logger: Logger;
}

export function createExportHandler(options: ExportOptions) {
  const { exportsMax, logger } = options;
  const metrics = createExportMetrics(options.registry);
  const shares = new Shares({
    name: "exports",
    setting: "EXPORTS_MAX",
    max: exportsMax,
    refused: options.refused,
  });
  return async (request: IncomingMessage, response: ServerResponse, { client }: Caller): Promise<void> => {
    const leaving = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) leaving.abort(new ClientLeftError("the client disconnected"));
    });
    try {
      const exported = readExportRequest(new URL(request.url ?? "", "http://gateway").searchParams);
      if (request.method === "HEAD") {
        sendHead(exported.format, request, response);
        response.end();
        return;
      }
      const giveBack = shares.acquire(client);
      metrics.running.set(shares.used);
      try {
        const count = await send(exported, options, { client, leaving, request, response });
        metrics.records.inc(count);
        metrics.exports.inc({ result: "complete" });
      } finally {
        giveBack();
        metrics.running.set(shares.used);
      }
    } catch (thrown) {
      const error: unknown = leaving.signal.aborted ? leaving.signal.reason : thrown;
      const hasLeft = error instanceof ClientLeftError;
      const mapped = toConnectError(error);
      metrics.exports.inc({ result: hasLeft ? "cancelled" : response.headersSent ? "failed" : "refused" });
      if (hasLeft) return;
      if (!isClientError(mapped.code)) logger.warn({ err: error }, "an export failed");
      if (response.headersSent) response.destroy();
      else sendError(request, response, { error: mapped, httpStatus: codeToHttpStatus(mapped.code) });
    }
  };
}

/** These are counted, not logged: a caller can cause any number of them. */
function isClientError(code: Code): boolean {
  return code === Code.InvalidArgument || code === Code.ResourceExhausted;
}

interface Sending {
  readonly client: string;
  readonly leaving: AbortController;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Returns the number of records sent. */
async function send(
  { filter, order, format }: ExportRequest,
  { readPool, stalledMsMax = 60_000 }: ExportOptions,
  { client, leaving, request, response }: Sending,
): Promise<number> {
  let count = 0;
  const caller = { client, signal: leaving.signal };
  const pages = exportPages(readPool, endedFilter(filter, readPool.nowMicros()), order, caller);
  const first = await pages.next();
  async function* chunks() {
    if (format === "csv") yield csvHeader;
    for (let page = first; !page.done; page = await pages.next().catch(failed)) {
      for (const chunk of formatLines(page.value, format)) {
        const stalled = setTimeout(() => leaving.abort(new Error("the client does not read")), stalledMsMax);
        try {
          yield chunk;
        } finally {
          clearTimeout(stalled);
        }
      }
      count += page.value.length;
    }
  }
  // Aborts with the reason first: the broken connection looks as if the client had left.
  const failed = (error: unknown): never => {
    leaving.abort(error);
    throw error;
  };
  const isGzip = sendHead(format, request, response);
  // One chunk ahead at a time.
  const source = Readable.from(chunks(), { objectMode: true, highWaterMark: 1 });
  const options = { signal: leaving.signal };
  if (isGzip) await pipeline(source, createGzip({ level: gzipLevel }), response, options);
  else await pipeline(source, response, options);
  return count;
}

function* formatLines(logs: readonly FoundLog[], format: ExportFormat): Generator<string> {
  const writeLines = format === "csv" ? csvLines : ndjsonLines;
  let chunk: LogEntry[] = [];
  let bytes = 0;
  for (const log of logs) {
    chunk.push(toLogEntry(log));
    bytes += log.bytes + fieldBytes;
    if (bytes < chunkBytes) continue;
    yield writeLines(chunk);
    chunk = [];
    bytes = 0;
  }
  if (chunk.length > 0) yield writeLines(chunk);
}

/** Returns whether the body is to be compressed. */
function sendHead(format: ExportFormat, request: IncomingMessage, response: ServerResponse): boolean {
  const isGzip = acceptsGzip(request);
  response.appendHeader("vary", "accept-encoding");
  response.writeHead(200, responseHeaders(format, isGzip));
  return isGzip;
}

function responseHeaders(format: ExportFormat, isGzip: boolean): Record<string, string> {
  const name = `fleetlog-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
  return {
    "content-type": contentTypes[format],
    "content-disposition": `attachment; filename="${name}.${format}"`,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    // Nginx would buffer up to 1 GB per client on its disk.
    "x-accel-buffering": "no",
    ...(isGzip && { "content-encoding": "gzip" }),
  };
}

function createExportMetrics(registry: Registry) {
  const registers = [registry];
  return {
    running: new Gauge({ name: "fleetlog_exports_running", help: "Exports in progress", registers }),
    records: new Counter({
      name: "fleetlog_exported_records_total",
      help: "Records sent by completed exports",
      registers,
    }),
    exports: new Counter({
      name: "fleetlog_exports_total",
      help: "Exports by result: complete, refused, failed, or cancelled by the client",
      labelNames: ["result"],
      registers,
    }),
  };
}

/** The client is gone: no response is possible. */
class ClientLeftError extends Error {
  override readonly name = "LeftError";
}

const contentTypes = {
  ndjson: "application/x-ndjson",
  csv: "text/csv; charset=utf-8; header=present",
};
const chunkBytes = 64 * 1024;
/** About the size of a record without its message and attributes. */
const fieldBytes = 150;
/** Half the time of the default for a tenth more bytes. */
const gzipLevel = 3;
