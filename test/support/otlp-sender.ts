import { gzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { Client, ServiceError } from "@grpc/grpc-js";
import { StatusSchema } from "#proto/gen/google/rpc/status_pb.ts";

/** The partial_success of a response. */
export interface PartialSuccess {
  readonly rejected: number;
  readonly message: string;
}

export interface OtlpHttpResponse {
  readonly status: number;
  readonly contentType: string | null;
  readonly retryAfter: string | null;
  readonly headers: Headers;
  /** Of a success. */
  readonly partial: PartialSuccess;
  /** Of an error: a google.rpc.Status. */
  readonly error: { readonly code: number; readonly message: string };
}

const exportPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const bytes = (value: Buffer): Buffer => value;

/** OTLP/gRPC: the partial success, or throws the ServiceError. */
export function exportGrpc(client: Client, request: Buffer): Promise<PartialSuccess> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      exportPath,
      bytes,
      readExportResponse,
      request,
      (error: ServiceError | null, response) => (error ? reject(error) : resolve(response!)),
    );
  });
}

/** OTLP/HTTP, in protobuf or, for a text, in JSON. */
export async function exportHttp(
  url: string,
  request: Buffer | string,
  { gzip = false, ...headers }: { gzip?: boolean } & Record<string, string | boolean> = {},
): Promise<OtlpHttpResponse> {
  const isJson = typeof request === "string";
  const body = gzip ? gzipSync(request) : Buffer.from(request);
  const response = await fetch(`${url}/v1/logs`, {
    method: "POST",
    headers: {
      "content-type": isJson ? "application/json" : "application/x-protobuf",
      ...(gzip && { "content-encoding": "gzip" }),
      ...(headers as Record<string, string>),
    },
    body: body as Uint8Array<ArrayBuffer>,
  });
  return readHttpResponse(response);
}

export async function readHttpResponse(response: Response): Promise<OtlpHttpResponse> {
  const content = Buffer.from(await response.arrayBuffer());
  const contentType = response.headers.get("content-type");
  const isJson = contentType === "application/json";
  const json = isJson ? JSON.parse(content.toString()) : undefined;
  const status = response.ok || isJson ? undefined : fromBinary(StatusSchema, content);
  const { rejectedLogRecords = 0, errorMessage = "" } = json?.partialSuccess ?? {};
  return {
    status: response.status,
    contentType,
    retryAfter: response.headers.get("retry-after"),
    headers: response.headers,
    partial: isJson
      ? { rejected: Number(rejectedLogRecords), message: errorMessage }
      : response.ok
        ? readExportResponse(content)
        : { rejected: 0, message: "" },
    error: json ?? status ?? { code: 0, message: "" },
  };
}

/** Reads an ExportLogsServiceResponse, field by field. */
function readExportResponse(response: Buffer): PartialSuccess {
  let rejected = 0;
  let message = "";
  const reader = new BinaryReader(response);
  while (reader.pos < reader.len) {
    reader.tag();
    const partial = new BinaryReader(reader.bytes());
    while (partial.pos < partial.len) {
      const [field] = partial.tag();
      if (field === 1) rejected = Number(partial.int64());
      else message = partial.string();
    }
  }
  return { rejected, message };
}
