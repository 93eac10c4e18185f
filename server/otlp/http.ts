import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Logger } from "#lib/logger.ts";
import { readOtlpJson } from "#otlp/json/read-json.ts";
import { otlpLimits } from "#otlp/limits.ts";
import type { StartRpc } from "#rpc/call-metrics.ts";
import type { NodeRequest, NodeResponse } from "#rpc/serve-call.ts";
import type { BudgetShare, RequestBudget } from "../connect/request-budget.ts";
import { SlowBodyError } from "../connect/slow-body.ts";
import { type Decompressor, TooLargeError } from "../decompressor.ts";
import { contentEncoding, contentEncodings, readBody } from "../http/read-body.ts";
import { toRefusal } from "../ingest.ts";
import { encodeExportResponse, exportResponseJson } from "./export-response.ts";
import type { ExportOutcome, OtlpIngest } from "./otlp-ingest.ts";
import { exportMethod, logsOnly, logsService } from "./service.ts";
import {
  contentTypes,
  type Failure,
  type OtlpEncoding,
  send,
  sendFailure,
  toFailure,
} from "./status-response.ts";

const logsPath = "/v1/logs";
/** Also those of the signals that are not stored, for a clear response. */
export const otlpPaths: ReadonlySet<string> = new Set([logsPath, "/v1/traces", "/v1/metrics"]);

export interface OtlpHttpOptions {
  readonly otlp: OtlpIngest;
  readonly decompressor: Decompressor;
  readonly requestBudget: RequestBudget;
  readonly startRpc: StartRpc;
  readonly logger: Logger;
}

/**
 * Serves OTLP/HTTP, `POST /v1/logs`, in protobuf and JSON. https://opentelemetry.io/docs/specs/otlp/#otlphttp
 *
 * Responds in the encoding of the request; an error is a google.rpc.Status.
 */
export function createOtlpHttp({ otlp, decompressor, requestBudget, startRpc, logger }: OtlpHttpOptions) {
  const store = async (request: NodeRequest, encoding: OtlpEncoding, share: BudgetShare) => {
    const bytesMax = otlpLimits.requestBytesMax;
    const body = await readBody(request, { bytesMax, decompressor, share });
    return otlp.export(encoding === "json" ? readOtlpJson(body) : body, share);
  };
  const serve = async (request: NodeRequest, response: NodeResponse, encoding: OtlpEncoding) => {
    const end = startRpc("unary", logsService, exportMethod);
    using share = requestBudget.open();
    let outcome: ExportOutcome;
    try {
      outcome = await store(request, encoding, share);
      if (outcome.refusal !== undefined) throw new RefusedExport(toFailure(outcome.refusal));
    } catch (error) {
      const failure = describeFailure(error);
      end(codeToString(failure?.code ?? (response.destroyed ? Code.Canceled : Code.Internal)));
      if (failure === undefined) throw error;
      if (!(error instanceof SlowBodyError)) await discardBody(request, requestBudget.bodyMsMax);
      return fail(request, response, encoding, failure);
    }
    end("OK");
    send(
      response,
      200,
      encoding,
      encoding === "json" ? exportResponseJson(outcome) : encodeExportResponse(outcome),
    );
  };
  return (request: NodeRequest, response: NodeResponse): void => {
    const encoding = readEncoding(request.headers["content-type"]);
    const failure = rejectRequest(request, encoding);
    if (failure !== undefined) return fail(request, response, encoding ?? "json", failure);
    serve(request, response, encoding!).catch((error: unknown) => {
      if (response.destroyed || response.headersSent) return void response.destroy();
      logger.error({ err: error, path: logsPath }, "failed to respond");
      sendFailure(response, encoding!, { httpStatus: 500, code: Code.Internal, message: "internal error" });
    });
  };
}

class RefusedExport extends Error {
  override readonly name = "RefusedExport";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** Undefined: not an error of the request. */
function describeFailure(error: unknown): Failure | undefined {
  if (error instanceof RefusedExport) return error.failure;
  if (error instanceof TooLargeError) {
    return {
      httpStatus: 413,
      code: Code.InvalidArgument,
      message: `${error.message}: send smaller requests`,
    };
  }
  try {
    return toFailure(toRefusal(error));
  } catch {
    return undefined;
  }
}

/**
 * A sender that is cut off while it sends sees a broken connection, not the response, and sends again. So the rest of a
 * body is read, if it is announced and not too long, for a limited time.
 */
async function discardBody(request: NodeRequest, msMax: number): Promise<void> {
  const announced = Number(request.headers["content-length"] ?? Number.POSITIVE_INFINITY);
  if (request.complete || request.destroyed || !(announced <= discardedBytesMax)) return;
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, msMax);
    for (const event of ["end", "close", "error"]) request.once(event, () => resolve());
    request.resume();
  });
  clearTimeout(timer);
}

const discardedBytesMax = 4 * otlpLimits.requestBytesMax;

function fail(request: NodeRequest, response: NodeResponse, encoding: OtlpEncoding, failure: Failure): void {
  // The rest of the body is not read.
  const closes = request.httpVersionMajor < 2 && !request.complete;
  const headers = { ...failure.headers, ...(closes && { connection: "close" }) };
  sendFailure(response, encoding, { ...failure, headers });
}

function readEncoding(contentType = ""): OtlpEncoding | undefined {
  const [type = ""] = contentType.toLowerCase().split(";", 1);
  if (type.trim() === contentTypes.protobuf) return "protobuf";
  return type.trim() === contentTypes.json ? "json" : undefined;
}

/** Why the request is refused for its head alone. */
function rejectRequest(request: NodeRequest, encoding: OtlpEncoding | undefined): Failure | undefined {
  const { method, headers, url = "" } = request;
  const [path = ""] = url.split("?", 1);
  if (path !== logsPath) return { httpStatus: 404, code: Code.Unimplemented, message: logsOnly(path) };
  if (method !== "POST") {
    const message = `method ${method}: expected POST`;
    return { httpStatus: 405, code: Code.Unimplemented, message, headers: { allow: "POST" } };
  }
  if (encoding === undefined) {
    const seen = JSON.stringify((headers["content-type"] ?? "").slice(0, shownCharactersMax));
    const message = `content-type: ${seen}, expected ${contentTypes.protobuf} or ${contentTypes.json}`;
    return { httpStatus: 415, code: Code.InvalidArgument, message };
  }
  if (contentEncodings.has(contentEncoding(request))) return undefined;
  const seen = JSON.stringify(contentEncoding(request).slice(0, shownCharactersMax));
  return {
    httpStatus: 415,
    code: Code.InvalidArgument,
    message: `content-encoding: ${seen}, expected gzip or none`,
    headers: { "accept-encoding": "gzip" },
  };
}

const shownCharactersMax = 100;
